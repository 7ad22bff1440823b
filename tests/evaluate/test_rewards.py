"""Implicit rewards by hand, and against a plain forward pass."""

import numpy as np
import pytest
import torch

from stillhouse.evaluate.rewards import implicit_rewards, rewards
from stillhouse.models.tokenise import Encoded
from stillhouse.tiny import tiny_model
from tests.evaluate.test_answers import log_softmax, read, some_answers


def test_rewards_by_hand():
    found = implicit_rewards(
        torch.tensor([-10.0, -4.0, -3.0]),  # log q(y_t)
        torch.tensor([-6.0, -8.0, -5.0]),  # log q(y_s)
        torch.tensor([-8.0, -5.0, -4.0]),  # log p(y_t)
        torch.tensor([-9.0, -7.0, -6.0]),  # log p(y_s)
        torch.tensor([4, 2, 1]),
        torch.tensor([3, 5, 10]),
        beta=0.5,
    )
    assert found["reward_teacher"].tolist() == [-1.0, 0.5, 0.5]
    assert found["reward_student"].tolist() == [1.5, -0.5, 0.5]
    assert found["reward_teacher_per_token"].tolist() == [-0.25, 0.25, 0.5]
    assert found["reward_student_per_token"].tolist() == pytest.approx([0.5, -0.1, 0.05])
    assert found["reward_margin"].tolist() == [-2.5, 1.0, 0.0]
    assert found["reward_accuracy"].tolist() == [0.0, 1.0, 0.0]


def test_rewards_of_models():
    teacher, student = tiny_model(seed=1).model, tiny_model(seed=2).model
    chosen, rejected = some_answers(6, seed=1), some_answers(6, seed=2)

    def logp(model, answer):
        targets = list(answer.ids[answer.start :])
        return log_softmax(model, answer)[np.arange(len(targets)), targets].sum()

    r_t, r_s = ([0.1 * (logp(student, a) - logp(teacher, a)) for a in side] for side in (chosen, rejected))
    found = rewards(read(teacher), read(student), chosen, rejected, beta=0.1, micro_tokens=100)
    assert found["reward_teacher"].value == pytest.approx(np.mean(r_t), rel=1e-4)
    assert found["reward_student"].value == pytest.approx(np.mean(r_s), rel=1e-4)
    per_token = [r / a.counted for r, a in zip(r_t, chosen, strict=True)]
    assert found["reward_teacher_per_token"].value == pytest.approx(np.mean(per_token), rel=1e-4)
    assert found["reward_margin"].value == pytest.approx(np.mean(r_t) - np.mean(r_s), rel=1e-4)
    assert found["reward_accuracy"].value == pytest.approx(np.mean(np.array(r_t) > np.array(r_s)))
    assert {score.n for score in found.values()} == {6}


def test_a_student_equal_to_its_teacher_has_no_reward():
    model = tiny_model().model
    found = rewards(read(model), read(model), some_answers(4), some_answers(4, seed=1), beta=0.1)
    assert {score.value for score in found.values()} == {0.0}


def test_a_pair_with_an_empty_answer_is_left_out():
    teacher, student = tiny_model(seed=1).model, tiny_model(seed=2).model
    chosen, rejected = some_answers(3), [*some_answers(2, seed=1), Encoded((1, 2), start=2)]
    found = rewards(read(teacher), read(student), chosen, rejected, beta=0.1)
    assert found == rewards(read(teacher), read(student), chosen[:2], rejected[:2], beta=0.1)
    with pytest.raises(ValueError, match="at least one"):
        rewards(read(teacher), read(student), chosen[2:], rejected[2:], beta=0.1)
