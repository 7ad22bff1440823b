"""The table of contents of the room: every objective by the name that a recipe uses."""

from difflib import get_close_matches
from importlib import import_module
from typing import cast

from stillhouse.errors import RecipeError
from stillhouse.objectives.contract import Objective
from stillhouse.objectives.divergence import akl, forward_kl, jsd, reverse_kl
from stillhouse.objectives.entropies import cross_entropy_soft, entropy
from stillhouse.objectives.imitation import sft
from stillhouse.objectives.mixtures import skew_kl, skew_reverse_kl, symmetric_kl, total_variation
from stillhouse.objectives.powers import alpha_beta, amari, hellinger, renyi
from stillhouse.objectives.preference import dpkd, dpo, dpop, hinge_dpo, ipo
from stillhouse.objectives.reference_free import cpo, orpo, simpo, slic
from stillhouse.objectives.token_preference import dpkd_token

OBJECTIVES: dict[str, Objective] = {
    "sft": sft,
    "forward_kl": forward_kl,
    "reverse_kl": reverse_kl,
    "jsd": jsd,
    "akl": akl,
    "symmetric_kl": symmetric_kl,
    "skew_kl": skew_kl,
    "skew_reverse_kl": skew_reverse_kl,
    "total_variation": total_variation,
    "alpha_beta": alpha_beta,
    "amari": amari,
    "renyi": renyi,
    "hellinger": hellinger,
    "entropy": entropy,
    "cross_entropy_soft": cross_entropy_soft,
    "dpkd_token": dpkd_token,
    "dpkd": dpkd,
    "dpo": dpo,
    "ipo": ipo,
    "hinge_dpo": hinge_dpo,
    "dpop": dpop,
    "cpo": cpo,
    "simpo": simpo,
    "orpo": orpo,
    "slic": slic,
}


def resolve(name: str) -> Objective:
    """The function behind a name: from `OBJECTIVES`, or "package.module:function", which is imported as it is.

    Raises RecipeError for a name that is neither, with the nearest legal names.
    """
    if ":" in name:
        return _imported(name)
    if name not in OBJECTIVES:
        near = get_close_matches(name, OBJECTIVES, n=3) or list(OBJECTIVES)
        raise RecipeError(
            f"no objective is called '{name}'; the nearest are {', '.join(near)} "
            '(your own is "package.module:function")'
        )
    return OBJECTIVES[name]


def _imported(name: str) -> Objective:
    module_name, _, attribute = name.partition(":")
    try:
        objective = getattr(import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise RecipeError(
            f"objective '{name}' cannot be imported ({error}); check the module's path and name"
        ) from error
    if not callable(objective):
        raise RecipeError(f"objective '{name}' is no function but a {type(objective).__name__}; name a function")
    return cast(Objective, objective)
