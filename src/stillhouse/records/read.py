"""Where prompts and texts come from: the built-in seeds, .jsonl/.json files, Hugging Face data sets."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from stillhouse.errors import DataError
from stillhouse.records.rows import read_fields, read_row
from stillhouse.records.store import read_jsonl, reading
from stillhouse.records.types import Record, content_key

Row = tuple[str, dict[str, Any]]
"""A row and where it stands, e.g. "data.jsonl line 7"."""

SHORT = 200
"""Paragraphs of a .txt file with fewer characters are joined with the next one."""

_STRICTNESS = ("", "train", "valid", "test")


def read_records(source: str, *, limit: int | None = None) -> list[Record]:
    """All prompts of a source, each once, with its reference answers; `limit` takes a fixed sample by hash.

    `source`: "builtin", "builtin:NAME" (another file of seeds), a .jsonl, .jsonl.gz or .json path, or
    "hf:NAME[/CONFIGURATION][:split]" ("hf:openai/gsm8k/main"). Rows with the same prompt become one record with the
    references of all; of two splits it gets the one held out more strictly (test, valid, train).
    Raises DataError, with the line, for a row without a prompt, and for a source that is missing, malformed or empty.
    """
    merged: dict[str, Record] = {}
    for where, row in _rows(source, "tasks.jsonl"):
        record = read_row(row, where)
        known = merged.get(record.key)
        merged[record.key] = _merge(known, record) if known else record
    if not merged:
        raise DataError(f"{source} has no rows: give a source with at least one prompt.")
    return sample_by_hash(list(merged.values()), limit)


def read_set(source: str) -> list[Record]:
    """All rows of a source, also those without a prompt, as records of fields. Sources as for `read_records`."""
    return [read_fields(row, where) for where, row in _rows(source, "tasks.jsonl")]


def sample_by_hash(records: Sequence[Record], limit: int | None) -> list[Record]:
    """At most `limit` records, chosen by content, in their order: a smaller sample is part of a larger one."""
    if limit is None or len(records) <= limit:
        return list(records)
    chosen = sorted(range(len(records)), key=lambda i: (_fraction("sample", records[i]), i))[:limit]
    return [records[i] for i in sorted(chosen)]


def split_by_hash(records: Sequence[Record], *, valid: float = 0.1, test: float = 0.1) -> list[Record]:
    """Give records without a split one: "train", "valid" or "test" by content, whatever their order or company.

    `valid` and `test` are the expected fractions of records. Raises DataError when they leave nothing to train on.
    """
    if valid + test >= 1:
        raise DataError(f"valid = {valid:g} and test = {test:g} leave nothing to train on: their sum must be below 1.")

    def drawn(record: Record) -> str:
        fraction = _fraction("split", record)
        return "test" if fraction < test else "valid" if fraction < test + valid else "train"

    return [r if r.split else replace(r, split=drawn(r)) for r in records]


def read_texts(source: str) -> list[str]:
    """Plain texts: "builtin", a .txt (paragraphs, see SHORT), a .jsonl with a `text` field, or "hf:NAME[:split]".

    .gz of the files too. Raises DataError for a source that is missing, malformed or empty, with the line.
    """
    if source.removesuffix(".gz").endswith(".txt"):
        texts = _paragraphs(source)
    else:
        texts = [_text(row, where) for where, row in _rows(source, "text.jsonl")]
    if not texts:
        raise DataError(f"{source} has no text: give a source with at least one paragraph.")
    return texts


def _rows(source: str, builtin: str) -> Iterator[Row]:
    if source == "builtin":
        source = _builtin(builtin)
    elif source.startswith("builtin:"):
        source = _builtin(f"{source.removeprefix('builtin:')}.jsonl")
    name = source.removesuffix(".gz")
    if source.startswith("hf:"):
        yield from _hugging_face(source)
    elif name.endswith(".jsonl"):
        for number, row in read_jsonl(source):
            yield f"{source} line {number}", row
    elif name.endswith(".json"):
        yield from _json_list(source)
    else:
        raise DataError(
            f'{source} is no source of data: use "builtin", "builtin:NAME", a .jsonl or .json path, or "hf:NAME".'
        )


def _builtin(name: str) -> str:
    folder = Path(str(files("stillhouse") / "seeds"))
    if not (folder / name).is_file():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.jsonl")))
        raise DataError(f"there are no built-in seeds {name.removesuffix('.jsonl')!r}; there are {known}.")
    return str(folder / name)


def _json_list(path: str) -> Iterator[Row]:
    with reading(path) as file:
        data = file.read()
    try:
        rows = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON ({error}): correct it, or write one object a line as .jsonl.") from None
    if not isinstance(rows, list):
        raise DataError(f"{path} holds a JSON {type(rows).__name__}: it must be a list of objects.")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise DataError(f"{path} row {number}: a JSON {type(row).__name__} instead of an object with named fields.")
        yield f"{path} row {number}", row


def _hugging_face(source: str) -> Iterator[Row]:
    try:
        import datasets
        from datasets.exceptions import DatasetsError
    except ImportError:
        raise DataError(f"{source} needs an extra package: run `pip install stillhouse[datasets]`.") from None
    name, _, split = source.removeprefix("hf:").partition(":")
    name, configuration = _configured(name)
    try:
        rows = datasets.load_dataset(name, configuration, split=split or "train")
    except (OSError, ValueError, DatasetsError) as error:
        raise DataError(f"{source} cannot be loaded ({error}): check its name, its split and the network.") from None
    for number, row in enumerate(rows, start=1):
        yield f"{source} row {number}", dict(row)


def _configured(name: str) -> tuple[str, str | None]:
    """OWNER/NAME/CONFIGURATION in two parts; a folder of this machine, or a name alone, has no configuration."""
    repository = re.fullmatch(r"([\w-][\w.-]*/[\w.-]+)/([\w.-]+)", name)
    return (repository[1], repository[2]) if repository and not Path(name).is_dir() else (name, None)


def _paragraphs(path: str) -> list[str]:
    with reading(path) as file:
        try:
            text = file.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: byte {error.start + 1} is not UTF-8; save the file as UTF-8.") from None
    texts: list[str] = []
    for block in _blocks(text):
        if texts and len(texts[-1]) < SHORT:
            texts[-1] += "\n\n" + block
        else:
            texts.append(block)
    return texts


def _blocks(text: str) -> Iterator[str]:
    block: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line.strip():
            block.append(line.rstrip())
        elif block:
            yield "\n".join(block)
            block = []


def _text(row: dict[str, Any], where: str) -> str:
    text = row.get("text")
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"{where}: no text; each row needs a field `text` that is not empty.")
    return text


def _merge(known: Record, other: Record) -> Record:
    new = [r for r in other.responses if r not in known.responses]
    split = max(known.split, other.split, key=_STRICTNESS.index)
    return replace(known.adding(*new), split=split, fields=other.fields | known.fields)


def _fraction(salt: str, record: Record) -> float:
    return int(content_key([salt, record.key]), 16) / 16**24
