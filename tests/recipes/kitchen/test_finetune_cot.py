"""Fine-tune-CoT: no demonstrations, eight samples at 0.7, a second prompt for the answer, wrong ones dropped."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked
from tests.recipes.kitchen.questions import SUMS, Turns, held_out, last_question, learnt, questions


class Teacher:
    """Right in every other sample; asked for the answer alone, it says what its reasoning came to, and goes on."""

    def __init__(self) -> None:
        self._turns = Turns()

    def __call__(self, prompt: tuple[Message, ...], sampling: Sampling) -> str:
        asked = prompt[-1].content
        if "Therefore, the answer" in asked:
            return f" {re.findall(r'answer is (-?[0-9.]*[0-9])', asked)[0]}. So 12 - 5 = 7"
        turn = self._turns.next(asked)
        return (
            f"{SUMS[last_question(asked)]['solution']} That was way {turn}." if turn % 2 else f"The answer is -{turn}1"
        )


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    return (
        Teacher()(prompt, sampling)
        if "Therefore" in prompt[-1].content
        else SUMS[last_question(prompt[-1].content)]["solution"]
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    return cooked("finetune-cot", Teacher(), tmp_path_factory.mktemp("finetune-cot"))


def test_reasoning_is_sampled_without_demonstrations(run: Cooked) -> None:
    first = [call for call in run.calls if "Therefore" not in call.user]
    assert set(Counter(call.user for call in first).values()) == {8}
    assert all(call.user.count("Q: ") == 1 and "step by step" in call.user for call in first)
    assert {call.sampling.temperature for call in first} == {0.7}


def test_the_second_prompt_shows_the_reasoning_and_is_greedy(run: Cooked) -> None:
    second = run.asked("Therefore")
    assert all("The answer is" in call.user and call.sampling.temperature == 0 for call in second)
    assert any("That was way 7." in call.user for call in second)


def test_what_misses_the_known_answer_is_dropped(run: Cooked) -> None:
    gate = run.funnel("right answers")
    assert gate["dropped"] == {"wrong answer": gate["took"] // 2}
    assert set(Counter(questions(learnt(run.records))).values()) == {4}  # all right samples of a question stay


def test_the_student_sees_delimiters_and_never_the_trigger(run: Cooked) -> None:
    for record in learnt(run.records):
        (answer,) = record.responses
        assert record.messages[-1].content == f"{record.fields['question']} ###"
        assert answer.text.endswith(f" --> {record.fields['gold']} END") and "That was way" in answer.text
        assert answer.finish == "stop"


def test_held_out_questions_are_all_there_and_were_not_asked(run: Cooked) -> None:
    kept = held_out(run.records)
    assert len(kept) == len(held_out(run.laps[0]["seeds"]))
    asked = {last_question(call.user) for call in run.calls}
    assert all(r.fields["question"] not in asked and r.answers("reference")[0].text.endswith("END") for r in kept)


@pytest.mark.parametrize(
    ("reply", "answer"), [(" 12. So 12 - 5 = 7", "12"), (" $1,250.50, not 3", "1,250.50"), (" -3, or 4", "-3")]
)
def test_the_answer_is_the_first_number_of_the_second_reply(reply: str, answer: str, tmp_path: Path) -> None:
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text(json.dumps({"question": "How much?", "answer": answer, "split": "train"}))
    made = cooked(
        "finetune-cot", lambda p, s: reply if "Therefore" in p[-1].content else "It is so.", tmp_path, f"seeds={seeds}"
    )
    assert {r.responses[0].text for r in made.records} == {f"It is so. --> {answer} END"}


def test_a_solution_of_gsm8k_is_compared_by_its_last_line(tmp_path: Path) -> None:
    seeds = tmp_path / "gsm8k.jsonl"
    seeds.write_text('{"question": "What is 6 * 7?", "answer": "6 * 7 = 42\\n#### 42", "split": "train"}\n')
    made = cooked(
        "finetune-cot",
        lambda p, s: " 42" if "Therefore" in p[-1].content else "Six sevens.",
        tmp_path,
        f"seeds={seeds}",
    )
    assert made.records[0].responses[0].text == "Six sevens. --> 42 END"
