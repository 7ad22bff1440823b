"""Where two recipes differ, and which differences a run may take up when it goes on."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from stillhouse.recipe import Recipe

STEPS, EVALUATION = "stage.*.train.steps", "stage.*.eval*"
ELICITATION = ("stage.*.step", "stage.*.step.*", "stage.*.rounds", "stage.*.until", "templates*", "roles*")

CHANGEABLE = (
    "name",
    "about",
    "paper",
    "differs",
    "full*",
    "stage.*.step.*.batch_size",
    STEPS,
    "stage.*.train.micro_tokens",
    "stage.*.train.cache_teacher",
    "stage.*.train.checkpoint_every",
    "stage.*.train.keep_checkpoints",
    "stage.*.train.probe_every",
    "stage.*.train.probe_prompts",
    EVALUATION,
    *ELICITATION,
)
"""What may change between the start of a run and its resumption: how it elicits (until it trains), how long it trains
(until it is trained), how it is watched and measured, and how the work is cut up. Anything else would make the finished
part of the run a lie."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One dotted key with its two values; None where a recipe has no such key."""

    key: str
    old: Any
    new: Any

    @property
    def allowed(self) -> bool:
        return any(map(self.matches, CHANGEABLE))

    @property
    def only_pace(self) -> bool:
        """Whether it changes how fast steps go, and nothing of what they make."""
        return self.matches("stage.*.step.*.batch_size")

    def matches(self, pattern: str) -> bool:
        return fnmatchcase(self.key, pattern)

    def __str__(self) -> str:
        return f"{self.key} ({_show(self.old)} there, {_show(self.new)} here)"


def differences(old: Recipe, new: Recipe) -> list[Difference]:
    """Every dotted key whose value differs, in the order of the recipe."""
    a, b = flatten(old.model_dump(mode="json")), flatten(new.model_dump(mode="json"))
    return [Difference(key, a.get(key), b.get(key)) for key in a | b if a.get(key) != b.get(key)]


def flatten(tables: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one table of dotted keys; entries of a list of tables go by their name, or else their number."""
    flat: dict[str, Any] = {}
    for key, value in tables.items():
        if isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
            names = [entry.get("name") or str(i) for i, entry in enumerate(value)]
            value = {n if names.count(n) == 1 else str(i): e for i, (n, e) in enumerate(zip(names, value, strict=True))}
        if isinstance(value, dict) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _show(value: Any) -> str:
    text = "absent" if value is None else repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
