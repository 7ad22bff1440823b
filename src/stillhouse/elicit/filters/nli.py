"""The filter `nli`: whether one text entails another, by a judge's word or by the probability of its yes."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from stillhouse.elicit.ask import Ask, Prompt
from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.generation.asking import batches
from stillhouse.elicit.sandboxed import TooLarge, Unfit
from stillhouse.elicit.templates import conversation
from stillhouse.elicit.view import text, view
from stillhouse.records.types import Record

TEMPLATE = """\
Premise:
{{ premise }}

Hypothesis:
{{ hypothesis }}

If the premise is true, must the hypothesis be true as well? Answer with one word, yes or no."""


def nli(
    records: Iterable[Record],
    ask: Ask,
    *,
    premise: str = "input",
    hypothesis: str = "output",
    direction: Literal["forward", "backward", "both"] = "forward",
    template: str = TEMPLATE,
    yes: str = "yes",
    no: str = "no",
    samples: Annotated[int, Field(ge=1)] = 1,
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5,
    keep: Literal["entailed", "other", "all"] = "entailed",
    into: str = "entailment",
) -> Iterator[Result]:
    """Keep the records whose field `premise` entails their field `hypothesis`, as the step's role judges.

    The score, 0 to 1, goes into the field `into`: from a role that gives token_logp, P(yes) / (P(yes) + P(no));
    from another, the declared fallback: the share of yes among `samples` answers. direction: "backward" asks whether
    the hypothesis entails the premise, and "both" takes the lower of the two scores. keep: records whose score is at
    least `threshold` ("entailed"), the "other" ones, or "all", with the score as a label or reward. The template sees
    the record, and the two texts as `premise` and `hypothesis`.

    Used by SAIL (arXiv 2305.15225: is a passage informative), Impossible Distillation (2305.16635: both ways, 0.75) and
    RLEF (2306.00186: as the reward).
    """
    for batch in batches(records):
        prompts = [_prompts(record, premise, hypothesis, direction, template) for record in batch]
        scores = iter(
            _scores(ask, [p for found in prompts if isinstance(found, list) for p in found], yes, no, samples)
        )
        for record, found in zip(batch, prompts, strict=True):
            if isinstance(found, str):
                yield Dropped(record, found)
            else:
                yield _verdict(record, [next(scores) for _ in found], threshold, keep, into)


def _prompts(record: Record, premise: str, hypothesis: str, direction: str, template: str) -> list[Prompt] | str:
    """The one or two questions about a record, or why it cannot be judged."""
    one, other = text(record, premise), text(record, hypothesis)
    if not one.strip() or not other.strip():
        return "nothing to judge"
    pairs = {"forward": [(one, other)], "backward": [(other, one)], "both": [(one, other), (other, one)]}[direction]
    try:
        return [conversation(template, view(record) | {"premise": a, "hypothesis": b}) for a, b in pairs]
    except Unfit as error:
        return "too long to judge" if isinstance(error, TooLarge) else error.reason


def _scores(ask: Ask, prompts: Sequence[Prompt], yes: str, no: str, samples: int) -> list[float | None]:
    """How far each answer is yes; None where there is no verdict."""
    if not prompts:
        return []
    if "token_logp" in ask.gives:
        logps = ask.logp([p for p in prompts for _ in (yes, no)], [word for _ in prompts for word in (yes, no)])
        return [_probability(sum(a), sum(b)) if a and b else None for a, b in zip(logps[::2], logps[1::2], strict=True)]
    verdicts = ([verdict(a.text, yes, no) for a in answers] for answers in ask(prompts, samples=samples))
    return [_share([v for v in found if v is not None]) for found in verdicts]


def _probability(yes: float, no: float) -> float | None:
    gap = no - yes
    if math.isnan(gap):
        return None
    return 1 / (1 + math.exp(min(gap, 700.0)))


def _share(verdicts: Sequence[bool]) -> float | None:
    return sum(verdicts) / len(verdicts) if verdicts else None


def verdict(answer: str, yes: str = "yes", no: str = "no") -> bool | None:
    """Whether an answer says yes: its first word if that is one of the two, else the last of the two in it."""
    said = [w.casefold() for w in re.findall(rf"\b(?:{re.escape(yes)}|{re.escape(no)})\b", answer, re.IGNORECASE)]
    if not said:
        return None
    first = answer.lstrip(" \t\r\n*_`\"'([").casefold().startswith(said[0])
    return (said[0] if first else said[-1]) == yes.casefold()


def _verdict(record: Record, scores: Sequence[float | None], threshold: float, keep: str, into: str) -> Result:
    known = [score for score in scores if score is not None]
    if len(known) < len(scores):
        return Dropped(record, "no verdict")
    score = min(known)
    judged = record.having(**{into: score}) if into else record
    if keep == "entailed" and score < threshold:
        return Dropped(judged, "not entailed")
    if keep == "other" and score >= threshold:
        return Dropped(judged, "entailed")
    return judged
