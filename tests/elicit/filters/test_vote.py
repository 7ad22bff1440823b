import random
from collections import Counter, defaultdict
from typing import Any

import pytest

from stillhouse.elicit.contract import Dropped
from stillhouse.elicit.filters.vote import vote
from stillhouse.records.types import Record


def paths(*pairs: tuple[str, Any]) -> list[Record]:
    return [Record(fields={"question": q, "answer": a, "n": n}) for n, (q, a) in enumerate(pairs)]


def kept(records: list[Record], **settings: Any) -> list[int]:
    return [r.fields["n"] for r in vote(records, **settings) if isinstance(r, Record)]


def reasons(records: list[Record], **settings: Any) -> list[str]:
    return [r.reason for r in vote(records, **settings) if isinstance(r, Dropped)]


LMSI = paths(("q", "9"), ("p", "1"), ("q", "7"), ("q", "7.0"), ("p", "2"), ("q", "$7"), ("q", ""))


def test_all_paths_that_reach_the_majority_answer() -> None:
    assert kept(LMSI, kind="number") == [1, 2, 3, 5]
    assert reasons(LMSI, kind="number") == ["in the minority", "in the minority", "no answer"]


def test_every_record_notes_the_votes_of_its_own_answer() -> None:
    noted = {r.fields["n"]: r.fields["votes"] for r in vote(LMSI, kind="number", keep="all") if isinstance(r, Record)}
    assert noted[0] == {"count": 1, "share": 0.25, "won": False}
    assert noted[5] == {"count": 3, "share": 0.75, "won": True}
    assert noted[1] == {"count": 1, "share": 0.5, "won": True}, "of equals the first"


def test_one_of_each_and_too_little_agreement() -> None:
    assert kept(LMSI, kind="number", keep="one") == [1, 2]
    assert kept(LMSI, kind="number", min_share=0.6) == [2, 3, 5]
    assert reasons(LMSI, kind="number", min_share=0.6).count("no agreement") == 2


def test_a_record_that_belongs_to_no_question() -> None:
    assert reasons([Record(fields={"answer": "7"})]) == ["nothing in 'question'"]
    assert reasons([Record(fields={"answer": "7"})], by="nowhere") == ["nothing in 'nowhere'"]
    same = [Record(fields={"answer": "7", "id": ["a", 1]}), Record(fields={"answer": "8", "id": ["a", 1]})]
    assert len(reasons(same, by="id")) == 1


@pytest.mark.parametrize("seed", range(10))
def test_as_counted_by_hand(seed: int) -> None:
    rng = random.Random(seed)
    records = paths(*((f"q{rng.randrange(5)}", rng.choice("abc")) for _ in range(60)))
    groups: dict[str, list[str]] = defaultdict(list)
    for record in records:
        groups[record.fields["question"]].append(record.fields["answer"])
    best = {
        q: max(answers, key=lambda a, answers=answers: (Counter(answers)[a], -answers.index(a)))
        for q, answers in groups.items()
    }
    expected = [r.fields["n"] for r in records if best[r.fields["question"]] == r.fields["answer"]]
    assert kept(records) == expected
    assert kept(records) == kept(records)
