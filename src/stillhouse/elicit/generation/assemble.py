"""`assemble`: what the student is to learn: its view of the prompt, and the answer in parts that count or do not."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.generation.asking import said
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
    templates as `each`.
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


def assemble(
    records: Iterable[Record],
    rng: random.Random,
    *,
    layouts: tuple[Layout, ...] = (),
    pick: Literal["all", "one"] = "all",
    conversation: str = "",
    system: str = "",
    learn: Literal["last", "all"] = "all",
    keep: tuple[str, ...] | None = None,
) -> Iterator[Result]:
    """Records of messages and responses, ready to be trained on.

    Every layout whose `when` holds makes one (`pick` "all"), or one of them that is drawn ("one"). With `conversation`,
    the name of a field with {"role", "content"} turns that end with the assistant's, there is one record with these
    turns and `learn` says which of the assistant's are targets. `keep` names the fields that stay (default: all).
    Nothing of the teacher's prompt reaches the student unless a layout says so.
    """
    if bool(layouts) == bool(conversation):
        raise RecipeError("operator 'assemble' needs either layouts or conversation")
    for record in records:
        fields = record.fields if keep is None else {k: record.fields[k] for k in keep if k in record.fields}
        made = list(
            _conversations(record, conversation, system, learn) if conversation else _views(record, layouts, pick, rng)
        )
        for part in made:
            if isinstance(part, Dropped):
                yield part
            else:
                messages, responses, how = part
                event = Origin("assemble", parent=record.key)
                yield Record(messages, responses, record.split, fields, how, (*record.lineage, event))


_Made = tuple[tuple[Message, ...], tuple[Response, ...], Literal["last", "all"]]


def _views(record: Record, layouts: Sequence[Layout], pick: str, rng: random.Random) -> Iterator[_Made | Dropped]:
    values = view(record)
    fitting = [layout for layout in layouts if not layout.when or holds(layout.when, values)]
    if not fitting:
        yield Dropped(record, "no layout fits")
        return
    chosen = fitting if pick == "all" else rng.choices(fitting, [layout.draw for layout in fitting])
    for layout in chosen:
        prompt = render(layout.prompt, values)
        system = render(layout.system, values) if layout.system else ""
        responses = tuple(_responses(layout, values))
        if not prompt or not responses:
            yield Dropped(record, "empty prompt" if not prompt else "empty answer")
            continue
        turns = (Message("system", system),) if system else ()
        yield (*turns, Message("user", prompt)), responses, "last"


def _responses(layout: Layout, values: Mapping[str, Any]) -> Iterator[Response]:
    elements = values.get(layout.each) if layout.each else [None]
    for element in elements if isinstance(elements, list | tuple) else []:
        seen = {**values, "each": element}
        spans = tuple(Span(_part(part, seen), part.weight) for part in layout.parts)
        text = "".join(span.text for span in spans) if spans else render(layout.answer, seen)
        if text.strip():
            finish = "length" if seen.get("finish") == "length" else "stop"
            yield Response(layout.source, text, finish, weight=layout.weight, spans=spans)


def _part(part: Part, values: Mapping[str, Any]) -> str:
    """The text of a part with the blanks at its ends, which a template loses."""
    head = part.text[: len(part.text) - len(part.text.lstrip())]
    tail = part.text[len(part.text.rstrip()) :]
    return f"{head}{render(part.text, values)}{tail}"


def _conversations(record: Record, field: str, system: str, learn: Literal["last", "all"]) -> Iterator[_Made | Dropped]:
    turns = value(record, field)
    if not isinstance(turns, list | tuple) or len(turns) < 2 or turns[-1].get("role") != "assistant":
        yield Dropped(record, "no conversation that ends with the assistant")
        return
    opening = (Message("system", render(system, view(record))),) if system else ()
    *before, last = said(turns)
    yield (*opening, *before), (Response("teacher", last.content),), learn
