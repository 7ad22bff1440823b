"""LaMini-LM: instructions by example and by topic, topics that are short and populous, one pass of answers."""

import json
import re
from pathlib import Path

import pytest

from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Call, Cooked, cooked


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """A teacher that goes on with a list by two instructions, and answers anything else."""
    asked = prompt[-1].content
    seed = sum(map(ord, asked))
    if "Write 20 more" in asked:
        return f"Tell me of matter {seed}\n5. Say why {seed} is odd\n7. a number was left out"
    return f"An answer of {len(asked)} letters."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("lamini-lm")
    return cooked("lamini-lm", script, folder, "stage.main.step.original.n=6")


def shown(call: Call) -> list[str]:
    return re.findall(r"^\d\. (.+)$", call.user, re.M)


def by_topic(run: Cooked) -> list[Call]:
    return run.asked("about one of these topics")


def test_topics_have_two_words_at_most_and_more_than_10_and_50(run: Cooked) -> None:
    categories, topics = run.laps[0]["categories"], {r.fields["topic"] for r in run.laps[0]["topics"]}
    for record in categories:
        fields = record.fields
        fits = len(fields["topic"].split()) < 3 and fields["subcategories"] > 10 and fields["pages"] > 50
        assert (fields["topic"] in topics) == fits
    assert 0 < len(topics) < len(categories)


def test_three_demonstrations_and_by_topic_three_topics(run: Cooked) -> None:
    topics = {r.fields["topic"] for r in run.laps[0]["topics"]}
    for call in by_topic(run):
        named = call.user.split("these topics: ")[1].split(".\n")[0].split(", ")
        assert len(named) == 3 and set(named) <= topics
    everything = run.asked("Write 20 more")
    assert len(everything) == 12 and len(by_topic(run)) == 4
    assert all(call.user.endswith("\n4.") for call in everything)


def test_collections_are_taken_as_they_are_and_shown_for_more_of_their_kind(run: Cooked) -> None:
    flan = {r.fields["query"] for r in run.laps[0]["collections"] if r.fields["source"] == "flan"}
    like = [call for call in run.asked("Write 20 more") if set(shown(call)[:1]) & {q.partition("\n")[0] for q in flan}]
    assert len(like) == 2  # and no other source is among these demonstrations
    taken = {r.fields["instruction"] for r in run.records if r.fields.get("instruction_source") == "flan"}
    assert taken == flan


def test_of_prompts_without_a_source_the_id_says_whose_they_are(tmp_path: Path) -> None:
    rows = [{"id": f"{source}.{n}", "question": f"{source} {n}?"} for source in ("t0", "flan", "niv") for n in range(5)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    changes = (f"data.sets.collections={tmp_path / 'rows.jsonl'}", "stage.main.step.queries-part.n=4")
    run = cooked("lamini-lm", script, tmp_path, *changes)
    for name, source in (("p3", "t0"), ("flan", "flan")):
        taken = [r.fields["instruction"] for r in run.laps[0][name]]
        assert len(taken) == 4 and all(one.startswith(source) for one in taken)


def test_all_sources_are_answered_in_one_pass_and_told_apart(run: Cooked) -> None:
    learnt = [r for r in run.records if r.answers("teacher")]
    assert {r.fields["instruction_source"] for r in learnt} == {
        *("seeds", "p3", "flan", "like seeds", "about topics", "like p3", "like flan"),
    }
    assert all(r.messages == (Message("user", r.fields["instruction"]),) for r in learnt)
    assert run.funnel("answers")["kept"] == len(learnt)
    assert len({r.key for r in learnt}) == len(learnt)


def test_the_list_ends_where_it_stops_counting(run: Cooked) -> None:
    made = [r.fields["instruction"] for r in run.laps[0]["like_seeds"]]
    assert len(made) == 8  # "7." after "5." is no number of the list
