"""Synthetic run folders: one run, an unfinished one, one that met a NaN, and a comparison of methods over seeds."""

import json
import math
import random
from pathlib import Path

RECIPE = """\
name = "{name}"
about = "Direct preference knowledge distillation from the embedded teacher."
paper = "DPKD, arXiv:2406.19774"
seed = {seed}

[student]
keep_layers = 20

[[stage]]
name = "warm-up"
[stage.train]
steps = {warm}
[[stage.train.objective]]
use = "sft"

[[stage]]
name = "dpkd"
[stage.train]
steps = {steps}
[[stage.train.objective]]
use = "dpkd"
beta = 0.2
[[stage.train.objective]]
use = "sft"
on = "text"
weight = 0.5
[[stage.eval]]
"""

BANDS = {"(0,30]": 42, "(30,70]": 31, "(70,inf)": 19}
PROMPTS = (
    "Name three things that float on water.",
    "Rewrite this sentence in the past tense.\n\nThe gardener waters the roses every morning.",
    "What is the difference between a lake and a pond?",
    "Give a title for a story about a lighthouse keeper who learns to sail.",
    "Sort these words by length: willow, oak, sycamore, elm.",
)
ANSWERS = {
    "reference": "Wood, ice and oil all float because each weighs less than the water it pushes aside.",
    "teacher": "Three things that float on water are wood, ice, and a boat. Each of them is less dense than water, "
    "so the water holds it up.",
    "untrained": "The the water water is a is a of the the, and and water water of of of",
    "student": "Wood, ice and a boat float on water. They are lighter than the water around them.",
}


def write_run(folder: Path, *, seed: int = 1, steps: int = 50, quality: float = 1.0, warm: int = 20) -> Path:
    """A finished run; `quality` moves all its results."""
    folder.mkdir(parents=True)
    rng = random.Random(f"{seed}/{quality}")
    (folder / "recipe.toml").write_text(RECIPE.format(name=folder.name, seed=seed, steps=steps, warm=warm))
    manifest = {
        "stillhouse": "0.1.0",
        "recipe_key": "9f2c1d7be0a4c35512ab",
        "created": "2026-03-14T09:26:53+00:00",
        "stages": {
            "prepare": {"seconds": 4.2},
            "elicit": {"seconds": 71.0},
            "dpkd": {"train": 201.4, "evaluate": 48.9},
        },
    }
    (folder / "run.json").write_text(json.dumps(manifest))
    layers = [*range(12), 14, 16, 18, 20, 22, 24, 28, 29]
    (folder / "student.json").write_text(json.dumps({"layers": layers, "scores": [], "parameters": 99_100_000}))
    (folder / "records.jsonl").write_text("".join(_record(i) for i in range(40)))
    write_log(folder, "warm-up", warm, rng, kl=(1.95, 1.5), terms=("sft",))
    write_log(folder, "dpkd", steps, rng, kl=(1.5, 0.88 / quality), terms=("dpkd", "sft"))
    (folder / "scores.json").write_text(json.dumps(scores(rng, quality)))
    return folder


def write_unfinished(folder: Path) -> Path:
    """Killed at step 30 of its second stage while writing a line; not evaluated."""
    write_run(folder)
    (folder / "scores.json").unlink()
    log = folder / "train" / "dpkd" / "metrics.jsonl"
    lines = log.read_text().splitlines()
    log.write_text("\n".join([*lines[:30], lines[30][:25]]))
    return folder


def write_nan(folder: Path) -> Path:
    """The loss is NaN at step 31 of the second stage, where it ends; a held-out KL is null."""
    write_run(folder)
    (folder / "scores.json").unlink()
    log = folder / "train" / "dpkd" / "metrics.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()[:31]]
    rows[30]["loss"] = math.nan
    rows[29]["probe"]["kl"] = None
    log.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return folder


METHODS = {"dpkd": 1.12, "sft": 0.9, "kd": 1.0, "seqkd": 0.93, "akl": 1.02}


def write_compare(folder: Path, methods: dict[str, float] | None = None, seeds: tuple[int, ...] = (1, 2, 3)) -> Path:
    methods = METHODS if methods is None else methods
    folder.mkdir(parents=True)
    runs = [{"method": m, "seed": s, "folder": f"{m}-{s}"} for m in methods for s in seeds]
    for run in runs:
        write_run(folder / run["folder"], seed=run["seed"], quality=methods[run["method"]], warm=10)
    data = {"name": folder.name, "recipe": "dpkd-dolly", "methods": list(methods), "seeds": list(seeds), "runs": runs}
    (folder / "compare.json").write_text(json.dumps(data))
    return folder


def write_log(
    folder: Path, stage: str, steps: int, rng: random.Random, kl: tuple[float, float], terms: tuple[str, ...]
) -> None:
    path = folder / "train" / stage / "metrics.jsonl"
    path.parent.mkdir(parents=True)
    lines = []
    for step in range(1, steps + 1):
        done = 1 - math.exp(-4 * step / steps)
        now = kl[0] + (kl[1] - kl[0]) * done
        values = {t: now * (1.4 if t == "sft" else 0.6) + rng.gauss(0, 0.08) for t in terms}
        row = {"step": step, "loss": sum(values.values()), "terms": values, "lr": 5e-4 * (1 - step / steps)}
        row |= {"grad_norm": 1.0 + rng.random(), "tokens": 900 + step, "seconds": 4.0}
        if step % 10 == 0 or step == 1:
            row["probe"] = probe(now, rng)
        lines.append(json.dumps(row) + "\n")
    path.write_text("".join(lines))


def probe(kl: float, rng: random.Random) -> dict[str, float]:
    return {
        "first_kl": kl * 0.8 + rng.gauss(0, 0.02),
        "first_reverse_kl": kl * 0.95 + rng.gauss(0, 0.02),
        "kl": kl,
        "top1": 100 - 25 * kl,
        "reward_teacher": -9 * kl + rng.gauss(0, 0.3),
        "reward_student": 4 - 3 * kl + rng.gauss(0, 0.3),
        "reward_teacher_per_token": -0.3 * kl,
        "reward_student_per_token": 0.2 - 0.1 * kl,
        "reward_margin": -6 * kl - 4,
        "reward_accuracy": 0.5,
    }


def scores(rng: random.Random, quality: float = 1.0) -> dict:
    return {
        "models": {
            "teacher": _model(rng, "SmolLM2-135M-Instruct", 134_515_008, 41.3, None, 27.4, "teacher"),
            "untrained": _model(rng, "20 of 30 layers", 99_100_000, 58.0, 1.95, 9.8, "untrained"),
            "student": _model(
                rng, "20 of 30 layers, dpkd", 99_100_000, 57.6, 0.88 / quality, 21.9 * quality, "student"
            ),
        }
    }


def score(value: float, spread: float, n: int = 92) -> dict:
    return {"value": value, "low": value - spread, "high": value + spread * 1.1, "n": n}


def _model(
    rng: random.Random, label: str, parameters: int, speed: float, kl: float | None, rouge: float, role: str
) -> dict:
    fidelity = (
        {} if kl is None else {k: score(v, abs(v) * 0.06) for k, v in probe(kl + rng.gauss(0, 0.01), rng).items()}
    )
    bands = {
        band: {"rouge_l": score(rouge + shift, 2.8, n), "exact_match": score(max(0.0, rouge / 9 + shift / 2), 0.9, n)}
        for (band, n), shift in zip(BANDS.items(), (4.1, -0.7, -3.9), strict=True)
    }
    samples = [
        {"prompt": p, "references": [ANSWERS["reference"]], "answer": ANSWERS[role] if i % 3 < 2 else ANSWERS[role] * 4,
         "rouge_l": rouge + 3 * i}
        for i, p in enumerate(PROMPTS)
    ]  # fmt: skip
    task = {
        "rouge_l": score(rouge + rng.gauss(0, 0.3), 1.6),
        "exact_match": score(rouge / 9, 0.8),
        "bands": bands,
        "samples": samples,
    }
    return {
        "label": label,
        "parameters": parameters,
        "megabytes": parameters * 2e-6,
        "tokens_per_second": speed + rng.gauss(0, 1),
        "fidelity": fidelity,
        "tasks": {"held_out": task},
    }


def _record(i: int) -> str:
    responses = [{"source": "reference", "text": "yes"}, {"source": "teacher", "text": "no"}]
    record = {
        "messages": [{"role": "user", "content": f"question {i}"}],
        "responses": responses,
        "split": "test" if i % 8 == 0 else "train",
    }
    return json.dumps(record) + "\n"


def write_kitchen(folder: Path, *, rounds: int = 6, pool: int = 180) -> Path:
    """What elicitation leaves: an account in rounds of two stages, samples of what was dropped, and a grown pool."""
    rng = random.Random(5)
    (folder / "elicit").mkdir(parents=True, exist_ok=True)
    accounts = [account("grow", "machine demos", "demos", took=175, kept=175)]
    for number in range(1, rounds + 1):
        similar = 24 + 7 * number
        accounts += [
            account("grow", "new instructions", "expand", number, took=12, kept=96, asked=12, role="teacher",
                    dropped={"unreadable: no numbered list": 3}),
            account("grow", "rules", "rules", number, took=96, kept=84, dropped={"too short": 5, "names an image": 7}),
            account("grow", "0.7 gate", "novel", number, took=84, kept=84 - similar, dropped={"too similar": similar}),
        ]  # fmt: skip
    kept = sum(a["kept"] for a in accounts if a["step"] == "0.7 gate")
    accounts += [
        account("answer", "is it classification", "label", took=kept, kept=kept, asked=kept, role="teacher"),
        account("answer", "answers", "label", took=kept, kept=kept - 40, asked=kept - 90, cached=90, role="teacher",
                dropped={"empty": 21, "cut": 12, "failed": 7}, failed=7, cost=0.42,
                notes=["Failed prompt 9ab3f2c1 (Write a poem …): the server said 503."]),
        account("answer", "assemble", "assemble", took=kept - 40, kept=kept - 40),
    ]  # fmt: skip
    (folder / "elicit" / "steps.json").write_text(json.dumps(accounts))
    rows = [
        {"stage": a["stage"], "round": a["round"], "step": a["step"], "reason": reason, "record": _grown(rng, i)}
        for a in accounts
        for reason in a["dropped"]
        for i in range(3)
    ]
    (folder / "elicit" / "dropped.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (folder / "records.jsonl").write_text("".join(json.dumps(_grown(rng, i)) + "\n" for i in range(pool)))
    return folder


def account(stage: str, step: str, use: str, number: int = 1, **values: object) -> dict:
    asked = values.get("asked", 0)
    assert isinstance(asked, int)
    zero = {"role": "", "took": 0, "kept": 0, "dropped": {}, "asked": 0, "cached": 0, "failed": 0, "cost": 0.0}
    spent = {"prompt_tokens": 310 * asked, "tokens": 96 * asked, "seconds": 0.31 * asked, "notes": []}
    return {"stage": stage, "round": number, "step": step, "use": use} | zero | spent | values


VERBS = ("Write", "Write", "Write", "Give", "Give", "List", "Explain", "Describe", "Translate", "Suggest", "Find")
NOUNS = ("story", "story", "poem", "list", "recipe", "email", "reasons", "tips", "sentence", "function", "title")
ENDS = ("about the sea.", "for a friend.", "of the film.", "about a cat.", "in the given style.", "for the party.")


def _grown(rng: random.Random, i: int) -> dict:
    end = rng.choice((".", ": ", *(f" {end}" for end in ENDS)))
    instruction = f"{rng.choice(VERBS)} a short {rng.choice(NOUNS)}{end}"
    output = "The sea was still that morning, and nobody had told the gulls. " * rng.randint(1, 4)
    lineage = [
        {"operation": "seeds", "step": "", "round": 0, "role": "", "prompt": "", "parent": ""},
        {"operation": "expand", "step": "new instructions", "round": 1 + i % 6, "role": "teacher",
         "prompt": "ab12", "parent": "cd34"},
        {"operation": "label", "step": "answers", "round": 1, "role": "teacher", "prompt": "ef56", "parent": "ab12"},
    ]  # fmt: skip
    similarity = min(0.699, max(0.05, rng.gauss(0.42, 0.13)))
    return {
        "messages": [{"role": "user", "content": instruction}],
        "responses": [{"source": "teacher", "text": output, "finish": "stop", "tokens": 40}],
        "split": "train",
        "fields": {"instruction": instruction, "output": output, "similarity": similarity, "most_similar": "Write a"},
        "lineage": lineage,
    }
