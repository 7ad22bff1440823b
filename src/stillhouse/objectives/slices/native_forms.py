"""Which objectives the compiled rows can compute, and with which numbers; tested equal to the objectives themselves."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from stillhouse.objectives.contract import Objective, defaults
from stillhouse.objectives.divergences.entropies import cross_entropy_soft, entropy
from stillhouse.objectives.divergences.f_divergence import Generator, f_divergence
from stillhouse.objectives.divergences.kl import akl, forward_kl, jsd, reverse_kl
from stillhouse.objectives.divergences.mixtures import skew_kl, skew_reverse_kl, symmetric_kl, total_variation
from stillhouse.objectives.divergences.perturbed import pt_loss
from stillhouse.objectives.divergences.powers import alpha_beta, amari, hellinger, renyi
from stillhouse.objectives.divergences.standardised import standardised_kl
from stillhouse.objectives.divergences.taid import taid
from stillhouse.objectives.slices.native import Form, Kind

Settings = Mapping[str, Any]


def form_of(objective: Objective, settings: Settings) -> Form | None:
    """The form of an objective with its settings; None where the compiled rows have none."""
    if objective not in FORMS:
        return None
    full = defaults(objective) | dict(settings)
    form = FORMS[objective](full)
    if form is None:
        return None
    return replace(form, temperature=full["temperature"], tau_squared=full.get("tau_squared", False))


def _jsd(s: Settings) -> Form:
    ends: dict[float, Form] = {0.0: Form("forward_kl"), 1.0: Form("reverse_kl")}
    return ends.get(s["beta"], Form("jensen_shannon", s["beta"]))


def _skew_kl(s: Settings) -> Form:
    return Form("skew_kl", s["alpha"]) if s["alpha"] else Form("forward_kl")


def _skew_reverse_kl(s: Settings) -> Form:
    flows = float(not s["detach_mixture"])
    return Form("skew_reverse_kl", s["alpha"], flows) if s["alpha"] else Form("reverse_kl")


def _alpha_beta(alpha: float, beta: float) -> Form | None:
    if (alpha, beta) in ((1.0, 0.0), (0.0, 1.0)):
        return Form("forward_kl" if alpha else "reverse_kl")
    return None if 0.0 in (alpha, beta, alpha + beta) else Form("alpha_beta", alpha, beta)


def _pt_loss(s: Settings) -> Form | None:
    return Form("perturbed_kl", *s["perturbations"]) if len(s["perturbations"]) <= 2 else None


GENERATORS: dict[Generator, Form] = {
    "kl": Form("forward_kl"),
    "reverse_kl": Form("reverse_kl"),
    "jeffreys": Form("symmetric_kl", 0.5, factor=2.0),
    "jensen_shannon": Form("jensen_shannon", 0.5),
    "total_variation": Form("total_variation"),
    "squared_hellinger": Form("hellinger"),
    "triangular": Form("triangular"),
    "chi_squared": Form("alpha_beta", 2.0, -1.0, factor=2.0),
    "reverse_chi_squared": Form("alpha_beta", -1.0, 2.0, factor=2.0),
}

TAID_FORMS: dict[str, Kind] = {"divergence": "forward_kl", "cross_entropy": "cross_entropy"}

FORMS: dict[Objective, Callable[[Settings], Form | None]] = {
    forward_kl: lambda s: Form("forward_kl"),
    reverse_kl: lambda s: Form("reverse_kl"),
    jsd: _jsd,
    akl: lambda s: Form("adaptive_kl", s["mu"], float(s["head"] == "official")),
    symmetric_kl: lambda s: Form("symmetric_kl", s["weight"]),
    skew_kl: _skew_kl,
    skew_reverse_kl: _skew_reverse_kl,
    total_variation: lambda s: Form("total_variation"),
    hellinger: lambda s: Form("hellinger"),
    alpha_beta: lambda s: _alpha_beta(s["alpha"], s["beta"]),
    amari: lambda s: _alpha_beta(s["alpha"], 1.0 - s["alpha"]),
    renyi: lambda s: Form("forward_kl") if s["alpha"] == 1.0 else Form("renyi", s["alpha"]),
    f_divergence: lambda s: GENERATORS[s["generator"]],
    taid: lambda s: Form(TAID_FORMS[s["form"]], of_student=1.0 - s["t"]),
    standardised_kl: lambda s: Form("standardised_kl"),
    pt_loss: _pt_loss,
    cross_entropy_soft: lambda s: Form("cross_entropy"),
    entropy: lambda s: Form("entropy"),
}
"""From an objective's settings, defaults included, to its form at temperature 1; None where it has none for them."""
