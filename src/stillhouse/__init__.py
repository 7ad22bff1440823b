"""Stillhouse distils large language models: one tool from seed to report.

    from stillhouse import distill
    run = distill("quickstart", "train.steps=20", folder="runs/first")

`distill` is all stages in a row. Each alone is a function of `stillhouse.stages`: elicit, train, evaluate, report.
(They are not here because `stillhouse.train` and its like are the rooms of the house.)
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stillhouse.endpoints.base import Answer, Endpoint, Sampling
    from stillhouse.errors import StillhouseError
    from stillhouse.objectives.catalogue import OBJECTIVES
    from stillhouse.recipe import Recipe
    from stillhouse.recipes.files import load as load_recipe
    from stillhouse.records.types import Message, Record, Response
    from stillhouse.run import Run
    from stillhouse.stages import distill, prepare

    __version__: str

__all__ = [
    "OBJECTIVES",
    "Answer",
    "Endpoint",
    "Message",
    "Recipe",
    "Record",
    "Response",
    "Run",
    "Sampling",
    "StillhouseError",
    "__version__",
    "distill",
    "load_recipe",
    "prepare",
]

_HOMES = {
    "OBJECTIVES": "objectives.catalogue:OBJECTIVES",
    "Answer": "endpoints.base:Answer",
    "Endpoint": "endpoints.base:Endpoint",
    "Message": "records.types:Message",
    "Recipe": "recipe:Recipe",
    "Record": "records.types:Record",
    "Response": "records.types:Response",
    "Run": "run:Run",
    "Sampling": "endpoints.base:Sampling",
    "StillhouseError": "errors:StillhouseError",
    "distill": "stages:distill",
    "load_recipe": "recipes.files:load",
    "prepare": "stages:prepare",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when first used (PEP 562), so that `import stillhouse` costs nothing."""
    if name == "__version__":
        return version("stillhouse")
    if name not in _HOMES:
        raise AttributeError(f"module 'stillhouse' has no attribute {name!r}")
    module, attribute = _HOMES[name].split(":")
    value = getattr(import_module(f"stillhouse.{module}"), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
