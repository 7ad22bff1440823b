import pytest

from stillhouse.report.kitchen import Spilt
from stillhouse.report.specimens import EVENTS, LIMIT, PARTS, specimen, spills


def shown(record: dict) -> dict[str, str]:
    return {name: text.text for name, text in specimen(record).parts}


def test_what_is_in_a_message_is_not_shown_again_as_a_field() -> None:
    record = {
        "messages": [{"role": "user", "content": "Write a poem."}],
        "responses": [{"source": "teacher", "text": "Roses."}],
        "fields": {"instruction": "Write a poem.", "output": "Roses.", "topic": "love", "similarity": 0.123456789},
    }
    assert shown(record) == {"user": "Write a poem.", "teacher": "Roses.", "topic": "love", "similarity": "0.1235"}


def test_fields_of_any_kind_are_shown_as_json() -> None:
    fields = {"list": ["ü", 1], "none": None, "empty": "", "dict": {"a": True}}
    assert shown({"fields": fields}) == {"list": '["ü", 1]', "dict": '{"a": true}'}


@pytest.mark.parametrize(
    "record", [{}, {"fields": [1], "messages": "x", "responses": {}}, {"messages": [{"role": 3}], "lineage": [1, {}]}]
)
def test_damaged_records_are_shown_as_far_as_they_go(record: dict) -> None:
    found = specimen(record)
    assert all(text.text == "" for _, text in found.parts)


def test_a_megabyte_is_cut_and_many_values_are_counted() -> None:
    found = specimen({"fields": {f"f{i}": "x" * 1_000_000 for i in range(20)}})
    assert len(found.parts) == PARTS and found.note == "and 12 more values"
    assert all(len(text.text) == LIMIT and "1,000,000" in text.note for _, text in found.parts)


def test_a_life_is_told_event_by_event() -> None:
    lineage = [
        {"operation": "seeds"},
        {"operation": "expand", "step": "grow", "round": 3, "role": "teacher"},
        {"operation": "label", "step": "label", "round": 1, "role": "teacher"},
        {"operation": "evolve", "round": "2", "role": None},
    ]
    assert specimen({"lineage": lineage}).life == (
        "seeds", "expand in grow (round 3, teacher)", "label (teacher)", "evolve",
    )  # fmt: skip
    long = specimen({"lineage": [{"operation": f"o{i}"} for i in range(100)]}).life
    assert len(long) == EVENTS + 1 and long[0] == "88 earlier" and long[-1] == "o99"


def test_dropped_records_stand_by_step_and_reason() -> None:
    one, two = ("main", "rules"), ("main", "gate")
    dropped = [Spilt(one, 1, "short", {}), Spilt(two, 1, "", {}), Spilt(one, 2, "short", {}), Spilt(one, 2, "odd", {})]
    found = spills(dropped)
    assert [(s.step, s.reason, len(s.records)) for s in found] == [
        ("rules", "short", 2), ("gate", "no reason given", 1), ("rules", "odd", 1),
    ]  # fmt: skip
    assert spills([*dropped, Spilt(("later", "rules"), 1, "short", {})])[-1].step == "later · rules"
