"""One model over its tasks, answered by a script: scores, bands, seeds and samples."""

import torch
from torch import nn

from stillhouse.evaluate.measure import SAMPLES, measure, measure_task, size
from stillhouse.evaluate.scores import Score, Scores
from stillhouse.evaluate.tasks import Task
from stillhouse.recipe import Eval
from stillhouse.records.types import Message, Record, Response


def record(text: str, *references: str) -> Record:
    return Record((Message("user", text),), tuple(Response("reference", r) for r in references), split="test")


SHORT, MIDDLE = "one two", "word " * 40
TASK = Task("held_out", (record("short", SHORT), record("middle", MIDDLE, "x"), record("other", "nothing")), Eval())


def test_scores_and_bands_by_hand():
    scores = measure_task(TASK, lambda records, settings: ["One two!", "x", "wrong"])
    # rouge_l: 100, 100 (the second reference), 0; the second example is placed by its first reference.
    assert (round(scores.rouge_l.value, 9), scores.rouge_l.n) == (round(200 / 3, 9), 3)
    assert scores.exact_match.value == scores.rouge_l.value
    assert set(scores.bands) == {"(0,30]", "(30,70]"}
    assert (scores.bands["(0,30]"].rouge_l.value, scores.bands["(0,30]"].rouge_l.n) == (50.0, 2)
    assert scores.bands["(30,70]"].exact_match == Score(value=100.0, low=None, high=None, n=1)


def test_a_model_that_answers_with_the_key_has_full_marks():
    scores = measure_task(TASK, lambda records, settings: [r.responses[0].text for r in records])
    assert scores.rouge_l == scores.exact_match == Score(value=100.0, low=100.0, high=100.0, n=3)


def test_every_seed_is_asked_and_an_example_counts_once():
    asked, told = [], []

    def answer(records, settings):
        asked.append(settings.seeds)
        return ["one two" if settings.seeds == (10,) else "", "", ""]

    task = Task("t", TASK.records, Eval(temperature=1.0, seeds=(10, 20, 30, 40)))
    scores = measure_task(task, answer, progress=lambda *news: told.append(news))
    assert asked == [(10,), (20,), (30,), (40,)]
    assert told == [("t", i, 4) for i in (1, 2, 3, 4)]
    assert (round(scores.rouge_l.value, 9), scores.rouge_l.n) == (round(25 / 3, 9), 3)
    assert {s.prompt: s.answer for s in scores.samples}["short"] == "one two"


def test_greedy_answers_are_asked_for_once():
    asked = []

    def answer(records, settings):
        asked.append(settings.seeds)
        return [""] * len(records)

    measure_task(Task("t", TASK.records, Eval(temperature=0.0, seeds=(3, 4))), answer)
    assert asked == [(3,)]


def test_the_bounds_of_the_bands_come_from_the_recipe():
    task = Task("t", TASK.records, Eval(bands=(1, 2)))
    assert set(measure_task(task, lambda *_: ["", "", ""]).bands) == {"(0,1]", "(1,2]", "(2,inf)"}


def test_samples_are_the_same_prompts_for_every_model():
    records = [record(f"prompt {i}", f"answer {i}") for i in range(50)]
    one = measure_task(Task("t", tuple(records), Eval()), lambda r, _: [x.messages[0].content for x in r]).samples
    other = measure_task(Task("t", tuple(records[::-1]), Eval()), lambda r, _: [""] * len(r)).samples
    assert len(one) == SAMPLES
    assert {s.prompt for s in one} == {s.prompt for s in other}
    assert all(s.answer == s.prompt and s.references == (s.prompt.replace("prompt", "answer"),) for s in one)
    assert [s.rouge_l for s in one] == [50.0] * SAMPLES


def test_a_conversation_is_shown_with_its_roles():
    messages = (Message("system", "Be brief."), Message("user", "Hi"))
    task = Task("t", (Record(messages, (Response("reference", "Hello"),)),), Eval())
    assert measure_task(task, lambda *_: ["Hello"]).samples[0].prompt == "system: Be brief.\nuser: Hi"


def test_a_shared_weight_is_counted_once():
    model = nn.Sequential(nn.Linear(10, 10, bias=False), nn.Linear(10, 10, bias=True))
    model[1].weight = model[0].weight
    assert size(model.to(torch.bfloat16)) == (110, 220 / 1e6)


def test_a_model_s_scores_hold_everything_and_survive_json():
    found = measure(
        nn.Linear(3, 1),
        [TASK],
        lambda records, settings: [""] * len(records),
        label="Student",
        fidelity={"kl": Score(0.5, 0.4, 0.6, 9)},
        tokens_per_second=12.5,
    )
    assert (found.label, found.parameters, found.megabytes, found.tokens_per_second) == ("Student", 4, 16e-6, 12.5)
    assert found.tasks["held_out"].rouge_l.value == 0.0
    scores = Scores({"student": found})
    assert Scores.from_json(scores.to_json()) == scores
