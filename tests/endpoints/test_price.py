"""What tokens cost."""

import pytest

from stillhouse.endpoints.price import Price


def test_a_price_is_for_a_million_tokens():
    price = Price(input=2.5, output=10.0)
    assert price.cost(1_000_000, 0) == 2.5
    assert price.cost(0, 1_000_000) == 10.0
    assert price.cost(1200, 300) == pytest.approx(0.003 + 0.003)
    assert Price().cost(10**9, 10**9) == 0
