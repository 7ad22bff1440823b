"""HTML that a page of chats leaves behind, as markdown."""

import re

from markdownify import MarkdownConverter

from stillhouse.elicit.parsers.contract import Unreadable

BUTTON = re.compile(r"\s*([\w+#.-]{0,20}?)\s*Copy code(?P<rest>.*)", re.S)
BUTTON_LINE = re.compile(r"^[ \t]*[\w+#.-]{0,20}?Copy code[ \t]*$", re.M)
BLANK = re.compile(r"\n{3,}")
DEEPEST = 200
OPENED = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)[^<>]*>")
NO_CONTENT = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


def markdown(html: str) -> str:
    """The text as markdown, with code in fences and without the buttons that ChatGPT's page puts beside it.

    Used by Vicuna and Koala. Tags nested deeper than 200 are unreadable.
    """
    if "<" not in html:
        return html.strip()
    if _depth(html) > DEEPEST:
        raise Unreadable("HTML nested too deep")
    converter = MarkdownConverter(heading_style="ATX", bullets="-", escape_asterisks=False, escape_underscores=False)
    parts = converter.convert(html).split("```")
    cleaned = [_code(part) if index % 2 else BUTTON_LINE.sub("", part) for index, part in enumerate(parts)]
    return BLANK.sub("\n\n", "```".join(cleaned)).strip()


def _code(block: str) -> str:
    """What is in a fence: without the button, and with the language that stands before it where markdown has it."""
    found = BUTTON.match(block)
    if not found:
        return block
    code = found["rest"].strip()
    code = code[1:-1] if len(code) > 1 and code[0] == code[-1] == "`" else code
    return f"{found[1]}\n{code}\n"


def _depth(html: str) -> int:
    """At most how deep the tags nest; the converter calls itself for each level."""
    depth = deepest = 0
    for closing, name in OPENED.findall(html):
        if name.lower() not in NO_CONTENT:
            depth = max(0, depth - 1) if closing else depth + 1
            deepest = max(deepest, depth)
    return deepest
