import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stillhouse.elicit.contract import Dropped
from stillhouse.elicit.generation.assemble import Layout, assemble
from stillhouse.errors import RecipeError
from stillhouse.records.types import Record
from tests.elicit.cooking import cook, of

ROW = {"q": "Why?", "a": "So.", "r": "Because", "teacher_prompt": "secret", "n": 2, "finish": "length"}


def assembled(folder: Path, *fields: dict[str, Any], **settings: Any):
    return cook(folder, of(*fields), {"use": "assemble", **settings})


def test_the_student_sees_what_a_layout_says_and_no_more(tmp_path: Path) -> None:
    layout = {"prompt": "{{ q }}", "system": "Be {{ n }}", "answer": "{{ a }}", "weight": 0.5, "source": "mine"}
    (record,) = assembled(tmp_path, ROW, layouts=[layout], keep=["q", "nothing"]).out
    assert [(m.role, m.content) for m in record.messages] == [("system", "Be 2"), ("user", "Why?")]
    (answer,) = record.responses
    assert (answer.text, answer.source, answer.weight, answer.finish) == ("So.", "mine", 0.5, "length")
    assert record.fields == {"q": "Why?"} and "secret" not in str(record.to_json())
    assert record.lineage[-1].operation == "assemble" and record.split == "train"


def test_parts_keep_their_blanks_and_their_weights(tmp_path: Path) -> None:
    parts = [{"text": "{{ r }}\n\n", "weight": 0}, {"text": " Answer: {{ a }}"}]
    (record,) = assembled(tmp_path, ROW, layouts=[{"prompt": "{{ q }}", "parts": parts}]).out
    (answer,) = record.responses
    assert answer.text == "Because\n\n Answer: So." == "".join(s.text for s in answer.spans)
    assert [s.weight for s in answer.spans] == [0, 1]


def test_all_one_or_none_of_the_layouts(tmp_path: Path) -> None:
    layouts = [
        {"prompt": f"{name} {{{{ q }}}}", "answer": "{{ a }}", "when": f"n != {i}"} for i, name in enumerate("xyz")
    ]
    assert [r.messages[0].content for r in assembled(tmp_path, ROW, layouts=layouts).out] == ["x Why?", "y Why?"]
    drawn = Counter(
        r.messages[0].content
        for r in assembled(tmp_path, *[ROW | {"i": i} for i in range(60)], layouts=layouts, pick="one").out
    )
    assert set(drawn) == {"x Why?", "y Why?"} and min(drawn.values()) > 10
    assert assembled(tmp_path, ROW, layouts=[layouts[2]]).why == ["no layout fits"]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"q": "", "a": "x"}, "empty prompt"),
        ({"q": "x", "a": " "}, "empty answer"),
        ({"q": "x", "a": "y" * 2_500_000}, "prompt too long"),
    ],
)
def test_what_has_nothing_to_learn_is_dropped(row: dict[str, Any], why: str, tmp_path: Path) -> None:
    assert assembled(tmp_path, row, layouts=[{"prompt": "{{ q }}", "answer": "{{ a }}"}]).why == [why]


def test_each_element_is_an_answer_that_ended_as_it_did(tmp_path: Path) -> None:
    row = {
        "q": "x",
        "all": [
            {"text": "a", "finish": "length", "score": 1},
            {"text": "b", "finish": "stop", "score": "?"},
            {"text": ""},
        ],
    }
    layout = {"prompt": "{{ q }}", "each": "all", "answer": "{{ each.text }}", "score": "{{ each.score }}"}
    (record,) = assembled(tmp_path, row, layouts=[layout]).out
    assert [(r.text, r.finish, r.score) for r in record.responses] == [("a", "length", 1.0), ("b", "stop", None)]


TURNS = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]


def test_a_conversation_ends_with_the_answer(tmp_path: Path) -> None:
    (record,) = assembled(tmp_path, {"talk": TURNS * 2, "t": "x"}, conversation="talk", system="S {{ t }}").out
    assert [m.role for m in record.messages] == ["system", "user", "assistant", "user"]
    assert (record.responses[0].text, record.learn) == ("Ho", "all")


@pytest.mark.parametrize(
    "talk",
    [
        *(None, "text", [], TURNS[:1], ["a", "b"], TURNS[::-1], [None, TURNS[1]]),
        *([turn, TURNS[1]] for turn in ({"role": "human", "content": "x"}, {"role": "user"})),
        [{"role": "user", "content": 3}, TURNS[1]],
    ],
)
def test_what_is_no_conversation_is_dropped(talk: Any, tmp_path: Path) -> None:
    assert "no conversation" in assembled(tmp_path, {"talk": talk}, conversation="talk").why[0]


def test_layouts_or_a_conversation(tmp_path: Path) -> None:
    for settings in ({}, {"layouts": [{"answer": "x"}], "conversation": "talk"}):
        with pytest.raises(RecipeError, match="either layouts or conversation"):
            assembled(tmp_path, ROW, **settings)


CANDIDATES = [
    {"text": "good", "right": True, "finish": "stop"},
    {"text": "cut", "right": False, "finish": "length"},
    {"text": "unknown", "right": "nan"},
]
RANKED = Layout(
    prompt="{{ question }}",
    answer="{{ each.text }}",
    each="candidates",
    source="candidates",
    score="{{ 1 if each.right is true else 0 if each.right is false else each.right }}",
)
GOLD = Layout(prompt="Another view of {{ question }}", answer="{{ gold }}", source="reference")


def ranked(pick: Any, *layouts: Layout, **fields: Any) -> list[Any]:
    record = Record(fields={"question": "Why?", "gold": "Because.", "candidates": CANDIDATES} | fields)
    return list(assemble([record], random.Random(0), layouts=layouts, pick=pick))


def test_scores_and_endings_are_those_of_each_candidate() -> None:
    (made,) = ranked("all", RANKED)
    assert [(r.text, r.score, r.finish) for r in made.responses] == [
        ("good", 1.0, "stop"),
        ("cut", 0.0, "length"),
        ("unknown", None, "stop"),
    ]


def test_whole_answers_end_with_their_layout() -> None:
    record = Record(fields={"question": "Why?", "candidates": CANDIDATES})
    (made,) = assemble([record], random.Random(0), layouts=(RANKED,), whole=True)
    assert isinstance(made, Record) and [r.finish for r in made.responses] == ["stop"] * 3


def test_without_a_score_there_is_none() -> None:
    (made,) = ranked("all", GOLD)
    assert made.responses[0].score is None


def test_together_is_one_record_with_the_answers_of_all() -> None:
    (made,) = ranked("together", RANKED, GOLD)
    assert [m.content for m in made.messages] == ["Why?"]
    assert len(made.answers("candidates")) == 3 and made.answers("reference")[0].text == "Because."
    assert len(ranked("all", RANKED, GOLD)) == 2 and len(ranked("one", RANKED, GOLD)) == 1


def test_together_needs_an_answer_of_every_layout_that_fits() -> None:
    (dropped,) = ranked("together", RANKED, GOLD, candidates=[])
    assert isinstance(dropped, Dropped) and dropped.reason == "empty answer"
    (made,) = ranked("together", GOLD, RANKED.model_copy(update={"when": "candidates"}), candidates=[])
    assert made.answers("candidates") == () and len(made.responses) == 1


def test_all_are_held_out_whatever_part_they_were_of() -> None:
    records = [Record((), (), split, {"question": "q" + split, "gold": "a"}) for split in ("", "train", "test")]
    held = list(assemble(records, random.Random(0), layouts=(GOLD,), split="test"))
    assert [r.split for r in held if isinstance(r, Record)] == ["test"] * 3
    as_they_were = list(assemble(records, random.Random(0), layouts=(GOLD,)))
    assert [r.split for r in as_they_were if isinstance(r, Record)] == ["", "train", "test"]
