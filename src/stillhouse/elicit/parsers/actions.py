"""`action.react`, `action.json` and `action.call`: what an agent wants to do next."""

import re
from typing import Any

from stillhouse.elicit.parsers.calls import call
from stillhouse.elicit.parsers.contract import Unreadable
from stillhouse.elicit.parsers.objects import objects

NUMBERED = r"[ \t]{0,3}[0-9]{0,4}[ \t]{0,3}[:：]"
THOUGHT = re.compile(rf"^[ \t]{{0,8}}Thought{NUMBERED}", re.M | re.I)
ACTION = re.compile(rf"^[ \t]{{0,8}}Action{NUMBERED}[ \t]*(?P<call>[^\n]*)", re.M | re.I)
INPUT = re.compile(rf"^[ \t]{{0,8}}Action[ \t]Input{NUMBERED}", re.M | re.I)
OBSERVATION = re.compile(rf"^[ \t]{{0,8}}Observation{NUMBERED}", re.M | re.I)
BRACKETED = re.compile(r"(?P<name>[^\[\]()]{1,100}?)[ \t]*\[(?P<args>.*)\]\Z", re.S)


def react(text: str) -> list[dict[str, Any]]:
    """`thought`, `action` and `args` (text) of the first step: "Thought: ... Action: search[cats]", or the arguments
    under "Action Input:". What comes after it is not looked at, since only a tool may write observations.

    Used by FireAct (2310.05915) and the agents after ReAct (2210.03629).
    """
    ending = OBSERVATION.search(text)
    step = text[: ending.start()] if ending else text
    found = ACTION.search(step)
    if not found:
        raise Unreadable("no action")
    second = THOUGHT.search(step, found.end()) or ACTION.search(step, found.end())
    step = step[: second.start()] if second else step
    thought = THOUGHT.sub("", step[: found.start()], count=1).strip()
    given = INPUT.search(step, found.end())
    if given:
        return [{"thought": thought, "action": found["call"].strip(), "args": step[given.end() :].strip()}]
    whole = step[found.start("call") :].strip()
    parts = BRACKETED.match(whole) or BRACKETED.match(found["call"].strip())
    if not parts:
        raise Unreadable("an action of another form")
    return [{"thought": thought, "action": parts["name"].strip(), "args": parts["args"].strip()}]


def function(text: str, *, many: bool = False) -> list[dict[str, Any]]:
    """`thought` (what comes before), `action` and `args` (a table) of a call in JSON: {"name", "arguments"}.

    Also "action", "tool" or "function" with "args", "parameters" or "input". Arguments that are text are read as JSON.

    `many`: an item for each call. Used by ToolAlpaca (2306.05301), ToolLLM (2307.16789), Glaive.
    """
    thought = text.partition("{")[0].strip(" \n[`").removesuffix("<functioncall>").strip()
    return [{"thought": thought, **_named(item)} for item in objects(text, many=many)]


def python(text: str) -> list[dict[str, Any]]:
    """`action` and `args` (a table; positional ones by their place, "0") of one call in Python, the last line of the
    text, with or without a fence. Used by Gorilla (2305.15334) and Toolformer-like calls.
    """
    lines = [line.strip("` \t") for line in text.splitlines() if line.strip("` \t")]
    if not lines:
        raise Unreadable("no call")
    found = call(lines[-1])
    return [{"action": found.name, "args": found.args}]


def _named(item: dict[str, Any]) -> dict[str, Any]:
    name = _one(item, ("name", "action", "tool", "function"))
    args = _one(item, ("arguments", "args", "parameters", "input", "action_input"))
    if isinstance(name, dict):  # {"function": {"name": ..., "arguments": ...}}
        return _named(name)
    if isinstance(args, str):
        args = objects(args)[0] if args.strip() not in ("", "{}") else {}
    if not isinstance(name, str) or not name.strip() or not isinstance(args, dict | None):
        return _another()
    return {"action": name.strip(), "args": args or {}}


def _one(item: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return next((item[key] for key in keys if key in item), None)


def _another() -> dict[str, Any]:
    raise Unreadable("a call of another form")
