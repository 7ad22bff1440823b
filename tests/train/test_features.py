"""Objectives of inner states in the loop: what they compare, on which layers, through which projector."""

from pathlib import Path

import pytest
import torch

from stillhouse.errors import RecipeError
from stillhouse.objectives import OBJECTIVES
from stillhouse.tiny import tiny_model
from stillhouse.train.features import PROJECTORS
from stillhouse.train.loop import run_training
from tests.train.stage import job, largest_difference, log, train_settings, trained

FEATURES = ["hidden_mse", "hidden_l1", "hidden_cosine", "feature_cross_entropy", "ted", "pkd", "mmd", "nst", "fsp"]
RELATIONS = ["rkd_distance", "rkd_angle", "pkt"]


@pytest.mark.parametrize("name", FEATURES + RELATIONS)
def test_it_falls_while_the_student_learns(name: str, tmp_path: Path) -> None:
    use = {"use": name, "on": "teacher", "layers": [[1, 1], [2, 2]]}
    trained(train_settings(use, steps=25, batch_size=6, lr=5e-3, schedule="constant"), tmp_path)
    losses = [line["loss"] for line in log(tmp_path)[1:]]
    assert sum(losses[-5:]) < sum(losses[:5])


@pytest.mark.parametrize("name", ["hidden_mse", "pkd", "fsp"])
def test_packing_and_micro_batches_change_nothing(name: str, tmp_path: Path) -> None:
    terms = ({"use": name, "on": "teacher", "layers": "uniform"}, {"use": "sft"})
    runs = {
        "packed": trained(train_settings(*terms), tmp_path / "packed"),
        "padded": trained(train_settings(*terms, packing=False), tmp_path / "padded"),
        "cut": trained(train_settings(*terms, micro_tokens=1), tmp_path / "cut"),
    }
    assert largest_difference(runs["packed"], runs["padded"]) < 2e-4
    assert largest_difference(runs["packed"], runs["cut"]) < 2e-4
    assert set(log(tmp_path / "cut")[1]["terms"]) == {name, "sft"}


def test_the_loss_is_the_objective_of_the_models_own_states(tmp_path: Path) -> None:
    student, teacher = tiny_model(seed=1), tiny_model(seed=2)
    settings = train_settings({"use": "hidden_mse", "on": "teacher", "layers": [[0, 0], [1, 2]]}, steps=1, batch_size=6)
    work = job(settings, tmp_path, student=tiny_model(seed=1), teacher=teacher)
    run_training(work)
    sums, tokens = 0.0, 0
    for answer in [found.encoded for (found,) in work.material.answers["teacher"]]:
        ids = torch.tensor([answer.ids])
        mine, theirs = (lm.model(ids, output_hidden_states=True).hidden_states for lm in (student, teacher))
        counted = slice(answer.start - 1, len(answer.ids) - 1)
        for s, t in ((0, 0), (1, 2)):
            sums += float(OBJECTIVES["hidden_mse"](mine[s][:, counted], theirs[t][:, counted]).sum().detach()) / 2
        tokens += answer.counted
    assert log(tmp_path)[1]["loss"] == pytest.approx(sums / tokens, rel=1e-4)


def test_a_narrower_student_learns_its_projectors_and_goes_without_them(tmp_path: Path) -> None:
    use = {"use": "hidden_mse", "on": "teacher", "layers": "last"}
    settings = train_settings(use, steps=4, checkpoint_every=2, batch_size=6)

    def narrow():
        return tiny_model(seed=1, hidden=16)

    whole = narrow()
    run_training(job(settings, tmp_path / "whole", student=whole))
    assert PROJECTORS not in dict(whole.model.named_children())
    assert log(tmp_path / "whole")[-1]["loss"] < log(tmp_path / "whole")[1]["loss"]

    def kill(step: int, line: dict) -> None:
        if step == 3:
            raise KeyboardInterrupt

    stopped = narrow()
    with pytest.raises(KeyboardInterrupt):
        run_training(job(settings, tmp_path / "resumed", student=stopped, on_step=kill))
    assert PROJECTORS not in dict(stopped.model.named_children())
    resumed = narrow()
    run_training(job(settings, tmp_path / "resumed", student=resumed))
    for mine, theirs in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_layers_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"'hidden_mse' cannot compare layers \[9, 1\]; the student has 2"):
        trained(train_settings({"use": "hidden_mse", "layers": [[9, 1]]}), tmp_path)
    with pytest.raises(RecipeError, match="'sft' does not look into layers"):
        trained(train_settings({"use": "sft", "layers": "last"}), tmp_path)
