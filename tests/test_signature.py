import math

import pytest

from stillhouse.errors import RecipeError
from stillhouse.signature import imported


def test_a_function_is_found_by_its_name() -> None:
    assert imported("math:sqrt", "scorer") is math.sqrt


@pytest.mark.parametrize("name", ["", "math", "math:", ":sqrt", "math:nothing", "no_such_module:x", "math:pi"])
def test_what_is_no_function_is_refused_with_its_name(name: str) -> None:
    with pytest.raises(RecipeError, match=rf"scorer '{name}'"):
        imported(name, "scorer")
