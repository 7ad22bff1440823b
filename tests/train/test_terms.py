import pytest

from stillhouse.errors import RecipeError
from stillhouse.train.terms import read_terms
from tests.train.stage import train_settings


@pytest.mark.parametrize(
    ("use", "fault"),
    [
        ({"use": "ppo_clip"}, r"'ppo_clip' needs advantages, which training does not give"),
        ({"use": "minillm"}, r"'minillm' learns from the present student's samples; give it on = \"student\""),
        ({"use": "listwise_reward"}, r"needs candidate_rank, candidate_reward, which training does not give"),
        ({"use": "rrhf", "on": "student"}, r"'rrhf' ranks recorded answers that have scores"),
        ({"use": "sft", "interpolation": {}}, "'sft' has no interpolation"),
        ({"use": "taid", "t": 0.5, "interpolation": {}}, "both t and interpolation"),
        ({"use": "taid", "t": 1.5}, "'t' is 1.5; it should be less than or equal to 1"),
    ],
)
def test_what_training_cannot_do_is_said_before_it_begins(use, fault):
    with pytest.raises(RecipeError, match=fault):
        read_terms(train_settings(use))


def test_a_moving_term_starts_at_its_start():
    (term,) = read_terms(train_settings({"use": "taid", "interpolation": {"start": 0.25}}))
    assert term.settings["t"] == 0.25 and term.after(1.0, 0.0).after(1.0, 0.5).settings["t"] >= 0.625
    (fixed,) = read_terms(train_settings({"use": "taid"}))
    assert fixed.after(1.0, 0.9) is fixed
