import pytest
from pydantic import TypeAdapter, ValidationError

from stillhouse.objectives.settings import Fraction, NonNegative, Positive, Real


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [(Positive, 0.1, 0.0), (NonNegative, 0.0, -0.1), (Fraction, 1.0, 1.1), (Real, -3.0, float("nan"))],
)
def test_ranges(kind, good, bad):
    assert TypeAdapter(kind).validate_python(good) == good
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(bad)
