"""Lion: both answer the cache, scores in both orders, hard from a gap of 1, equal shares, a cache that grows."""

from pathlib import Path

import pytest

from stillhouse.endpoints.base import Answer, Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked

VERBS = ("Describe", "Explain", "List", "Compare", "Name", "Summarise", "Judge")
THINGS = ("lighthouse keepers", "kinds of bread", "tastes of rain", "old bicycles", "winter markets", "tides")


UNFIT: dict[int, str | Answer] = {
    0: Answer("Tell a story of a fox that never", "length"),
    1: "- Tell a story of foxes",
    2: "Write an instruction about foxes",
    3: "Tell a story",
}


def question(asked: str) -> str:
    return asked.rsplit("Question: ", 1)[1].split("\nAnswer 1:")[0]


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str | Answer:
    """Teacher, referee and generator. The referee prefers place 1 by one point, and the teacher by 0, 1 or 3."""
    asked = prompt[-1].content
    if asked.endswith("Scores:"):
        bonus, seen = lead(question(asked)), asked.rsplit("Question: ", 1)[1]
        if bonus < 0:
            return "Both are fine."
        teacher_first = "Answer 1: Teacher" in seen
        return f"{5 + 1 + bonus} 5" if teacher_first else f"{5 + 1} {5 + bonus}"
    if "Make up one new instruction" in asked:
        kind = "hard" if "found hard" in asked else "easy"
        seed = sum(map(ord, asked))
        if seed % 3 == 0:
            return "Name a matter that wants looking into"  # every time the same
        if seed % 5 in UNFIT:
            return UNFIT[seed % 5]
        return f"{VERBS[seed % 7]} {kind} {THINGS[seed % 6]} {seed} {THINGS[seed // 7 % 6]} {seed % 89} {seed % 97}"
    return f"Teacher on {len(asked)} letters."


def learner(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    return f"Student on {len(prompt[-1].content)} letters."


def lead(asked: str) -> int:
    """By how much the teacher is ahead; -1: nobody can say."""
    return (0, 1, 3, -1)[sum(map(ord, asked)) % 4]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("lion")
    changes = ("stage.imitate.step.train-pool.n=40", "stage.adversary.rounds=2")
    return cooked("lion", script, folder, *changes, student=learner)


def test_the_student_answers_the_whole_cache_of_every_round(run: Cooked) -> None:
    sizes = [len(lap["cache"]) for lap in run.laps]
    assert sizes[0] == 40 and sizes[0] < sizes[1] < sizes[2]
    assert [run.funnel("student-answers", number)["requests"] for number in (1, 2)] == sizes[:2]
    assert len(run.student_calls) == sizes[1]  # nobody was trained between, so old answers stand
    assert {c.user for c in run.student_calls} == {r.fields["instruction"] for r in run.laps[1]["cache"]}


def test_every_pair_is_scored_in_both_orders(run: Cooked) -> None:
    for record in run.laps[1]["scored"]:
        asked = [c.user for c in run.asked("Scores:") if question(c.user) == record.fields["instruction"]]
        firsts = {text.rsplit("Answer 1: ", 1)[1].partition(" ")[0] for text in asked}
        assert firsts == {"Teacher", "Student"}
    assert len(run.laps[1]["scored"]) + len(run.laps[1]["unscored"]) == 40


def test_hard_from_an_averaged_gap_of_exactly_one(run: Cooked) -> None:
    """The lean towards place 1 cancels, so the gap is the teacher's true lead; what has no scores is easy."""
    scored = run.laps[1]["scored"]
    assert {r.fields["gap"] for r in scored} == {0.0, 1.0, 3.0}
    assert all(r.fields["gap"] == lead(r.fields["instruction"]) for r in scored)
    assert run.funnel("hard-or-easy")["kept"] == sum(r.fields["gap"] >= 1 for r in scored)
    for call in run.asked("found hard"):
        assert lead(call.user.split(":\n\n")[1].split("\n\nMake up")[0]) >= 1
    easy = [lead(call.user.split(":\n\n")[1].split("\n\nMake up")[0]) for call in run.asked("found easy")]
    assert set(easy) == {0, -1}


def test_equal_shares_of_hard_and_easy_that_are_new_to_the_cache(run: Cooked) -> None:
    assert run.funnel("new-hard")["kept"] == run.funnel("new-easy")["kept"] == 6
    fresh = run.laps[1]["fresh"]
    assert run.funnel("new-to-the-cache")["dropped"]["too similar"] and all(
        r.fields["similarity"] <= 0.7 for r in fresh
    )
    assert run.laps[1]["cache"][40:] == fresh  # they join it


def test_what_is_no_instruction_is_not_asked_about(run: Cooked) -> None:
    dropped = [reason for number in (1, 2) for reason in run.funnel("fit-instructions", number)["dropped"]]
    assert set(dropped) == {"cut off", "unclean start", "forbidden pattern", "too few words"}
    assert not any("fox" in r.fields["instruction"] for r in run.laps[-1]["cache"])


def test_a_student_that_says_nothing_is_scored_all_the_same(tmp_path: Path) -> None:
    changes = ("stage.imitate.step.train-pool.n=40", "stage.adversary.rounds=1")
    run = cooked("lion", script, tmp_path, *changes, student=lambda prompt, sampling: "")
    asked = run.asked("Scores:")
    assert all("(no answer)" in call.user.rsplit("Question: ", 1)[1] for call in asked)
    hard = [r for r in run.laps[0]["cache"] if lead(r.fields["instruction"]) >= 1]
    assert run.funnel("hard-or-easy")["kept"] == len(hard) > 0


def test_the_new_ones_alone_are_learnt_next(run: Cooked) -> None:
    for lap in run.laps[1:]:
        learnt = {r.messages[-1].content for r in lap["records"] if r.answers("teacher")}
        assert learnt == {r.fields["instruction"] for r in lap["fresh"]}
    assert not any("Student" in r.text for record in run.records for r in record.responses)
