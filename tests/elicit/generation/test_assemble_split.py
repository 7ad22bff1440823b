"""`assemble` with `split`: what is to be measured on is never learnt."""

import random

from stillhouse.elicit.generation.assemble import Layout, assemble
from stillhouse.records.types import Record

LAYOUT = (Layout(prompt="{{ question }}", answer="{{ answer }}"),)


def test_all_are_held_out_whatever_part_they_were_of() -> None:
    records = [Record((), (), split, {"question": "q" + split, "answer": "a"}) for split in ("", "train", "test")]
    held = list(assemble(records, random.Random(0), layouts=LAYOUT, split="test"))
    assert [r.split for r in held if isinstance(r, Record)] == ["test"] * 3
    as_they_were = list(assemble(records, random.Random(0), layouts=LAYOUT))
    assert [r.split for r in as_they_were if isinstance(r, Record)] == ["", "train", "test"]
