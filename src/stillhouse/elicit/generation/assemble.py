"""`assemble`: what the student is to learn: its view of the prompt, and the answer in parts that count or do not."""

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.generation.asking import said
from stillhouse.elicit.sandboxed import Unfit
from stillhouse.elicit.templates import holds, render
from stillhouse.elicit.view import value, view
from stillhouse.errors import RecipeError
from stillhouse.records.types import Message, Origin, Record, Response, Span


class Part(BaseModel):
    """A part of the answer: its template, and how much its tokens count."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    weight: Annotated[float, Field(ge=0)] = 1.0


class Layout(BaseModel):
    """One view of a record: templates of the prompt and the answer that the student sees.

    `system` is the student's, whatever the teacher was told. `answer` may be `parts` instead. `weight` multiplies the
    loss; `when` says which records have this view; `draw` is how often it is drawn against the others. `source` names
    the response, as an objective's `on` does. `each`: a list field of which every element is an answer, seen by the
    templates as `each`. `score` is a template of a number, for objectives that rank candidates.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str = "{{ prompt }}"
    system: str = ""
    answer: str = ""
    parts: tuple[Part, ...] = ()
    source: str = "teacher"
    weight: Annotated[float, Field(ge=0)] = 1.0
    when: str = ""
    draw: Annotated[float, Field(gt=0)] = 1.0
    each: str = ""
    score: str = ""


def assemble(
    records: Iterable[Record],
    rng: random.Random,
    *,
    layouts: tuple[Layout, ...] = (),
    pick: Literal["all", "one", "together"] = "all",
    conversation: str = "",
    system: str = "",
    learn: Literal["last", "all"] = "all",
    keep: tuple[str, ...] | None = None,
    split: Literal["", "test"] = "",
    whole: bool = False,
) -> Iterator[Result]:
    """Records of messages and responses, ready to be trained on.

    Every layout whose `when` holds makes one (`pick` "all"), or one of them that is drawn ("one"), or they make one in
    all, with the first one's prompt and the answers of each, for objectives that see several sources ("together"). With
    `conversation`, the name of a field with {"role", "content"} turns that end with the assistant's, there is one
    record with these turns and `learn` says which of the assistant's are targets. `keep` names the fields that stay
    (default: all). `split`: "test" holds all of them out, whatever part they were of, so that they are measured on and
    never learnt. `whole`: the answers end as the layouts do, even where the teacher's text was cut off (else they
    teach no end of turn). Nothing of the teacher's prompt reaches the student unless a layout says so.
    """
    if bool(layouts) == bool(conversation):
        raise RecipeError("operator 'assemble' needs either layouts or conversation")
    for record in records:
        fields = record.kept(keep)
        made = list(
            _conversations(record, conversation, system, learn) if conversation else _views(record, layouts, pick, rng)
        )
        for part in made:
            if isinstance(part, Dropped):
                yield part
            else:
                messages, responses, how = part
                if whole:
                    responses = tuple(replace(response, finish="stop") for response in responses)
                event = Origin("assemble", parent=record.key)
                yield Record(messages, responses, split or record.split, fields, how, (*record.lineage, event))


_Made = tuple[tuple[Message, ...], tuple[Response, ...], Literal["last", "all"]]


def _views(record: Record, layouts: Sequence[Layout], pick: str, rng: random.Random) -> Iterator[_Made | Dropped]:
    """The layouts' records; where the values of one are missing or of the wrong kind, why there is none."""
    values = view(record)
    fitting = [layout for layout in layouts if not layout.when or holds(layout.when, values)]
    if not fitting:
        yield Dropped(record, "no layout fits")
        return
    chosen = rng.choices(fitting, [layout.draw for layout in fitting]) if pick == "one" else fitting
    for layouts_of_one in [chosen] if pick == "together" else [[layout] for layout in chosen]:
        try:
            yield _view(record, layouts_of_one, values)
        except Unfit as error:
            yield Dropped(record, error.reason)


def _view(record: Record, layouts: Sequence[Layout], values: Mapping[str, Any]) -> _Made | Dropped:
    prompt = render(layouts[0].prompt, values)
    system = render(layouts[0].system, values) if layouts[0].system else ""
    answers = [tuple(_responses(layout, values)) for layout in layouts]
    if not prompt or not all(answers):
        return Dropped(record, "empty prompt" if not prompt else "empty answer")
    turns = (Message("system", system),) if system else ()
    return (*turns, Message("user", prompt)), tuple(chain.from_iterable(answers)), "last"


def _responses(layout: Layout, values: Mapping[str, Any]) -> Iterator[Response]:
    elements = values.get(layout.each) if layout.each else [None]
    for element in elements if isinstance(elements, list | tuple) else []:
        seen = {**values, "each": element}
        spans = tuple(Span(_part(part, seen), part.weight) for part in layout.parts)
        text = "".join(span.text for span in spans) if spans else render(layout.answer, seen)
        if text.strip():
            own = element if isinstance(element, Mapping) and "finish" in element else seen
            finish = "length" if own.get("finish") == "length" else "stop"
            yield Response(layout.source, text, finish, weight=layout.weight, spans=spans, score=_score(layout, seen))


def _score(layout: Layout, values: Mapping[str, Any]) -> float | None:
    """The number that the layout's template comes to; None where it is none."""
    try:
        found = float(render(layout.score, values)) if layout.score else math.nan
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _part(part: Part, values: Mapping[str, Any]) -> str:
    """The text of a part with the blanks at its ends, which a template loses."""
    head = part.text[: len(part.text) - len(part.text.lstrip())]
    tail = part.text[len(part.text.rstrip()) :]
    return f"{head}{render(part.text, values)}{tail}"


def _conversations(record: Record, field: str, system: str, learn: Literal["last", "all"]) -> Iterator[_Made | Dropped]:
    turns = value(record, field)
    if not isinstance(turns, list | tuple) or len(turns) < 2 or not all(map(_is_turn, turns)):
        yield Dropped(record, "no conversation")
        return
    if turns[-1]["role"] != "assistant":
        yield Dropped(record, "no conversation that ends with the assistant")
        return
    try:
        opening = (Message("system", render(system, view(record))),) if system else ()
    except Unfit as error:
        yield Dropped(record, error.reason)
        return
    *before, last = said(turns)
    yield (*opening, *before), (Response("teacher", last.content),), learn


def _is_turn(turn: Any) -> bool:
    said = isinstance(turn, Mapping) and isinstance(turn.get("content"), str)
    return said and turn.get("role") in ("system", "user", "assistant")
