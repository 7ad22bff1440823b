"""Fidelity against NumPy in float64, an answer at a time."""

import numpy as np
import pytest

from stillhouse.evaluate.fidelity import divergences, fidelity
from stillhouse.models.tokenise import Encoded
from stillhouse.tiny import tiny_model
from tests.evaluate.test_answers import log_softmax, read, some_answers


def test_fidelity_by_numpy():
    teacher, student = tiny_model(layers=3).model, tiny_model(seed=1, hidden=16, extra_rows=7).model
    answers = some_answers(12)
    kl, reverse, agree, first = [], [], [], []
    for answer in answers:
        log_p, log_q = log_softmax(teacher, answer), log_softmax(student, answer)
        kl.append((np.exp(log_p) * (log_p - log_q)).sum(-1))
        reverse.append((np.exp(log_q) * (log_q - log_p)).sum(-1))
        agree.append(log_p.argmax(-1) == log_q.argmax(-1))
        first.append((kl[-1][0], reverse[-1][0]))
    found = fidelity(read(teacher), read(student), answers, micro_tokens=150)
    assert found["kl"].value == pytest.approx(np.concatenate(kl).mean(), rel=1e-4)
    assert found["reverse_kl"].value == pytest.approx(np.concatenate(reverse).mean(), rel=1e-4)
    assert found["top1"].value == pytest.approx(100 * np.concatenate(agree).mean())
    assert found["first_kl"].value == pytest.approx(np.mean([f for f, _ in first]), rel=1e-4)
    assert found["first_reverse_kl"].value == pytest.approx(np.mean([r for _, r in first]), rel=1e-4)
    for score in found.values():
        assert score.n == 12
        assert score.low <= score.value <= score.high


def test_a_model_is_its_own_best_student():
    model, answers = tiny_model().model, some_answers()
    found = fidelity(read(model), read(model), answers)
    assert found["top1"].value == found["top1"].low == found["top1"].high == 100.0
    assert all(found[name].value == pytest.approx(0.0, abs=1e-6) for name in found if name != "top1")


def test_the_two_directions_trade_places_with_the_models():
    one, other, answers = tiny_model(seed=1).model, tiny_model(seed=2).model, some_answers(5)
    there, back = (fidelity(read(a), read(b), answers) for a, b in ((one, other), (other, one)))
    assert there["kl"].value == pytest.approx(back["reverse_kl"].value, rel=1e-5)
    assert there["first_reverse_kl"].value == pytest.approx(back["first_kl"].value, rel=1e-5)
    assert there["top1"] == back["top1"]


def test_the_grouping_of_answers_does_not_matter():
    one, other, answers = tiny_model(seed=1).model, tiny_model(seed=2).model, some_answers(20)
    together = divergences(read(one), read(other), answers)
    apart = divergences(read(one), read(other), answers, micro_tokens=1)
    assert together.tokens.tolist() == apart.tokens.tolist() == [a.counted for a in answers]
    np.testing.assert_allclose(together.kl, apart.kl, rtol=1e-4)
    np.testing.assert_allclose(together.first_reverse_kl, apart.first_reverse_kl, rtol=1e-3)


def test_the_first_token_is_measured_before_the_answer_is_seen():
    one, other = tiny_model(seed=1).model, tiny_model(seed=2).model
    prompt = (5, 6, 7)
    answers = [Encoded((*prompt, *rest), start=3) for rest in ((1,), (200, 3, 3, 9))]
    found = divergences(read(one), read(other), answers)
    assert float(found.first_kl[0]) == pytest.approx(float(found.first_kl[1]), rel=1e-5)
    assert float(found.kl[0]) == float(found.first_kl[0])


def test_empty_answers_are_left_out():
    one, other, answers = tiny_model(seed=1).model, tiny_model(seed=2).model, some_answers(3)
    with_empty = [*answers, Encoded((1, 2), start=2)]
    assert fidelity(read(one), read(other), with_empty) == fidelity(read(one), read(other), answers)
    with pytest.raises(ValueError, match="at least one"):
        fidelity(read(one), read(other), with_empty[-1:])
