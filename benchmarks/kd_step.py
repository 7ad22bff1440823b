"""Tokens a second of a distillation step: Stillhouse against TRL's GKD trainer, same models, same rows, in turn.

Both distil the embedded teacher (30 layers) into its own 20 most influential layers with the Jensen-Shannon divergence
(beta 0.5) on the answers of 8 rows of at most 128 tokens a step. Each measurement is a process of its own, so that peak
memory is its own too; the processes take turns, never at once. Tokens are real ones, padding not counted. Stillhouse
asks the teacher once about each row; so it is measured on rows that are new, and on rows that it has seen before.

    pip install --no-deps trl==1.16.0
    python benchmarks/kd_step.py --rows my_rows.jsonl
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from stillhouse import machine

BATCH, LENGTH, BETA, LR = 8, 128, 0.5, 1e-4
PEERS = {
    "trl": "TRL GKDTrainer, its defaults",
    "trl-bf16": "TRL GKDTrainer, bf16=True",
    "ours": "Stillhouse, every row new",
    "ours-again": "Stillhouse, from the second epoch on",
}


Rows = list[tuple[list[int], int]]
Steps = list[tuple[int, float]]
"""Real tokens and seconds of each step."""


def encoded_rows(source: str, count: int) -> Rows:
    """`count` prompts with answers as token ids, cut at LENGTH tokens, and where each answer begins."""
    from stillhouse.models.load import load
    from stillhouse.models.tokenise import encode_answer, encode_pair, encode_prompt
    from stillhouse.records.read import read_records

    tokenizer = load("embedded").tokenizer
    rows = []
    for record in read_records(source):
        prompt = encode_prompt(tokenizer, record.messages)
        if len(prompt) < LENGTH - 8:
            answer = encode_answer(tokenizer, record.answers("reference")[0].text, finished=True)
            pair = encode_pair(prompt, answer, max_tokens=LENGTH)
            rows.append((list(pair.ids), pair.start))
    return [rows[i % len(rows)] for i in range(count)]


def run_trl(rows: Rows, folder: Path, steps: int, bf16: bool) -> Steps:
    """A GKD trainer that takes the rows in order."""
    import torch
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl.experimental.gkd import GKDConfig, GKDTrainer  # pyright: ignore[reportMissingImports]

    from stillhouse.models.load import load

    student, teacher = load(str(folder), dtype="float32"), load("embedded", dtype="float32")
    pad = student.pad_id

    def collate(batch: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        width = max(len(b["ids"]) for b in batch)
        ids = torch.tensor([b["ids"] + [pad] * (width - len(b["ids"])) for b in batch])
        mask = torch.tensor([[1] * len(b["ids"]) + [0] * (width - len(b["ids"])) for b in batch])
        labels = ids.masked_fill(mask == 0, -100)
        for label, b in zip(labels, batch, strict=True):
            label[: b["start"]] = -100
        prompts = ids[:, : min(b["start"] for b in batch)]
        return {"input_ids": ids, "attention_mask": mask, "labels": labels, "prompts": prompts}

    clock: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *args: object, **kwargs: object) -> None:
            clock.append(-time.perf_counter())

        def on_step_end(self, *args: object, **kwargs: object) -> None:
            clock[-1] += time.perf_counter()

    config = GKDConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=BATCH,
        max_steps=steps,
        lmbda=0.0,
        beta=BETA,
        learning_rate=LR,
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        **({"bf16": True} if bf16 else {}),
    )
    data = Dataset.from_list([{"ids": ids, "start": start} for ids, start in rows])
    trainer = GKDTrainer(
        model=student.model,
        teacher_model=teacher.model,
        args=config,
        data_collator=collate,
        train_dataset=data,
        processing_class=student.tokenizer,
        callbacks=[Clock()],
    )
    trainer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(data)
    trainer.train()
    tokens = [sum(len(ids) for ids, _ in rows[step * BATCH : (step + 1) * BATCH]) for step in range(steps)]
    return list(zip(tokens, clock, strict=True))


def run_ours(rows: Rows, folder: Path, steps: int, again: bool) -> Steps:
    """Stillhouse's loop: once through the rows, the teacher's pass included; or the second time, when that is known."""
    from stillhouse.models.load import load
    from stillhouse.models.tokenise import Encoded
    from stillhouse.recipe import ObjectiveUse, Train
    from stillhouse.train.loop import Job, run_training
    from stillhouse.train.material import Answer, Material
    from stillhouse.train.step import Models

    student, teacher = load(str(folder), dtype="float32"), load("embedded")
    encoded = tuple((Answer(Encoded(tuple(ids), start)),) for ids, start in rows)
    prompts = tuple(tuple(ids[:start]) for ids, start in rows)
    material = Material(tuple(str(i) for i in range(len(rows))), prompts, {"reference": encoded}, (), LENGTH)
    train = Train(
        objective=(ObjectiveUse.model_validate({"use": "jsd", "beta": BETA, "on": "reference"}),),
        steps=2 * steps if again else steps,
        batch_size=BATCH,
        lr=LR,
        probe_every=10**6,
        checkpoint_every=10**6,
        cache_teacher=again,
    )
    done: Steps = []
    place = Path(tempfile.mkdtemp())

    def on_step(step: int, line: dict) -> None:
        if "seconds" in line:
            done.append((line["tokens"], line["seconds"]))

    run_training(
        Job(
            models=Models(student.model, teacher.model, teacher.model, student.vocabulary, student.pad_id),
            material=material,
            train=train,
            stop_ids=student.eos_ids,
            folder=place,
            signals=place / "signals.safetensors",
            seed=1,
            dtype=teacher.model.dtype,
            probe=lambda model: {},
            on_step=on_step,
            warn=print,
        )
    )
    return done[-steps:]


def worker(peer: str, folder: Path, steps: int) -> None:
    """One measurement in this process; prints it as JSON."""
    ours = peer.startswith("ours")
    if ours:
        machine.settle()
    rows = json.loads((folder / "rows.json").read_text())
    done = run_ours(rows, folder, steps, peer == "ours-again") if ours else run_trl(rows, folder, steps, "bf16" in peer)
    tokens, seconds = (sum(values) for values in zip(*done[1:], strict=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("RESULT " + json.dumps({"tokens_per_second": tokens / seconds, "peak_mib": peak / 1024}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="builtin", help="prompts with reference answers, as data.seeds takes them")
    parser.add_argument("--steps", type=int, default=6, help="steps of each measurement; the first is not counted")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default="trl,ours,ours-again,trl-bf16")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        worker(args.worker, args.folder, args.steps)
        return
    with tempfile.TemporaryDirectory() as folder:
        table(args, Path(folder))


def table(args: argparse.Namespace, folder: Path) -> None:
    """Let the peers take turns, and print what they did."""
    student = folder / "student"
    subprocess.run([sys.executable, "-c", MAKE_STUDENT, str(student), args.rows], check=True)
    (student / "rows.json").write_text(json.dumps(encoded_rows(args.rows, BATCH * args.steps)))
    found: dict[str, list[dict[str, float]]] = {peer: [] for peer in args.peers.split(",")}
    for _ in range(args.rounds):
        for peer, results in found.items():
            command = [sys.executable, __file__, "--worker", peer, "--folder", str(student)]
            command += ["--steps", str(args.steps)]
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
            lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
            if not lines:
                sys.exit(f"{peer} failed:\n{done.stderr[-3000:]}")
            results.append(json.loads(lines[0].removeprefix("RESULT ")))
    first = found[next(iter(found))]
    print("| | real tokens/s, median (min to max) | ratio | peak memory, MiB |\n|---|---|---|---|")
    for peer, results in found.items():
        speed = [r["tokens_per_second"] for r in results]
        ratio = statistics.median(s / f["tokens_per_second"] for s, f in zip(speed, first, strict=True))
        peak = statistics.median(r["peak_mib"] for r in results)
        middle = f"{statistics.median(speed):.0f} ({min(speed):.0f} to {max(speed):.0f})"
        print(f"| {PEERS[peer]} | {middle} | {ratio:.1f} | {peak:.0f} |")


MAKE_STUDENT = """
import sys
from pathlib import Path
from stillhouse.models.load import load
from stillhouse.models.prune import keep_layers, select_layers
from stillhouse.models.saving import save_model
from stillhouse.models.tokenise import encode_answer, encode_pair, encode_prompt
from stillhouse.records.read import read_records
teacher = load("embedded")
rows = [encode_pair(encode_prompt(teacher.tokenizer, r.messages),
        encode_answer(teacher.tokenizer, r.answers("reference")[0].text, finished=True), max_tokens=128)
        for r in read_records(sys.argv[2])[:16]]
save_model(keep_layers(teacher, select_layers(teacher, "importance", 20, rows).layers), Path(sys.argv[1]))
"""

if __name__ == "__main__":
    main()
