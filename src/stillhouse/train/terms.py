"""The loss of a stage, read from its recipe: which function on whose text, with which weight."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stillhouse.errors import RecipeError
from stillhouse.objectives import Objective, check_settings, is_per_sequence, needs, resolve
from stillhouse.recipe import ObjectiveUse, Train


@dataclass(frozen=True, slots=True)
class Term:
    """One objective of the loss. `source` is whose text a per-token objective sees; None for a preference objective."""

    name: str
    objective: Objective
    settings: Mapping[str, Any]
    weight: float
    source: str | None

    def wants(self, role: str) -> bool:
        """Whether it needs a pass of the "teacher" or the "reference"."""
        return any(name.startswith(f"{role}_") for name in needs(self.objective))


def read_terms(train: Train) -> tuple[Term, ...]:
    """The terms of `[train]`, checked. Raises RecipeError for unknown names, settings or an empty list."""
    if not train.objective:
        raise RecipeError('[train] has no objective; add [[train.objective]] with use = "forward_kl", for example')
    return tuple(_term(use) for use in train.objective)


def _term(use: ObjectiveUse) -> Term:
    objective = resolve(use.use)
    check_settings(objective, use.settings)
    source = None if is_per_sequence(objective) else use.on
    return Term(use.use, objective, use.settings, use.weight, source)


def sources_of(terms: tuple[Term, ...], pair: tuple[str, str]) -> frozenset[str]:
    """Whose text the terms need, together."""
    preferences = {source for source in pair if any(t.source is None for t in terms)}
    return frozenset(preferences | {t.source for t in terms if t.source is not None})


def labels_of(terms: tuple[Term, ...]) -> tuple[str, ...]:
    """A name per term for the log, unique and stable: "sft", or "sft@text" where one name occurs twice."""
    names = [t.name for t in terms]
    return tuple(t.name if names.count(t.name) == 1 else f"{t.name}@{t.source or 'pair'}" for t in terms)
