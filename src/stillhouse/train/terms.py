"""The loss of a stage, read from its recipe: which function on whose text, with which weight."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from stillhouse.errors import RecipeError
from stillhouse.models.layer_map import LayerMap, MapName
from stillhouse.objectives import Objective, check_settings, is_per_sequence, needs, resolve
from stillhouse.objectives.divergences.taid import TaidSchedule, taid
from stillhouse.recipe import ObjectiveUse, Train

Family = Literal["tokens", "contexts", "answers", "states", "pairs", "candidates"]
"""What an objective sees: distributions token by token, those of one ending behind two beginnings, the tokens of whole
sampled answers, inner states, two answers to a prompt, or all candidates to it."""


@dataclass(frozen=True, slots=True)
class Term:
    """One objective of the loss. `source` is whose text it sees; None for pairs, which have two sources."""

    name: str
    objective: Objective
    settings: Mapping[str, Any]
    weight: float
    source: str | None
    family: Family
    layers: MapName | LayerMap | None = None
    """Which layers it compares, for an objective of inner states."""
    schedule: TaidSchedule | None = None
    """What moves the setting `t`, for `taid` with an interpolation."""

    def wants(self, role: str) -> bool:
        """Whether it needs a pass of the "teacher" or the "reference"."""
        return any(name.startswith(f"{role}_") for name in needs(self.objective))

    def at(self, schedule: TaidSchedule) -> "Term":
        """The same term where a schedule has come to."""
        return replace(self, schedule=schedule, settings={**self.settings, "t": schedule.t})

    def after(self, share: float, progress: float) -> "Term":
        """The term for the next step, given its part of this step's loss and the share of steps done before it."""
        if self.schedule is None or self.weight == 0:
            return self
        return self.at(self.schedule.next(share / self.weight, progress))


@dataclass(frozen=True, slots=True)
class Loss:
    """How a stage turns rows into a number."""

    terms: tuple[Term, ...]
    pair: tuple[str, str]
    reduction: str
    packed: bool


def read_terms(train: Train) -> tuple[Term, ...]:
    """The terms of `[train]`, checked. Raises RecipeError for unknown names, settings or an empty list."""
    if not train.objective:
        raise RecipeError('[train] has no objective; add [[train.objective]] with use = "forward_kl", for example')
    terms = tuple(_term(use) for use in train.objective)
    for term in terms:
        if "old_logp" in needs(term.objective) and (term.source, train.rollout.refresh) != ("student", 1):
            raise RecipeError(
                f"objective '{term.name}' learns from the present student's samples; "
                f'give it on = "student" and set train.rollout.refresh = 1'
            )
        if term.family == "candidates" and term.source in ("student", "text"):
            raise RecipeError(
                f"objective '{term.name}' ranks recorded answers that have scores; "
                f'give it on = "SOURCE", with the source that a step gave them, not "{term.source}"'
            )
        if term.family == "contexts" and term.source in ("student", "text"):
            raise RecipeError(
                f"objective '{term.name}' compares recorded answers to a prompt that end alike; "
                f'give it on = "SOURCE", with the source that a step gave them, not "{term.source}"'
            )
    if any(term.family == "pairs" for term in terms) and (both := several_of(terms) & set(train.pair)):
        raise RecipeError(
            f"train.pair takes one answer of '{min(both)}', of which another objective sees several; "
            "name another source in train.pair, or train them in two stages"
        )
    return terms


GIVEN: dict[Family, frozenset[str]] = {
    "tokens": frozenset({"student_logits", "teacher_logits", "reference_logits", "labels"}),
    "contexts": frozenset({"student_logits", "student_paired_logits"}),
    "answers": frozenset({"student_logp", "old_logp", "teacher_logp", "reference_logp", "mask"}),
    "states": frozenset(
        {f"{role}_{what}" for role in ("student", "teacher") for what in ("hidden", "later_hidden", "pooled")}
        | {"mask"}
    ),
    "pairs": frozenset(
        {f"{role}_{side}_logp" for role in ("student", "teacher", "reference") for side in ("chosen", "rejected")}
        | {"chosen_length", "rejected_length"}
    ),
    "candidates": frozenset(
        {"student_candidate_logp", "reference_candidate_logp", "candidate_length", "candidate_reward"}
    ),
}
"""What a step has for the objectives of each family."""


def _family(objective: Objective) -> Family:
    wanted = set(needs(objective))
    if wanted <= GIVEN["states"]:
        return "states"
    if is_per_sequence(objective):
        return "candidates" if "student_candidate_logp" in wanted else "pairs"
    if "student_paired_logits" in wanted:
        return "contexts"
    return "answers" if "student_logp" in wanted else "tokens"


def _term(use: ObjectiveUse) -> Term:
    objective = resolve(use.use)
    check_settings(objective, use.settings)
    family = _family(objective)
    if missing := set(needs(objective)) - GIVEN[family]:
        raise RecipeError(
            f"objective '{use.use}' needs {', '.join(sorted(missing))}, which training does not give; "
            f"call it from Python (stillhouse.objectives), or choose another for [[train.objective]]"
        )
    if family != "states" and use.layers is not None:
        raise RecipeError(f"objective '{use.use}' does not look into layers; leave out the key layers")
    source, layers = None if family == "pairs" else use.on, (use.layers or "uniform") if family == "states" else None
    term = Term(use.use, objective, use.settings, use.weight, source, family, layers)
    if use.interpolation is None:
        return term
    if objective is not taid:
        raise RecipeError(f"objective '{use.use}' has no interpolation; that is for 'taid', which moves its t by it")
    if "t" in use.settings:
        raise RecipeError("objective 'taid' has both t and interpolation; leave out t, which starts at its `start`")
    return term.at(TaidSchedule(**use.interpolation.model_dump()))


def sources_of(terms: tuple[Term, ...], pair: tuple[str, str]) -> frozenset[str]:
    """Whose text the terms need, together."""
    preferences = {source for source in pair if any(t.family == "pairs" for t in terms)}
    return frozenset(preferences | {t.source for t in terms if t.source is not None})


def asks_teacher(train: Train) -> str:
    """The first objective that needs the teacher's own weights, not its text alone; "" where none does."""
    roles = ("teacher", "reference") if train.reference == "teacher" else ("teacher",)
    return next((t.name for t in read_terms(train) if any(map(t.wants, roles))), "")


def several_of(terms: tuple[Term, ...]) -> frozenset[str]:
    """The sources of which several answers to a prompt are seen at once."""
    return ranked_of(terms) | frozenset(t.source for t in terms if t.source is not None and t.family == "contexts")


def ranked_of(terms: tuple[Term, ...]) -> frozenset[str]:
    """Those of them whose answers need scores, by which they are ranked."""
    return frozenset(t.source for t in terms if t.source is not None and t.family == "candidates")


def labels_of(terms: tuple[Term, ...]) -> tuple[str, ...]:
    """A name per term for the log, unique and stable: "sft", or "sft@text" where one name occurs twice."""
    names = [t.name for t in terms]
    return tuple(t.name if names.count(t.name) == 1 else f"{t.name}@{t.source or 'pair'}" for t in terms)
