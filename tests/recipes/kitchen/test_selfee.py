"""SelFee: feedback that says whether a revision is needed, at most three revisions, the chain as one answer."""

import re
from pathlib import Path

import pytest

from stillhouse import recipes
from stillhouse.elicit.parsers.read import read
from stillhouse.endpoints.base import Answer, Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked


def patience(query: str) -> int:
    """Revisions after which the teacher is content with the answer to this question; 4 is never."""
    return len(query) % 5


def cut_off(query: str) -> bool:
    """Whether the third revision is longer than the teacher may write."""
    return query.startswith("A") and patience(query) >= 3


def revisions(query: str) -> int:
    """How many come of it."""
    return 2 if cut_off(query) else min(patience(query), 3)


def script(prompt: tuple[Message, ...], sampling: Sampling) -> Answer | str:
    """A teacher that counts versions, at times does not say whether a revision is needed, and at times is cut off."""
    asked = prompt[-1].content
    if "Give feedback on this answer" not in asked and "Write the answer anew" not in asked:
        return "A first answer"
    query = asked.removeprefix("Instruction: ").partition("\n\nAnswer: ")[0]
    version = int(found[1]) if (found := re.search(r"\n\nAnswer: Version (\d)", asked)) else 0
    if "Write the answer anew" in asked:
        return Answer("Version 3, of which", "length") if version == 2 and cut_off(query) else f"Version {version + 1}"
    if query.startswith("Write"):
        return "Lovely."
    if version < patience(query):
        return "Some would say revision is not needed, but it lacks an example. Revision is needed."
    return "It says all. Revision is not needed." if version % 2 else "Perfect. No revision is needed."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("selfee")
    return cooked("selfee", script, folder, "data.limit=40", "step.chats.n=10", "step.maths.n=5")


def headings(text: str) -> list[str]:
    return re.findall(r"^### (.+):$", text, re.M)


def test_the_chain_ends_when_the_feedback_is_content_or_after_three_revisions(run: Cooked) -> None:
    seen = set()
    for record in run.records:
        query, chain = record.messages[0].content, record.fields["chain"]
        wanted = patience(query)
        assert sum("revision" in link for link in chain) == revisions(query)
        ended = "cut off" if cut_off(query) else "satisfied" if wanted <= 3 else "cap"
        assert record.fields["ended"] == ended
        seen.add((wanted, ended))
    assert {wanted for wanted, _ in seen} == {0, 1, 2, 3, 4}
    assert {ended for _, ended in seen} == {"satisfied", "cap", "cut off"}


def test_the_whole_chain_is_one_answer_to_the_bare_question(run: Cooked) -> None:
    for record in run.records:
        (prompt,), (answer,) = record.messages, record.responses
        assert "Feedback" not in prompt.content and "feedback on this answer" not in prompt.content
        wanted = revisions(prompt.content)
        steps = [f"{kind} {n}" for n in range(1, wanted + 1) for kind in ("Feedback", "Revision")]
        content = record.fields["ended"] == "satisfied"
        assert headings(answer.text) == ["Answer", *steps, *([f"Feedback {wanted + 1}"] if content else [])]
        assert (answer.weight, answer.spans, answer.finish) == (1.0, (), "stop")
        if content:
            assert answer.text.endswith("Revision is not needed." if wanted % 2 else "No revision is needed.")
        else:  # the last feedback wanted one more: without it, the chain ends with what was written as a whole
            assert answer.text.endswith(f"Version {wanted}")


def test_the_last_statement_on_a_revision_counts(run: Cooked) -> None:
    assert any("Some would say revision is not needed, but" in r.responses[0].text for r in run.records)


@pytest.mark.parametrize(
    ("said", "needed"),
    [
        ("Some would say revision is not needed. But revision is needed.", True),
        ("An example is needed, so revision is needed.", True),
        ("There is no doubt that revision is needed.", True),
        ("No revision is needed? It is: revision is needed.", True),
        ("Perfect. No revision is needed.", False),
        ("An example is needed less than ever: no further revisions are needed", False),
        ("A revision is needed, one may think. No more revision is needed.", False),
        ("Revisions are not needed.", False),
    ],
)
def test_how_a_critic_may_say_it(said: str, needed: bool) -> None:
    (refine,) = (step for step in recipes.load("selfee").stage[0].step if step.use == "refine")
    (found,) = read(said, refine.settings["parse"])
    assert found["feedback"] == said and (not found["satisfied"]) == needed


def test_each_feedback_is_on_the_latest_version(run: Cooked) -> None:
    for call in run.asked("Write the answer anew"):
        assert "Feedback: Some would say" in call.user
    versions = {found[1] for c in run.asked("Give feedback") if (found := re.search(r"Answer: Version (\d)", c.user))}
    assert versions == {"1", "2", "3"}


def test_the_data_s_own_answer_comes_first_and_the_teacher_s_where_there_is_none(run: Cooked) -> None:
    for record in run.records:
        first = record.responses[0].text.removeprefix("### Answer:\n").partition("\n\n### ")[0]
        assert (first == "A first answer") == (record.fields["source"] == "chats")
    maths = [r for r in run.records if r.fields["source"] == "maths"]
    assert maths and all("The answer is" in r.responses[0].text for r in maths)
    assert {r.fields["source"] for r in run.records} == {"tasks", "maths", "code", "flan", "chats"}


def test_feedback_that_does_not_say_is_no_feedback(run: Cooked) -> None:
    asked = [c.user for c in run.asked("Give feedback on this answer") if c.user.startswith("Instruction: Write")]
    retried = run.funnel("revise")["dropped"]
    assert asked and retried == {"unreadable: no match": len(set(asked))}
    assert not any(r.messages[0].content.startswith("Write") for r in run.records)
