"""Short forms of a recipe file.

Without `[[stage]]`, top-level `[[step]]`, `[train]` and `[[eval]]` are the one stage, called "main":

    name = "mine"
    [[step]]
    use = "label"
    [train]
    steps = 100

With `[[stage]]`, the same three at top level are defaults for every stage. A stage's own `[stage.train]` is laid over
`[train]` key by key; its own `step` or `eval` replaces the default (an empty list means none):

    [train]
    steps = 100
    [[stage]]
    name = "warm-up"
    [[stage.train.objective]]
    use = "sft"
    [[stage]]
    name = "distil"
    train.lr = 1e-4
    [[stage.train.objective]]
    use = "forward_kl"
"""

from typing import Any

PARTS = ("step", "train", "eval")


def expand(raw: dict[str, Any]) -> dict[str, Any]:
    """The same recipe with every stage written out. What is malformed stays as it is, for the schema to refuse."""
    shared = {k: raw[k] for k in PARTS if k in raw}
    rest = {k: v for k, v in raw.items() if k not in PARTS}
    stages = raw.get("stage", [{"name": "main"}] if shared else None)
    if isinstance(stages, list):
        rest["stage"] = [overlay(shared, stage) if isinstance(stage, dict) else stage for stage in stages]
    return rest


def overlay(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """`top` laid over `base`: tables are merged key by key, everything else is replaced."""
    both = {k: overlay(base[k], v) for k, v in top.items() if isinstance(v, dict) and isinstance(base.get(k), dict)}
    return base | top | both
