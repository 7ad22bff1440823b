"""Sources are read whole or refused with the line; splits and samples depend on content alone."""

import gzip
import json
import random
import subprocess
import sys

import pytest

from stillhouse.errors import DataError
from stillhouse.records.read import read_records, read_texts, sample_by_hash, split_by_hash
from stillhouse.records.types import Message, Record

ROWS = [{"prompt": f"Question {n}?", "answer": f"Answer {n}."} for n in range(5)]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def prompts(records):
    return [record.messages[-1].content for record in records]


def many(count):
    return [Record((Message("user", f"Question {n}?"),), split="") for n in range(count)]


def test_jsonl_gz_and_json_agree(tmp_path):
    lines = write(tmp_path / "a.jsonl", ROWS)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    (tmp_path / "a.json").write_text(json.dumps(ROWS))
    records = read_records(lines)
    assert prompts(records) == [row["prompt"] for row in ROWS]
    assert read_records(lines + ".gz") == records == read_records(str(tmp_path / "a.json"))


def test_rows_of_one_prompt_are_merged(tmp_path):
    rows = [
        {"prompt": "a", "answer": "1", "split": "train", "id": 1},
        {"prompt": "b", "answer": "2"},
        {"prompt": "a", "answer": "3", "split": "test", "category": "x"},
        {"prompt": "a", "answer": "1"},
    ]
    records = read_records(write(tmp_path / "a.jsonl", rows))
    assert prompts(records) == ["a", "b"]
    assert [r.text for r in records[0].answers("reference")] == ["1", "3"]
    assert records[0].split == "test"
    assert records[0].fields == {"id": 1, "category": "x", "prompt": "a", "answer": "1"}


def test_limit_is_a_fixed_and_nested_sample(tmp_path):
    rows = [{"prompt": f"Question {n}?"} for n in range(100)]
    path = write(tmp_path / "a.jsonl", rows)
    few, more = read_records(path, limit=10), read_records(path, limit=30)
    assert (len(few), len(more)) == (10, 30)
    assert set(prompts(few)) < set(prompts(more))
    assert prompts(few) == sorted(prompts(few), key=[row["prompt"] for row in rows].index)
    random.Random(0).shuffle(rows)
    assert set(prompts(read_records(write(tmp_path / "b.jsonl", rows), limit=10))) == set(prompts(few))
    assert len(read_records(path, limit=1000)) == 100


def test_split_by_hash_is_stable_and_near_its_fractions():
    records = many(2000)
    splits = {r.key: r.split for r in split_by_hash(records, valid=0.1, test=0.2)}
    assert {r.key: r.split for r in split_by_hash(records[::-1], valid=0.1, test=0.2)} == splits
    assert {r.key: r.split for r in split_by_hash(records[:100], valid=0.1, test=0.2)}.items() <= splits.items()
    counts = {name: list(splits.values()).count(name) for name in ("train", "valid", "test")}
    assert counts["valid"] == pytest.approx(200, abs=60)
    assert counts["test"] == pytest.approx(400, abs=80)
    assert sum(counts.values()) == 2000


def test_split_by_hash_keeps_given_splits_and_is_no_sample_bias():
    given = [Record(r.messages, split="valid") for r in many(20)]
    assert split_by_hash(given, valid=0.0, test=0.5) == given
    sample = sample_by_hash(many(2000), 500)
    tested = [r for r in split_by_hash(sample, valid=0.0, test=0.5) if r.split == "test"]
    assert len(tested) == pytest.approx(250, abs=50)


def test_split_fractions_must_leave_a_rest():
    with pytest.raises(DataError, match=r"valid = 0\.5 and test = 0\.5 leave nothing to train on"):
        split_by_hash(many(3), valid=0.5, test=0.5)


def test_zero_fractions_give_train_only():
    assert {r.split for r in split_by_hash(many(50), valid=0.0, test=0.0)} == {"train"}


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.jsonl", "", "has no rows"),
        ("a.jsonl", '{"prompt": "a"}\n\n', "line 2: the line is empty"),
        ("a.jsonl", '{"prompt": "a"}\n{"text": "b"}\n', "line 2: no prompt"),
        ("a.json", "[]", "has no rows"),
        ("a.json", "[{", "is not JSON"),
        ("a.json", "{}", "holds a JSON dict"),
        ("a.json", '[{"prompt": "a"}, 3]', "row 2: a JSON int"),
        ("a.csv", "a,b", "is no source of data"),
    ],
)
def test_bad_sources(tmp_path, name, content, why):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=why):
        read_records(str(tmp_path / name))


def test_missing_source(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_records(str(tmp_path / "none.jsonl"))


def test_hugging_face_data_set(tmp_path):
    pytest.importorskip("datasets")
    write(tmp_path / "train.jsonl", ROWS)
    write(tmp_path / "test.jsonl", ROWS[:2])
    assert prompts(read_records(f"hf:{tmp_path}")) == [row["prompt"] for row in ROWS]
    assert len(read_records(f"hf:{tmp_path}:test")) == 2
    with pytest.raises(DataError, match="cannot be loaded"):
        read_records(f"hf:{tmp_path}:nonsense")
    with pytest.raises(DataError, match="cannot be loaded"):
        read_records(f"hf:{tmp_path}/none")


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        ("hf:openai/gsm8k/main:test", ("openai/gsm8k", "main", "test")),
        ("hf:tau/commonsense_qa", ("tau/commonsense_qa", None, "train")),
        ("hf:gsm8k", ("gsm8k", None, "train")),
    ],
)
def test_hugging_face_configuration(monkeypatch, source, asked):
    datasets = pytest.importorskip("datasets")
    calls = []

    def load(name, configuration, *, split):
        calls.append((name, configuration, split))
        return [{"question": "1 + 1?", "answer": "2"}]

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert len(read_records(source)) == 1
    assert calls == [asked]


def test_hugging_face_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"pip install stillhouse\[datasets\]"):
        read_records("hf:some/name")


def test_texts_of_a_txt_file(tmp_path):
    long = "A long paragraph, line one.\nLine two. " + "x" * 300
    (tmp_path / "a.txt").write_text(f"\ufeffTitle\r\n\r\n{long}\n\n \n\nShort.\n\nAlso short.\n", encoding="utf-8")
    assert read_texts(str(tmp_path / "a.txt")) == [f"Title\n\n{long}", "Short.\n\nAlso short."]
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress((tmp_path / "a.txt").read_bytes()))
    assert read_texts(str(tmp_path / "a.txt.gz")) == read_texts(str(tmp_path / "a.txt"))


def test_texts_of_jsonl(tmp_path):
    assert read_texts(write(tmp_path / "a.jsonl", [{"text": "one"}, {"text": "two"}])) == ["one", "two"]
    for row in ({"text": " "}, {"body": "a"}, {"text": 3}):
        with pytest.raises(DataError, match="line 1: no text"):
            read_texts(write(tmp_path / "b.jsonl", [row]))


def test_bad_texts(tmp_path):
    (tmp_path / "a.txt").write_bytes(b" \n\n ")
    with pytest.raises(DataError, match="has no text"):
        read_texts(str(tmp_path / "a.txt"))
    (tmp_path / "a.txt").write_bytes(b"ab\xff")
    with pytest.raises(DataError, match="byte 3 is not UTF-8"):
        read_texts(str(tmp_path / "a.txt"))


def test_builtin_seeds():
    records = read_records("builtin")
    assert {r.split for r in records} == {"train", "test"}
    assert all(r.answers("reference") for r in records)
    assert all(len(text) > 50 for text in read_texts("builtin"))


def test_torch_free_rooms():
    """records and elicit start without torch, and so do the endpoints that need no model."""
    code = (
        "import sys, stillhouse.records, stillhouse.elicit.kitchen, stillhouse.endpoints.scripted, "
        "stillhouse.endpoints.recorded, stillhouse.endpoints.server; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
