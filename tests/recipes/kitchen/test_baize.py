"""Baize: transcripts in one go and turn by turn, tasks mixed in, then the best of 4 of the student's own answers."""

import re
from itertools import count

import pytest

from stillhouse.endpoints.base import Answer, Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Call, Cooked, cooked

ASKED = count(1)


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str | Answer:
    """Transcripts of different length, some without marks; a human and an AI; a judge who likes long answers."""
    asked, system = prompt[-1].content, prompt[0].content
    turn = sum(m.role == "assistant" for m in prompt)
    if "Write the rest of the transcript" in asked:
        kind = sum(map(ord, asked)) % 3
        if kind == 0:
            return "It would be a nice conversation about the topic."
        first = "[Human] Why is that?\n[AI] Because of this.\n"
        return first + ("[Human] And then?\n[AI] Then that.\n[Human] Thanks, that is all." if kind == 1 else "")
    if "You play a human" in system:
        return f"What about part {turn}{', then' * (sum(map(ord, system)) % 2)}?"
    if "Rank the answers" in asked:
        answers = re.findall(r"Answer (\d):\n(.*)", asked)
        return " > ".join(number for number, _ in sorted(answers, key=lambda a: -len(a[1])))
    if turn == 2 and asked.endswith("then?"):
        return Answer("Here is what I", "length")
    return f"Here is what I know about it, {turn}."


def student(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """Answers of four lengths."""
    return f"own answer{' and more' * (next(ASKED) % 4)}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    return cooked("baize", script, tmp_path_factory.mktemp("baize"), "data.held_out=0.2", student=student)


def test_one_completion_writes_a_whole_transcript_about_the_question(run: Cooked) -> None:
    asked = run.asked("Write the rest of the transcript")
    assert len(asked) >= 12
    assert all("[Human] Hello!\n[AI] Hello! What can I do for you?" in call.user for call in asked)
    assert run.funnel("whole transcripts")["dropped"] == {
        "unreadable: no turns": 12 - run.funnel("whole transcripts")["kept"]
    }


def test_the_human_decides_when_to_stop_and_has_no_last_word(run: Cooked) -> None:
    lengths = {len(r.fields["turns"]) for r in run.laps[0]["talks"]}
    assert lengths == {2, 4, 6}  # v1 as the human wants, v2 for three rounds
    assert all(r.fields["turns"][-1]["role"] == "assistant" for r in run.laps[0]["talks"])


def test_turn_by_turn_only_the_human_knows_the_topic(run: Cooked) -> None:
    def talks(call: Call) -> bool:
        return call.user.startswith("What about part")

    assert {call.sampling.stop for call in run.asked("You play a human")} == {("[AI]", "[Human]")}
    answering = [call for call in run.calls if talks(call) and "You play a human" not in call.system]
    assert answering and all(call.system == "" and call.messages[0].role == "user" for call in answering)
    assert run.funnel("turn by turn")["took"] == 6


def test_half_an_answer_is_not_learnt(run: Cooked) -> None:
    by_turns = run.laps[0]["by_turns"]
    assert {(r.fields["ended"], len(r.fields["turns"])) for r in by_turns} == {("cut off", 4), ("all rounds", 6)}
    assert not any(r.responses[0].text == "Here is what I" for r in run.laps[0]["records"])


def test_dialogues_are_learnt_in_all_answers_and_mixed_with_tasks(run: Cooked) -> None:
    dialogues = [r for r in run.laps[0]["records"] if r.learn == "all"]
    tasks = [r for r in run.laps[0]["records"] if r.learn == "last"]
    assert len(dialogues) == len(run.laps[0]["talks"]) and len(tasks) == 20
    assert not any("[Human]" in m.content for r in dialogues for m in r.messages)


def test_four_answers_of_the_student_to_quora_questions(run: Cooked) -> None:
    assert len(run.student_calls) == 8 * 4
    known = {r.fields["question"] for r in run.laps[0]["seeds"] if r.fields["site"] == "quora" and r.split == "train"}
    assert {call.user for call in run.student_calls} <= known


def test_the_one_that_the_teacher_ranks_first_is_learnt(run: Cooked) -> None:
    ranked = run.asked("Rank the answers")
    assert len(ranked) == 8 and {call.sampling.temperature for call in ranked} == {0}
    best = [r for r in run.laps[1]["best"] if r.split == "train"]
    assert len(best) == 8
    for record in best:
        assert [r.source for r in record.responses] == ["best"]
        shown = next(call.user for call in ranked if record.messages[0].content in call.user)
        longest = max(re.findall(r"Answer \d:\n(.*)", shown), key=len)
        assert record.responses[0].text == longest


def test_what_is_held_out_is_not_the_students_own(run: Cooked) -> None:
    held_out = [r for r in run.laps[1]["best"] if r.split == "test"]
    assert held_out == [r for r in run.laps[0]["records"] if r.split == "test"]
    assert held_out and all(r.responses[0].source == "teacher" for r in held_out)
