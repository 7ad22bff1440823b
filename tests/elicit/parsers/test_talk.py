import random

import pytest

from stillhouse.elicit.parsers import Unreadable
from stillhouse.elicit.parsers.talk import Turn, chunks, ordered


def talk(pattern: str) -> list[Turn]:
    roles = {"u": "user", "a": "assistant", "s": "system"}
    return [Turn(roles[letter], f"{letter}{n}") for n, letter in enumerate(pattern)]


def roles(turns: list[Turn]) -> str:
    return "".join(turn.role[0] for turn in turns)


@pytest.mark.parametrize(
    ("given", "kept"), [("ua", "ua"), ("suaua", "suaua"), ("aua", "ua"), ("uau", "ua"), ("suau", "sua")]
)
def test_from_a_question_to_an_answer(given: str, kept: str) -> None:
    assert roles(ordered(talk(given), False, 2, 0)) == kept


def test_two_turns_of_one_side() -> None:
    with pytest.raises(Unreadable, match="two turns"):
        ordered(talk("uaau"), False, 2, 0)
    assert ordered(talk("uuaa"), True, 2, 0) == [Turn("user", "u0\n\nu1"), Turn("assistant", "a2\n\na3")]


def test_bounds() -> None:
    with pytest.raises(Unreadable, match="too few"):
        ordered(talk("ua"), False, 4, 0)
    assert roles(ordered(talk("uauaua"), False, 2, 5)) == "uaua"
    with pytest.raises(Unreadable, match="too few"):
        ordered([], False, 0, 0)


def test_empty_turns_and_late_system_messages() -> None:
    with pytest.raises(Unreadable, match="an empty turn"):
        ordered([Turn("user", "a"), Turn("assistant", ""), Turn("user", "b"), Turn("assistant", "c")], False, 2, 0)
    cut = [Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c"), Turn("assistant", "")]
    assert len(ordered(cut, False, 2, 0)) == 2
    with pytest.raises(Unreadable, match="system message within"):
        ordered(talk("uasua"), False, 2, 0)


@pytest.mark.parametrize("seed", range(20))
def test_pieces_hold_everything_in_order_within_the_limit(seed: int) -> None:
    rng = random.Random(seed)
    system = [Turn("system", "s" * 5)] * rng.randrange(2)
    rounds = [
        [Turn("user", "q" * rng.randrange(1, 30)), Turn("assistant", "a" * rng.randrange(1, 30))] for _ in range(9)
    ]
    whole = [*system, *(turn for pair in rounds for turn in pair)]
    limit = rng.randrange(20, 120)
    pieces = chunks(whole, limit)
    assert [turn for piece in pieces for turn in piece[len(system) :]] == whole[len(system) :]
    for piece in pieces:
        assert piece[: len(system)] == system
        assert roles(piece[len(system) :]) == "ua" * ((len(piece) - len(system)) // 2)
        assert sum(len(turn.content) for turn in piece) <= limit or len(piece) == len(system) + 2
    assert chunks(whole, 0) == [whole]
