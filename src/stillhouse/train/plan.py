"""What one optimiser step works on: sequences with their roles, and the micro-batches they are cut into."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from stillhouse import ranks
from stillhouse.models.collate import by_tokens
from stillhouse.models.tokenise import Encoded
from stillhouse.objectives import Denominators, denominators
from stillhouse.train.material import Material, Visit

Sampled = Callable[[Visit], Encoded]


@dataclass(frozen=True, slots=True)
class Item:
    """One sequence of a step: whose text it is, and its prompt's place in the step, which pairs two answers.

    `score` is what ranks a candidate among the others of its prompt.
    """

    source: str
    place: int
    encoded: Encoded
    key: str
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose text a loss asks for: one answer of each source to a prompt, of those of `several` up to `candidates`."""

    sources: frozenset[str]
    pair: tuple[str, str] | None = None
    several: frozenset[str] = frozenset()
    candidates: int = 2


@dataclass(frozen=True, slots=True)
class StepPlan:
    """This rank's items of a step, in micro-batches, and the denominators of every source over the whole step.

    `pairs` counts the prompts with both sides of a pair, `several` by source those with more than one answer.
    """

    groups: tuple[tuple[Item, ...], ...]
    micro_batches: tuple[tuple[Item, ...], ...]
    totals: dict[str, Denominators]
    pairs: int
    several: dict[str, int]

    def cut(self, micro_tokens: int, *, packed: bool) -> "StepPlan":
        """The same in micro-batches of at most so many tokens; what belongs together stays together."""
        runs = by_tokens(list(map(_tokens, self.groups)), micro_tokens, padded=not packed)
        micro = tuple(tuple(item for index in run for item in self.groups[index]) for run in runs)
        return replace(self, micro_batches=micro)

    @property
    def tokens(self) -> int:
        """All real tokens that go through the student."""
        return sum(map(_tokens, self.micro_batches))

    @property
    def largest(self) -> int:
        """Tokens of the largest micro-batch."""
        return max(map(_tokens, self.micro_batches), default=0)

    @property
    def indivisible(self) -> bool:
        """Whether no micro-batch can be cut: a prompt's answers stay together."""
        return all(len({item.place for item in micro}) == 1 for micro in self.micro_batches)


def _tokens(items: Sequence[Item]) -> int:
    return sum(len(item.encoded.ids) for item in items)


def plan_step(
    material: Material,
    step_visits: Sequence[Visit],
    step: int,
    *,
    wanted: Wanted,
    sampled: Sampled,
) -> StepPlan:
    """Gather this rank's share of a step's sequences. Half a pair is no pair, and one answer is not several."""
    places = ranks.share(range(len(step_visits)))
    groups = [_group(material, step_visits[place], place, wanted, sampled) for place in places]
    if "text" in wanted.sources:
        groups += [_text_group(material, step, len(step_visits), place) for place in places]
    whole = tuple(tuple(group) for group in groups if group)
    pair = wanted.pair
    pairs = denominators(sum(is_pair(group, pair) for group in whole) if pair else 0, 0).tokens
    several = {
        source: denominators(sum(any(item.source == source for item in group) for group in whole), 0).tokens
        for source in sorted(wanted.several)
    }
    return StepPlan(whole, whole, _totals(whole, wanted.sources), pairs, several)


def is_pair(items: Sequence[Item], pair: tuple[str, str]) -> bool:
    """Whether both sides of a preference pair are there."""
    return set(pair) <= {item.source for item in items}


def _group(material: Material, visit: Visit, place: int, wanted: Wanted, sampled: Sampled) -> list[Item]:
    key, group = material.keys[visit.index], []
    for source in sorted(wanted.sources - {"text"}):
        if source == "student":
            items = [Item(source, place, sampled(visit), key)]
        else:
            answers = material.answers[source][visit.index]
            seen = _seen(len(answers), visit.number, wanted.candidates if source in wanted.several else 1)
            items = [Item(source, place, answers[i].encoded, key, answers[i].score) for i in seen]
        items = [item for item in items if item.encoded.counted > 0]
        if source not in wanted.several or len(items) > 1:
            group += items
    return group


def _seen(count: int, visit: int, most: int) -> list[int]:
    """Which of `count` recorded answers a visit sees: `most` at a time, in turn."""
    return [(visit * most + i) % count for i in range(min(most, count))]


def _text_group(material: Material, step: int, count: int, place: int) -> list[Item]:
    piece = material.texts[(step * count + place) % len(material.texts)]
    return [Item("text", count + place, piece, "text")]


def _totals(groups: Sequence[Sequence[Item]], sources: frozenset[str]) -> dict[str, Denominators]:
    """Of every source, also where this rank has none of it: all ranks add up the same things in the same order."""
    items = [item for group in groups for item in group]
    counted = {source: [i.encoded.counted for i in items if i.source == source] for source in sorted(sources)}
    return {source: denominators(sum(counts), len(counts)) for source, counts in counted.items()}
