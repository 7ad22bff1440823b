import pytest

from stillhouse.errors import RecipeError
from stillhouse.objectives import OBJECTIVES
from stillhouse.objectives.contract import check_settings, is_per_sequence, needs


def test_needs_are_the_positional_names_in_order():
    assert needs(OBJECTIVES["sft"]) == ("student_logits", "labels")
    assert not is_per_sequence(OBJECTIVES["sft"])
    assert is_per_sequence(OBJECTIVES["dpkd"])


def test_unknown_tensor_names_the_nearest():
    def mine(student_logit, *, a=1.0): ...

    with pytest.raises(RecipeError, match=r"'mine' needs 'student_logit'.*student_logits"):
        needs(mine)


def test_tensors_per_token_and_per_sequence_do_not_mix():
    def mine(student_logits, chosen_length): ...

    with pytest.raises(RecipeError, match="mixes"):
        needs(mine)


def test_star_arguments_are_refused():
    def mine(student_logits, **settings): ...

    with pytest.raises(RecipeError, match="settings"):
        needs(mine)


def test_settings():
    check_settings(OBJECTIVES["jsd"], {"beta": 0.1, "temperature": 2.0})
    with pytest.raises(RecipeError, match="'jsd' has no setting 'betta'; its settings are beta, temperature"):
        check_settings(OBJECTIVES["jsd"], {"betta": 0.1})

    def mine(labels): ...

    with pytest.raises(RecipeError, match="it has no settings"):
        check_settings(mine, {"a": 1})
