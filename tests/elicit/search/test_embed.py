from pathlib import Path

import numpy as np
import pytest

from stillhouse.elicit.search.embed import embedder
from stillhouse.errors import RecipeError
from tests.elicit.search.embeddings import save_static

HERE = "tests.elicit.search.embeddings"


def test_rows_have_length_one_or_are_zero() -> None:
    rows = embedder(f"{HERE}:letters")(["abc", "", "zz top", "123"])
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 0, 1, 0])
    assert embedder(f"{HERE}:letters")([]).shape[0] == 0


def test_a_folder_of_model2vec_is_read_without_a_network(tmp_path: Path) -> None:
    embed = embedder(str(save_static(tmp_path / "tiny")))
    cat, kitten, copper = embed(["cat", "kitten", "copper"])
    assert cat @ kitten > 0.9 > 0.1 > abs(cat @ copper)


@pytest.mark.parametrize("name", ["", "no/such-folder", f"{HERE}:nothing"])
def test_a_model_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(RecipeError, match="model"):
        embedder(name)


def test_a_matrix_of_another_shape_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"shape \(1, 26\) for 2 texts"):
        embedder(f"{HERE}:too_few")(["a", "b"])
