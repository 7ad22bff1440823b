from stillhouse.objectives.inputs import PER_SEQUENCE, PER_TOKEN, TENSORS


def test_no_name_is_both_per_token_and_per_sequence():
    assert not set(PER_TOKEN) & set(PER_SEQUENCE)
    assert set(TENSORS) == set(PER_TOKEN) | set(PER_SEQUENCE)
