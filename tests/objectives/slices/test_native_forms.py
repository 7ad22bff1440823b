import pytest

from stillhouse.objectives import OBJECTIVES, needs
from stillhouse.objectives.slices.native_forms import FORMS, form_of


def test_the_form_carries_settings_and_defaults():
    form = form_of(OBJECTIVES["jsd"], {"beta": 0.1, "temperature": 2.0, "tau_squared": True})
    assert (form.kind, form.a, form.temperature, form.of_value) == ("jensen_shannon", 0.1, 2.0, 4.0)
    assert form_of(OBJECTIVES["akl"], {}).b == 1.0 and form_of(OBJECTIVES["akl"], {"head": "paper"}).b == 0.0


@pytest.mark.parametrize(
    ("name", "settings", "kind"),
    [
        ("jsd", {"beta": 0.0}, "forward_kl"),
        ("jsd", {"beta": 1.0}, "reverse_kl"),
        ("skew_kl", {"alpha": 0.0}, "forward_kl"),
        ("skew_reverse_kl", {"alpha": 0.0}, "reverse_kl"),
        ("amari", {"alpha": 1.0}, "forward_kl"),
        ("renyi", {"alpha": 1.0}, "forward_kl"),
    ],
)
def test_endpoints_are_the_divergences_that_they_name(name, settings, kind):
    assert form_of(OBJECTIVES[name], settings).kind == kind


def test_what_has_no_form_goes_the_plain_way():
    assert form_of(OBJECTIVES["sft"], {}) is None
    assert form_of(OBJECTIVES["alpha_beta"], {"alpha": 0.0, "beta": 0.3}) is None
    assert form_of(OBJECTIVES["pt_loss"], {"perturbations": [0.5, -0.3, 2.0]}) is None


def test_every_divergence_has_a_form_and_the_loss_of_single_logits_has_none():
    plain = {n for n, o in OBJECTIVES.items() if needs(o) == ("student_logits", "teacher_logits")}
    assert {n for n in plain if OBJECTIVES[n] not in FORMS} == {"dpkd_token"}
