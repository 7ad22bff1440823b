import random

import numpy as np
import pytest

from stillhouse.elicit.search.hits import Hit, best


@pytest.mark.parametrize("seed", range(20))
def test_the_best_are_those_of_a_stable_sort(seed: int) -> None:
    rng = random.Random(seed)
    scores = [float(rng.randint(-3, 3)) for _ in range(rng.randint(1, 40))]
    texts = [f"text {i}" for i in range(len(scores))]
    wanted = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    for most in (1, 5, 100):
        found = best(texts, np.array(scores), most)
        assert found == [Hit(texts[i], scores[i]) for i in wanted[:most]]


def test_of_nothing_nothing_is_best() -> None:
    assert best([], np.zeros(0), 5) == [] and best(["a"], np.ones(1), 0) == []
