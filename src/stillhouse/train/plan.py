"""What one optimiser step works on: sequences with their roles, and the micro-batches they are cut into."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stillhouse.models.collate import by_tokens
from stillhouse.models.tokenise import Encoded
from stillhouse.objectives import Denominators, denominators
from stillhouse.train.material import Material, Visit

Sampled = Callable[[Visit], Encoded]


@dataclass(frozen=True, slots=True)
class Item:
    """One sequence of a step: whose text it is, and its prompt's place in the step, which pairs two answers."""

    source: str
    place: int
    encoded: Encoded
    key: str


@dataclass(frozen=True, slots=True)
class StepPlan:
    """All items of a step, in micro-batches, and the denominators of every source over the whole step."""

    micro_batches: tuple[tuple[Item, ...], ...]
    totals: dict[str, Denominators]
    pairs: int

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
    sources: frozenset[str],
    pair: tuple[str, str] | None,
    sampled: Sampled,
    micro_tokens: int,
    packed: bool,
) -> StepPlan:
    """Gather a step's sequences. Chosen and rejected stay in one micro-batch; half a pair is no pair."""
    groups = [_group(material, visit, place, sources, sampled) for place, visit in enumerate(step_visits)]
    if "text" in sources:
        groups += _text_groups(material, step, len(step_visits))
    groups = [group for group in groups if group]
    lengths = [_tokens(group) for group in groups]
    runs = by_tokens(lengths, micro_tokens, padded=not packed)
    micro = tuple(tuple(item for index in run for item in groups[index]) for run in runs)
    return StepPlan(micro, _totals(micro), sum(is_pair(group, pair) for group in groups) if pair else 0)


def is_pair(items: Sequence[Item], pair: tuple[str, str]) -> bool:
    """Whether both sides of a preference pair are there."""
    return set(pair) <= {item.source for item in items}


def _group(material: Material, visit: Visit, place: int, sources: frozenset[str], sampled: Sampled) -> list[Item]:
    key, group = material.keys[visit.index], []
    for source in sorted(sources - {"text"}):
        if source == "student":
            encoded = sampled(visit)
        else:
            answers = material.answers[source][visit.index]
            encoded = answers[visit.number % len(answers)]
        if encoded.counted > 0:
            group.append(Item(source, place, encoded, key))
    return group


def _text_groups(material: Material, step: int, count: int) -> list[list[Item]]:
    first = step * count
    pieces = [material.texts[(first + i) % len(material.texts)] for i in range(count)]
    return [[Item("text", count + i, piece, "text")] for i, piece in enumerate(pieces)]


def _totals(micro: Sequence[Sequence[Item]]) -> dict[str, Denominators]:
    tokens: Counter[str] = Counter()
    sequences: Counter[str] = Counter()
    for item in (item for items in micro for item in items):
        tokens[item.source] += item.encoded.counted
        sequences[item.source] += 1
    return {source: denominators(tokens[source], sequences[source]) for source in sorted(tokens)}
