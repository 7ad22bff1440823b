"""One row of somebody's data set becomes one Record: the field names that are understood.

    {"messages": [{"role", "content"}, ...]}            the last turn is the reference, if the assistant's
    {"instruction", "input"|"context"?, ANSWER?}        joined as "instruction\\n\\ninput"
    {"instruction", "instances": [{"input", "output"}]} Self-Instruct: all outputs for the first instance's input
    {"prompt"|"question"|"query", ANSWER?}

ANSWER is "output", "response", "responses", "answer", "completion", "reference" or "references": a text, or a list of
texts.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from stillhouse.errors import DataError
from stillhouse.records.types import Message, Origin, Record, Response

PROMPTS = ("prompt", "question", "query")
ANSWERS = ("output", "response", "responses", "answer", "completion", "reference", "references")
CONTEXTS = ("input", "context")
RECORD = ("messages", "responses", "split", "fields", "meta", "learn", "lineage")
"""Names that mean something of their own; all other fields of a row are kept as the record's fields."""

SPLITS = {"train": "train", "valid": "valid", "validation": "valid", "dev": "valid", "test": "test", "held_out": "test"}


def read_row(row: dict[str, Any], where: str) -> Record:
    """The record of a row; `where` (file and line) goes into errors.

    Raises DataError when there is no prompt, or a field is not of the kind that its name promises.
    """
    row = {name: value for name, value in row.items() if value is not None}
    if "messages" in row:
        messages, references = _conversation(row, where)
    elif "instruction" in row:
        messages, references = _instruction(row, where)
    elif name := next((name for name in PROMPTS if name in row), ""):
        messages, references = [Message("user", _text(row, name, where))], _references(row, where)
    else:
        found = ", ".join(list(row)[:8]) or "no fields"
        raise DataError(f"{where}: no prompt; a row needs `messages`, `instruction` or `prompt`, found {found}.")
    if not any(m.content.strip() for m in messages if m.role == "user"):
        raise DataError(f"{where}: the prompt is empty; give it a text or remove the row.")
    responses = dict.fromkeys(Response(source="reference", text=text) for text in references)
    record = Record(tuple(messages), tuple(responses) + _kept(row, where), _split(row, where), _fields(row))
    return replace(record, learn="all" if row.get("learn") == "all" else "last", lineage=_lineage(row))


def read_fields(row: dict[str, Any], where: str) -> Record:
    """The record of a row of a named set, which may be anything: fields alone, where there is no prompt."""
    known = ("messages", "instruction", *PROMPTS)
    if any(row.get(name) for name in known):
        return read_row(row, where)
    return Record((), (), _split(row, where), _fields(row))


def _conversation(row: dict[str, Any], where: str) -> tuple[list[Message], list[str]]:
    turns = row["messages"]
    if not isinstance(turns, Sequence) or not all(isinstance(t, dict) for t in turns):
        raise DataError(f'{where}: `messages` must be a list of {{"role", "content"}} objects.')
    messages = []
    for turn in turns:
        role, content = turn.get("role"), turn.get("content")
        if role not in ("system", "user", "assistant") or not isinstance(content, str):
            raise DataError(f"{where}: each message needs a role (system, user or assistant) and a text as content.")
        messages.append(Message(role, content))
    if messages and messages[-1].role == "assistant":
        return messages[:-1], [messages[-1].content]
    return messages, [] if _is_record(row) else _references(row, where)


def _instruction(row: dict[str, Any], where: str) -> tuple[list[Message], list[str]]:
    instruction = _text(row, "instruction", where)
    if "instances" not in row:
        given = next((_text(row, name, where) for name in CONTEXTS if row.get(name)), "")
        return [_joined(instruction, given)], _references(row, where)
    instances = row["instances"]
    if not isinstance(instances, list) or not instances or not all(isinstance(i, dict) for i in instances):
        raise DataError(f'{where}: `instances` must be a list of {{"input", "output"}} objects, at least one.')
    given = [_text(i, "input", where) if i.get("input") else "" for i in instances]
    same = [i for i, g in zip(instances, given, strict=True) if g == given[0]]
    return [_joined(instruction, given[0])], [text for i in same for text in _references(i, where)]


def _joined(instruction: str, given: str) -> Message:
    return Message("user", f"{instruction}\n\n{given}" if given.strip() else instruction)


def _references(row: dict[str, Any], where: str) -> list[str]:
    name = next((n for n in ANSWERS if row.get(n) not in (None, "", [])), None)
    if name is None:
        return []
    texts = [row[name]] if isinstance(row[name], str) else row[name]
    if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
        raise DataError(f"{where}: `{name}` must be a text or a list of texts.")
    return [t for t in texts if t.strip()]


def _text(row: dict[str, Any], name: str, where: str) -> str:
    if not isinstance(row[name], str):
        raise DataError(f"{where}: `{name}` must be a text, found a {type(row[name]).__name__}.")
    return row[name]


def _split(row: dict[str, Any], where: str) -> str:
    given = row.get("split", "")
    if given == "":
        return ""
    if not isinstance(given, str) or given not in SPLITS:
        raise DataError(f"{where}: split {given!r} is unknown; use train, valid or test, or leave it out.")
    return SPLITS[given]


def _is_record(row: dict[str, Any]) -> bool:
    """Whether a row was written by Record.to_json: its responses are objects that name their source."""
    answers = row.get("responses")
    return isinstance(answers, list | tuple) and all(isinstance(a, dict) and "source" in a for a in answers)


def _kept(row: dict[str, Any], where: str) -> tuple[Response, ...]:
    if not _is_record(row):
        return ()
    if not all(isinstance(answer.get("text"), str) for answer in row["responses"]):
        raise DataError(f"{where}: each of `responses` needs a `text`.")
    try:
        return tuple(Response.from_json(answer) for answer in row["responses"])
    except TypeError as error:
        raise DataError(f"{where}: a response with unknown or missing fields ({error}).") from None


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    given = row.get("fields") or row.get("meta")
    return (dict(given) if isinstance(given, dict) else {}) | {k: v for k, v in row.items() if k not in RECORD}


def _lineage(row: dict[str, Any]) -> tuple[Origin, ...]:
    events = row.get("lineage")
    return tuple(Origin(**e) for e in events) if isinstance(events, list) and _is_record(row) else ()
