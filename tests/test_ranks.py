"""The command line under torchrun: two processes share one run, and only the first speaks and writes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stillhouse.models.saving import save_model
from stillhouse.tiny import tiny_model

RECIPE = """
name = "two"
student.keep_layers = 2
data.limit = 24
[[step]]
use = "label"
max_new_tokens = 4
[train]
steps = 2
batch_size = 4
probe_prompts = 2
rollout.max_new_tokens = 4
[[train.objective]]
use = "forward_kl"
on = "student"
[[eval]]
name = "held_out"
limit = 2
max_new_tokens = 4
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    save_model(tiny_model(seed=1, layers=4, window=2048), tmp_path / "teacher")
    path = tmp_path / "two.toml"
    path.write_text(f'teacher.model = "{tmp_path / "teacher"}"\n{RECIPE}')
    return path


def test_a_whole_run_by_two_processes(recipe: Path, tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launch, "-m", "stillhouse", "run", str(recipe), "--folder", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("report.html") == 1  # one of the two speaks
    (metrics,) = (tmp_path / "run/train").glob("*/metrics.jsonl")
    lines = metrics.read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 1, 2]
    assert list(json.loads((tmp_path / "run/scores.json").read_text())["models"]) == ["teacher", "untrained", "student"]
