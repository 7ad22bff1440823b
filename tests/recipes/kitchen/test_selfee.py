"""SelFee: feedback that says whether a revision is needed, at most three revisions, the chain as one answer."""

import re
from pathlib import Path

import pytest

from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked


def patience(query: str) -> int:
    """Revisions after which the teacher is content with the answer to this question; 4 is never."""
    return len(query) % 5


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """A teacher that counts versions, and for some questions forgets to say whether a revision is needed."""
    asked = prompt[-1].content
    if "Give feedback on this answer" not in asked and "Write the answer anew" not in asked:
        return "A first answer"
    query = asked.removeprefix("Instruction: ").partition("\n\nAnswer: ")[0]
    version = int(found[1]) if (found := re.search(r"\n\nAnswer: Version (\d)", asked)) else 0
    if "Write the answer anew" in asked:
        return f"Version {version + 1}"
    if query.startswith("Write"):
        return "Lovely."
    if version < patience(query):
        return "Some would say revision is not needed, but it lacks an example. Revision is needed."
    return "It says all. Revision is not needed."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("selfee")
    return cooked("selfee", script, folder, "data.limit=40", "step.chats.n=10", "step.maths.n=5")


def headings(text: str) -> list[str]:
    return re.findall(r"^### (.+):$", text, re.M)


def test_the_chain_ends_when_the_feedback_is_content_or_after_three_revisions(run: Cooked) -> None:
    seen = set()
    for record in run.records:
        wanted, chain = patience(record.messages[0].content), record.fields["chain"]
        revisions = sum("revision" in link for link in chain)
        assert revisions == min(wanted, 3)
        assert record.fields["ended"] == ("satisfied" if wanted <= 3 else "cap")
        seen.add(wanted)
    assert seen == {0, 1, 2, 3, 4}


def test_the_whole_chain_is_one_answer_to_the_bare_question(run: Cooked) -> None:
    for record in run.records:
        (prompt,), (answer,) = record.messages, record.responses
        assert "Feedback" not in prompt.content and "feedback on this answer" not in prompt.content
        wanted = min(patience(prompt.content), 3)
        steps = [f"{kind} {n}" for n in range(1, wanted + 1) for kind in ("Feedback", "Revision")]
        content = patience(prompt.content) <= 3
        assert headings(answer.text) == ["Answer", *steps, *([f"Feedback {wanted + 1}"] if content else [])]
        assert (answer.weight, answer.spans, answer.finish) == (1.0, (), "stop")
        if content:
            assert answer.text.endswith("Revision is not needed.")
        else:  # the last feedback wanted one more: without it, the chain ends with what was written
            assert answer.text.endswith("Version 3")


def test_the_last_statement_on_a_revision_counts(run: Cooked) -> None:
    assert any("Some would say revision is not needed, but" in r.responses[0].text for r in run.records)


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
