"""The filter `model`: a trained scorer (reward model, critic, quality classifier) decides."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from numbers import Real
from typing import Annotated, Any

from pydantic import Field

from stillhouse.elicit.ask import Ask
from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.generation.asking import batches
from stillhouse.elicit.sandboxed import TooLarge, Unfit
from stillhouse.elicit.templates import conversation, render
from stillhouse.elicit.view import view
from stillhouse.errors import RecipeError
from stillhouse.records.types import Record
from stillhouse.signature import imported

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")

Score = Callable[[list[str]], list[float | None]]


def model(
    records: Iterable[Record],
    ask: Ask,
    *,
    scorer: str = "",
    template: str = "{{ output }}",
    at_least: float | None = None,
    at_most: float | None = None,
    samples: Annotated[int, Field(ge=1)] = 1,
    into: str = "score",
) -> Iterator[Result]:
    """Score each record's text, made by `template`, into the field `into`; keep those within the limits.

    scorer: "package.module:function", which takes a list of texts and gives a number for each. Without one the step's
    role is asked, as a served reward model is: the first number of its answer is the score, and the mean where it is
    asked for more `samples`. Without limits all are kept, to be sorted by a later step.

    Used by RRHF, RSO, ReST, ALMoST, FIGA and CPO (a reward model), DEITA (arXiv 2312.15685), phi-1 (2306.11644:
    educational value), MaRio, Self-RAG and SciGLM (a critic).
    """
    score = _asked(ask, samples) if not scorer else _imported(scorer)
    for batch in batches(records):
        texts = [_text(record, template) for record in batch]
        scores = iter(score([text for text in texts if isinstance(text, str) and text]))
        for record, text in zip(batch, texts, strict=True):
            if isinstance(text, Unfit):
                yield Dropped(record, "too long to score" if isinstance(text, TooLarge) else text.reason)
            elif text:
                yield _decided(record, next(scores), at_least, at_most, into)
            else:
                yield Dropped(record, "nothing to score")


def _text(record: Record, template: str) -> str | Unfit:
    try:
        return render(template, view(record))
    except Unfit as error:
        return error


def _imported(name: str) -> Score:
    function = imported(name, "scorer")

    def score(texts: list[str]) -> list[float | None]:
        found = list(function(texts)) if texts else []
        if len(found) != len(texts):
            raise RecipeError(f"scorer '{name}' gave {len(found)} scores for {len(texts)} texts; give one for each")
        return [_finite(value, name) for value in found]

    return score


def _finite(value: Any, name: str) -> float | None:
    if not isinstance(value, Real):
        raise RecipeError(f"scorer '{name}' gave {value!r:.80}; it must give a number for each text")
    return float(value) if math.isfinite(value) else None


def _asked(ask: Ask, samples: int) -> Score:
    def score(texts: list[str]) -> list[float | None]:
        prompts = [conversation("{{ text }}", {"text": text}) for text in texts]
        return [_mean([a.text for a in answers]) for answers in ask(prompts, samples=samples)] if prompts else []

    return score


def _mean(answers: Sequence[str]) -> float | None:
    numbers = [float(found[0]) for answer in answers if (found := _NUMBER.search(answer))]
    finite = [number for number in numbers if math.isfinite(number)]
    return sum(finite) / len(finite) if finite else None


def _decided(record: Record, score: float | None, at_least: float | None, at_most: float | None, into: str) -> Result:
    if score is None:
        return Dropped(record, "no score")
    scored = record.having(**{into: score}) if into else record
    if at_least is not None and score < at_least:
        return Dropped(scored, "score too low")
    if at_most is not None and score > at_most:
        return Dropped(scored, "score too high")
    return scored
