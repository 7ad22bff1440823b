"""The judge `prob`: a soft verdict, from how likely each option is as the answer."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated

from pydantic import Field

from stillhouse.elicit.ask import Ask, Prompt
from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.generation.asking import asked, batches
from stillhouse.elicit.sandboxed import Unfit
from stillhouse.elicit.templates import conversation
from stillhouse.elicit.view import view
from stillhouse.errors import RecipeError
from stillhouse.records.types import Record

Shares = tuple[float, ...]
"""The probability of each option; they add up to 1."""


def prob(
    records: Iterable[Record],
    ask: Ask,
    *,
    template: str,
    system: str = "",
    options: Annotated[tuple[str, ...], Field(min_length=2)] = ("A", "B"),
    swap: tuple[str, ...] = (),
    clamp: tuple[float, float] = (0.0, 1.0),
    votes: Annotated[int, Field(ge=1)] = 8,
    into: str = "prob",
) -> Iterator[Result]:
    """The probability of the first of the `options` as the answer to `template`, into the field `into`.

    It is p(option) / sum of p over all options, from the role's log-probabilities; where it gives none, the share of
    the option among `votes` sampled answers that name exactly one (so let the step sample, at a temperature above 0).
    `swap` names two fields that the template shows in order, e.g. ["first", "second"]: it is asked with these exchanged
    as well, each option then standing for the other, and the average is taken. `clamp` limits the result. Further
    fields: `{into}_of`, every option's probability, not clamped, and `{into}_from`, "token_logp", "option_logp" (of the
    first token) or "votes". To let the judge think first, write its thoughts with `label` and show them.

    Used by RLAIF (arXiv 2309.00267: options "1" and "2", swapped), Constitutional AI (2212.08073: clamp = [0.4, 0.6]
    after chain of thought), ILF (2303.16755: "Yes" or "No", several templates averaged), RLC (2305.14483).
    """
    _check(options, swap, clamp)
    for batch in batches(records):
        prompts = [_prompts(record, template, system, swap) for record in batch]
        orders = [prompt for row in prompts if isinstance(row, list) for prompt in row]
        way, found = _shares(ask, orders, options, votes)
        shares = iter(found)
        for record, row in zip(batch, prompts, strict=True):
            if isinstance(row, str):
                yield Dropped(record, row)
                continue
            verdict = _average([next(shares) for _ in row])
            if verdict is None:
                yield Dropped(record, "no vote for an option" if way == "votes" else "no log-probability")
                continue
            first = min(max(verdict[0], clamp[0]), clamp[1])
            of = dict(zip(options, verdict, strict=True))
            fields = {into: first, f"{into}_of": of, f"{into}_from": way}
            yield record.having(**fields).after(asked(ask, "prob", row[0]))


def _check(options: Sequence[str], swap: Sequence[str], clamp: tuple[float, float]) -> None:
    if len(options) < 2 or len({o.strip() for o in options} - {""}) < len(options):
        raise RecipeError(f"operator 'prob': options are {list(options)}; give two or more different ones")
    if swap and (len(swap) != 2 or len(options) != 2):
        raise RecipeError(
            f"operator 'prob': swap is {list(swap)} for {len(options)} options; name two fields, for two options"
        )
    if not 0 <= clamp[0] <= clamp[1] <= 1:
        raise RecipeError(f"operator 'prob': clamp is {list(clamp)}; give two rising numbers between 0 and 1")


def _prompts(record: Record, template: str, system: str, swap: Sequence[str]) -> list[Prompt] | str:
    """The question, and the one with the two fields exchanged; or why there is none."""
    values = view(record)
    if any(name not in values for name in swap):
        return "nothing to swap"
    orders = [values]
    if swap:
        one, two = swap
        orders.append(values | {one: values[two], two: values[one]})
    try:
        return [conversation(template, order, system=system) for order in orders]
    except Unfit as error:
        return error.reason


def _shares(ask: Ask, prompts: Sequence[Prompt], options: Sequence[str], votes: int) -> tuple[str, list[Shares | None]]:
    """Where the probabilities are from, and those of each prompt's options."""
    if "token_logp" in ask.gives:
        return "token_logp", _likely(ask, prompts, options, all_known=True)
    if "option_logp" in ask.gives:
        return "option_logp", _likely(ask, prompts, options, all_known=False)
    answers = ask(prompts, samples=votes) if prompts else []
    return "votes", [_voted([a.text for a in row if a.finish != "error"], options) for row in answers]


def _likely(ask: Ask, prompts: Sequence[Prompt], options: Sequence[str], *, all_known: bool) -> list[Shares | None]:
    """The options' likelihoods, made to add up to 1. Unless all must be known, one that is not has no chance."""
    pairs = [(prompt, option) for prompt in prompts for option in options]
    logp = ask.logp([prompt for prompt, _ in pairs], [option for _, option in pairs]) if pairs else []
    sums = [math.fsum(values) if values else -math.inf for values in logp]
    rows = [sums[begin : begin + len(options)] for begin in range(0, len(sums), len(options))]
    enough = all if all_known else any
    return [_softmax(row) if enough(value > -math.inf for value in row) else None for row in rows]


def _softmax(values: Sequence[float]) -> Shares:
    top = max(values)
    weights = [math.exp(value - top) for value in values]
    return tuple(weight / math.fsum(weights) for weight in weights)


def _voted(answers: Sequence[str], options: Sequence[str]) -> Shares | None:
    cast = Counter(named for answer in answers if (named := vote(answer, options)))
    return tuple(cast[option] / cast.total() for option in options) if cast else None


def vote(answer: str, options: Sequence[str]) -> str | None:
    """The option that an answer gives first ("**A**: ...", "(A)"), else the only one that it names; or None.

    Case counts only for options of one letter: "a" is a word. So is "A", unless something other than a word follows.
    """
    known = {option.strip(): option for option in options}
    flags = 0 if any(len(name) == 1 for name in known) else re.IGNORECASE
    names = "|".join(re.escape(name) for name in sorted(known, key=len, reverse=True))
    first = re.match(rf"[\W_]*?({names})[^\S\n]*(?:[^\w\s]|\n|\Z)", answer, flags)
    found = {first[1]} if first else set(re.findall(rf"(?<!\w)(?:{names})(?!\w)", answer, flags))
    named = {option for name, option in known.items() for word in found if re.fullmatch(re.escape(name), word, flags)}
    return named.pop() if len(named) == 1 else None


def _average(orders: Sequence[Shares | None]) -> Shares | None:
    """The mean of the orders; in the second one each option stands for the other. None where one is missing."""
    known = [shares for shares in orders if shares is not None]
    if len(known) < len(orders):
        return None
    turned = [known[0], *(shares[::-1] for shares in known[1:])]
    return tuple(math.fsum(of_one) / len(turned) for of_one in zip(*turned, strict=True))
