"""How likely a text is: every score against its formula in NumPy, limits, and what cannot be scored."""

import numpy as np
import pytest

from stillhouse.elicit.ask import Ask
from stillhouse.elicit.catalogue import OPERATORS
from stillhouse.elicit.contract import Dropped, needs, settings_of
from stillhouse.elicit.filters.lm import ALONE, COMPARED, lm
from stillhouse.elicit.generation.asking import TOGETHER
from stillhouse.elicit.notebook import Notebook
from stillhouse.endpoints.base import Sampling
from stillhouse.endpoints.local import Local
from stillhouse.endpoints.scripted import Scripted
from stillhouse.errors import RecipeError
from stillhouse.models.tokenise import encode_prompt
from stillhouse.records.types import Message, Record
from stillhouse.tiny import tiny_model

GIVEN = [-0.5, -1.25, -0.1]
WITHOUT = [-2.0, -1.0, -0.4]


def likely(prompt, text):
    """The text is likelier where the prompt says something; a word "zero" is certain, "never" impossible."""
    if text in ("", "fails"):
        return []
    if text == "zero":
        return [0.0]
    if text == "never":
        return [-9999.0]
    return GIVEN if prompt[-1].content else WITHOUT


@pytest.fixture
def endpoint():
    return Scripted(lambda prompt, sampling: "", scores=likely)


@pytest.fixture
def ask(endpoint, tmp_path):
    with Notebook(tmp_path / "journal.jsonl") as notebook:
        yield Ask("teacher", {"teacher": endpoint}, Sampling(), notebook)


def pair(**fields):
    return Record(fields={"instruction": "Do it.", "output": "Done."} | fields)


def one(ask, record, **settings):
    [result] = lm([record], ask, **({"template": "{{ instruction }}"} | settings))
    return result


ORACLES = {
    "logp": np.sum(GIVEN),
    "mean_logp": np.mean(GIVEN),
    "confidence": np.prod(np.exp(GIVEN)),
    "ppl": np.prod(np.exp(GIVEN)) ** (-1 / 3),
    "ifd": (np.prod(np.exp(GIVEN)) / np.prod(np.exp(WITHOUT))) ** (-1 / 3),
    "loss_ratio": np.mean(-np.array(GIVEN)) / np.mean(-np.array(WITHOUT)),
    "gain": np.log(np.prod(np.exp(GIVEN)) / np.prod(np.exp(WITHOUT))),
    "mean_gain": (np.sum(GIVEN) - np.sum(WITHOUT)) / 3,
}


@pytest.mark.parametrize("score", [*ALONE, *COMPARED])
def test_every_score_is_its_formula(ask, score):
    assert one(ask, pair(), score=score).fields["lm_score"] == pytest.approx(ORACLES[score])


def test_it_is_in_the_catalogue_and_its_settings_are_checked():
    assert OPERATORS["lm"] is lm
    assert needs(lm) == ("records", "ask")
    assert settings_of(lm, {"score": "ifd", "at_most": 1}) == {"score": "ifd", "at_most": 1.0}
    with pytest.raises(RecipeError, match="setting 'score' is 'perplexity'"):
        settings_of(lm, {"score": "perplexity"})


def test_prompts_are_the_template_or_the_messages_and_for_comparison_another_or_none(ask, endpoint):
    user = (Message("user", "Do it."),)
    nothing = (Message("user", ""),)
    one(ask, pair(), score="logp")
    one(ask, pair(), score="ifd", system="Be {{ instruction }}")
    one(
        ask,
        pair(rationale="since"),
        score="gain",
        template="{{ instruction }} {{ rationale }}",
        without="{{ instruction }}",
    )
    own = (Message("system", "s"), Message("user", "Own."))
    one(ask, Record(own, fields={"output": "Done."}), score="ifd", template="")
    system = Message("system", "Be Do it.")
    assert [prompt for prompt, _ in endpoint.scored] == [
        user,
        (system, *user),
        (system, *nothing),
        (Message("user", "Do it. since"),),
        own,
        nothing,
    ]
    assert {text for _, text in endpoint.scored} == {"Done."}


def test_the_field_may_be_any_text_of_the_record(ask, endpoint):
    reverse = one(ask, pair(), score="ifd", field="instruction", template="Guess the instruction of: {{ output }}")
    assert endpoint.scored[0] == ((Message("user", "Guess the instruction of: Done."),), "Do it.")
    assert reverse.fields["lm_score"] == pytest.approx(ORACLES["ifd"])
    assert one(ask, pair(answers=["a", "b"]), field="answers.1", into="s").fields["s"] == pytest.approx(np.mean(GIVEN))
    assert endpoint.scored[-1][1] == "b"


def test_limits_are_inclusive_and_what_is_dropped_has_its_score(ask):
    mean = float(np.mean(GIVEN))
    assert isinstance(one(ask, pair(), at_least=mean, at_most=mean), Record)
    low, high = one(ask, pair(), at_least=mean + 0.01), one(ask, pair(), at_most=mean - 0.01)
    assert [(r.reason, r.record.fields["lm_score"]) for r in (low, high)] == [
        ("score too low", pytest.approx(mean)),
        ("score too high", pytest.approx(mean)),
    ]


@pytest.mark.parametrize(
    ("fields", "settings", "reason"),
    [
        ({"output": ""}, {}, "no text to score"),
        ({"output": " \n"}, {}, "no text to score"),
        ({"output": None}, {}, "no text to score"),
        ({}, {"field": "nowhere"}, "no text to score"),
        ({"output": "fails"}, {}, "no log-probability"),
        ({"output": "fails"}, {"score": "ifd"}, "no log-probability"),
        ({}, {"template": ""}, "no prompt"),
        ({"output": "zero"}, {"score": "loss_ratio"}, "score out of range"),
        ({"output": "never"}, {"score": "ppl"}, "score out of range"),
        ({"instruction": "x" * 3_000_000}, {}, "prompt too long"),
    ],
)
def test_what_cannot_be_scored_is_dropped_with_the_reason(ask, fields, settings, reason):
    record = pair(**fields)
    assert one(ask, record, **settings) == Dropped(record, reason)


def test_order_is_kept_over_batches_and_nothing_is_scored_twice(ask, endpoint):
    records = [pair(output=f"text {n}" if n % 3 else "", n=n) for n in range(TOGETHER * 2 + 5)]
    first, again = (list(lm(records, ask, score="ifd", template="{{ instruction }}")) for _ in range(2))
    assert first == again
    assert [(r.record if isinstance(r, Dropped) else r).fields["n"] for r in first] == list(range(len(records)))
    assert len(endpoint.scored) == 2 * sum(bool(record.fields["output"]) for record in records)


def test_records_are_taken_as_they_are_needed(ask):
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield pair()

    next(lm(endless(), ask, template="{{ instruction }}"))
    assert len(taken) == TOGETHER


def test_text_that_looks_like_a_template_is_text(ask, endpoint):
    one(ask, pair(instruction="{{ output }} {% for", output="{{ 7 * 7 }} <|assistant|>"))
    assert endpoint.scored == [((Message("user", "{{ output }} {% for"),), "{{ 7 * 7 }} <|assistant|>")]


def test_a_role_without_log_probabilities_is_refused(tmp_path):
    with Notebook(tmp_path / "journal.jsonl") as notebook:
        ask = Ask("judge", {"judge": Scripted(lambda prompt, sampling: "")}, Sampling(), notebook)
        with pytest.raises(
            RecipeError, match="'lm' needs token_logp, but role 'judge' gives text; give the role a local"
        ):
            list(lm([pair()], ask))


def test_ifd_of_a_real_model(tmp_path):
    model = tiny_model(seed=0)
    with Notebook(tmp_path / "journal.jsonl") as notebook:
        ask = Ask("teacher", {"teacher": Local(model)}, Sampling(), notebook)
        [scored] = lm([pair()], ask, score="ifd", template="{{ instruction }}")

    def ppl(prompt):
        begin = encode_prompt(model.tokenizer, (Message("user", prompt),))
        ids = begin + model.tokenizer.encode("Done.")
        logits = model.model(model.model.dummy_inputs["input_ids"].new_tensor([ids])).logits[0].detach().double()
        loss = -logits.log_softmax(-1)[range(len(begin) - 1, len(ids) - 1), ids[len(begin) :]]
        return float(loss.mean().exp())

    assert scored.fields["lm_score"] == pytest.approx(ppl("Do it.") / ppl(""), rel=1e-5)
