"""`fields.code`: fenced blocks of code."""

import re
from collections.abc import Iterator
from typing import Any, Literal

from stillhouse.elicit.parsers.contract import Unreadable

FENCE = re.compile(r"[ \t]{0,3}(`{3,}|~{3,})[ \t]*([\w+#.-]*)")


def code(
    text: str,
    *,
    field: str = "code",
    languages: tuple[str, ...] = (),
    which: Literal["first", "last", "all"] = "first",
    continues: bool = False,
    bare: bool = False,
) -> list[dict[str, Any]]:
    """A block's code under `field` and its `language` as the fence names it, in lower case ("" where it names none).

    `languages`: only blocks of these count ("" among them: also blocks without a name). `which`: one block, or an item
    for each. `continues`: the prompt ended with an opening fence. `bare`: a text without any fence is code as a whole.
    A block that is never closed is none: it was cut off.
    Used by Mixed Distill (2312.10730) and MAmmoTH (2309.05653) for programs of thought.
    """
    if bare and text.strip() and not any(FENCE.match(line) for line in text.split("\n")):
        return [{field: text.strip("\n"), "language": ""}]
    names = {name.lower() for name in languages}
    blocks = [(name, body) for name, body in _blocks(text, continues) if not names or name in names]
    blocks = [(name, body) for name, body in blocks if body.strip()]
    if not blocks:
        raise Unreadable("no code block")
    chosen = {"first": blocks[:1], "last": blocks[-1:], "all": blocks}[which]
    return [{field: body, "language": name} for name, body in chosen]


def _blocks(text: str, continues: bool) -> Iterator[tuple[str, str]]:
    """(language, code) of every closed block."""
    fence, name = ("```", "") if continues else ("", "")
    body: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        mark = FENCE.match(line)
        if not fence:
            if mark and "`" not in line[mark.end() :]:
                fence, name, body = mark[1], mark[2].lower(), []
        elif mark and mark[1].startswith(fence) and not line[mark.end(1) :].strip():
            yield name, "\n".join(body)
            fence = ""
        else:
            body.append(line)
