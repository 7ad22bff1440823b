"""MaRio: four rewards, five quantiles of each over all samples so far, learnt under tokens, asked with the best."""

import itertools
import re
from pathlib import Path

import pytest

from stillhouse import recipes
from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message, Record
from tests.recipes.kitchen.cooking import Cooked, cooked

TOKENS = re.compile(r"<plausible (\d)> <diverse (\d)> <consistent (\d)> <accurate (\d)>\n")
BEST = "<plausible 5> <diverse 5> <consistent 5> <accurate 5>\n"
SAMPLES = itertools.cycle(
    [
        "People keep it there, as everyone knows. The answer is B.",
        "Pigs fly and pigs fly and pigs fly. The answer is C.",
        "It is so because it is so because it is so, and that shows A. The answer is A.",
        "I cannot say.",
        "Water is wet, which leads to D. The answer is D.",
        "The answer is B.",
        "Stones are hard, and so it must be B. The answer is B.",
    ]
)
"""What the student says: two of the seven cannot be used, one has no answer and one no rationale."""


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """Explains everything with B; finds pigs implausible; reads A, or the letter that a rationale leads to."""
    asked = prompt[-1].content
    if asked.endswith("\nA:"):
        return "It is the one that is left. So the answer is B."
    if "Are these statements true?" in asked:
        return "no" if "Pigs" in asked else "Yes."
    if "Answer with the letter alone" in asked:
        found = re.findall(r"(?:leads to|shows|must be) ([A-D])", asked)
        return found[-1] if found else "A"
    return next(SAMPLES)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("mario")
    return cooked("mario", script, folder, "data.limit=30", "stage.quark.rounds=2")


def learnt(run: Cooked, lap: int) -> list[Record]:
    return [r for r in run.laps[lap]["records"] if r.split == "train"]


def levels(record: Record) -> tuple[int, ...]:
    found = TOKENS.match(record.messages[0].content)
    assert found
    return tuple(map(int, found.groups()))


def test_the_student_first_learns_rationales_that_lead_to_the_right_answer(run: Cooked) -> None:
    silver = learnt(run, 0)
    assert silver and all(r.fields["gold"] == "B" for r in silver)
    assert all(r.responses[0].text == "It is the one that is left. The answer is B." for r in silver)
    assert not any("<" in r.messages[0].content or "Q:" in r.messages[0].content for r in silver)
    assert all(call.user.count("Q: ") == 6 for call in run.asked("\nA:"))


def test_it_samples_with_the_best_tokens_about_training_questions(run: Cooked) -> None:
    train = {r.fields["asked"] for r in run.laps[0]["questions"] if r.split == "train"}
    assert {call.user for call in run.student_calls} == {BEST + asked for asked in train}
    assert all((call.sampling.temperature, call.sampling.top_p) == (1.0, 0.7) for call in run.student_calls)


def test_what_has_no_rationale_or_no_answer_is_not_rewarded(run: Cooked) -> None:
    pool = run.laps[-1]["pool"]
    assert pool and {r.fields["answer"] for r in pool} == {"A", "B", "C", "D"}
    assert all(r.fields["rationale"] for r in pool)
    assert run.funnel("with a rationale")["dropped"].keys() == {"no 'rationale'"}


def test_the_four_rewards(run: Cooked) -> None:
    for record in run.laps[-1]["pool"]:
        fields = record.fields
        assert fields["plausibility"] == float("Pigs" not in fields["rationale"])
        assert (fields["diversity"] == 1.0) == (not re.search("Pigs|because", fields["rationale"]))
        assert fields["accuracy"] == ("1" if fields["answer"] == fields["gold"] else "0")
        leads = bool(re.search("leads to|must be", fields["rationale"]))  # elsewhere than to A, which is read anyway
        assert float(fields["consistency"]) == float(leads)


def test_tokens_are_quantiles_over_all_samples_so_far(run: Cooked) -> None:
    first, second = run.laps[1]["pool"], run.laps[2]["pool"]
    assert len(second) > len(first) and [r.fields["rationale"] for r in second[: len(first)]] == [
        r.fields["rationale"] for r in first
    ]
    names = {"plausibility": "plausible", "diversity": "diverse", "consistency": "consistent", "accuracy": "accurate"}
    for reward, token in names.items():
        numbers = [float(r.fields[reward]) for r in second]
        for record, number in zip(second, numbers, strict=True):
            lower = sum(other < number for other in numbers)
            assert record.fields[token] == (5 if number == max(numbers) else 1 + 5 * lower // len(numbers))


def test_samples_are_learnt_good_or_bad_each_under_its_own_tokens(run: Cooked) -> None:
    taught = learnt(run, -1)
    assert len(taught) == len(run.laps[-1]["pool"])
    for record in taught:
        fields = record.fields
        assert levels(record) == tuple(fields[n] for n in ("plausible", "diverse", "consistent", "accurate"))
        assert record.messages[0].content.endswith("\n" + fields["asked"])
        assert record.responses[0].text == f"{fields['rationale']} The answer is {fields['answer']}."
    assert {levels(r)[3] for r in taught} == {1, 5} and {levels(r)[0] for r in taught} == {1, 5}


def test_held_out_questions_ask_for_the_best(run: Cooked) -> None:
    held = [r for r in run.laps[-1]["records"] if r.split == "test"]
    assert held and all(r.messages[0].content.startswith(BEST) for r in held)
    assert all(r.responses[0].source == "reference" for r in held)
    assert len(held) == sum(r.split == "test" for r in run.laps[-1]["seeds"])


def test_at_full_size_any_of_qasc_s_eight_letters_is_read_and_weighed() -> None:
    stages = recipes.load("mario", full=True).stage
    steps = {step.title: step.settings for stage in stages for step in stage.step}
    read = [steps[name]["parse"]["choices"] for name in ("silver rationales", "own rationales")]
    weighed = [steps[name]["options"] for name in ("with", "without")]
    assert all("".join(letters) == "ABCDEFGH" for letters in (*read, *weighed))
