"""What templates, guards and filters see of a record."""

from collections.abc import Mapping
from typing import Any

from stillhouse.records.types import Record


def view(record: Record) -> dict[str, Any]:
    """The record's fields by name, and where no field has the name:

    `messages`: the turns, as {"role", "content"}; `prompt`: the last user turn; `system`: the system message, or "";
    each source's first answer under the source's name ("reference", "teacher", ...); `split`; `key`.
    """
    return {"key": record.key, **_derived(record), **record.fields}


def value(record: Record, field: str) -> Any:
    """One of these values, by a dotted path ("scores.help", "turns.0"); None where there is none."""
    name, *path = field.split(".")
    node: Any = record.fields[name] if name in record.fields else _named(record, name)
    for part in path:
        if isinstance(node, Mapping):
            node = node.get(part)
        elif isinstance(node, list | tuple) and part.isdecimal() and int(part) < len(node):
            node = node[int(part)]
        else:
            return None
    return node


def text(record: Record, field: str) -> str:
    """The value as text: "" where there is none, and numbers spelled out."""
    found = value(record, field)
    return "" if found is None else found if isinstance(found, str) else str(found)


def _derived(record: Record) -> dict[str, Any]:
    """All but the fields and the key, which is slow to make."""
    answers: dict[str, str] = {}
    for response in record.responses:
        answers.setdefault(response.source, response.text)
    spoken = {message.role: message.content for message in record.messages}
    derived = {
        "messages": [{"role": m.role, "content": m.content} for m in record.messages],
        "prompt": spoken.get("user", ""),
        "system": spoken.get("system", ""),
        "split": record.split,
    }
    return {**derived, **answers}


def _named(record: Record, name: str) -> Any:
    derived = _derived(record)
    return record.key if name == "key" and name not in derived else derived.get(name)
