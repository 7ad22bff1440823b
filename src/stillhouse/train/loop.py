"""The training loop: plan a step, sum its micro-batches' gradients, check, clip, step, log, probe, checkpoint."""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from stillhouse import ranks
from stillhouse.errors import Interrupted, TrainingError
from stillhouse.models.forward import attention, implementation, packable
from stillhouse.models.layers import fused_layers
from stillhouse.objectives.divergences.taid import TaidSchedule
from stillhouse.recipe import Train
from stillhouse.records.store import write_atomic
from stillhouse.stopping import stop_signal
from stillhouse.train.checkpoint import latest, load_checkpoint, save_checkpoint
from stillhouse.train.embedding import embedding_rows
from stillhouse.train.features import attach_projectors, detach_projectors, matched, pairs_of
from stillhouse.train.material import Material, visits
from stillhouse.train.metrics import MetricsLog
from stillhouse.train.optim import learning_rate, optimiser
from stillhouse.train.plan import StepPlan, Wanted, plan_step
from stillhouse.train.rollout import Rollouts, Sampler
from stillhouse.train.rows import Models
from stillhouse.train.signals import Captured, capture, known
from stillhouse.train.step import micro_loss
from stillhouse.train.terms import Loss, Term, labels_of, read_terms, several_of, sources_of

Probe = Callable[[Callable[[], PreTrainedModel]], dict[str, float]]
OnStep = Callable[[int, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Job:
    """All that one stage's training needs.

    `signals` is where the teacher's captured states lie; `probe` is given a way to a copy of the student, to measure
    it; `on_step` is told of each logged line.
    """

    models: Models
    material: Material
    train: Train
    stop_ids: tuple[int, ...]
    folder: Path
    signals: Path
    seed: int
    dtype: torch.dtype
    probe: Probe
    on_step: OnStep
    warn: Callable[[str], None]


def run_training(job: Job) -> None:
    """Train `job.models.student` in place, from the newest checkpoint if there is one.

    Raises TrainingError before the optimiser would step on a loss or gradient that is not finite, Interrupted after a
    signal (with a checkpoint of the last whole step), StorageError when the disk is full.
    """
    student, teacher = job.models.student, job.models.teacher
    models = list(dict.fromkeys(m for m in (student, teacher, job.models.reference) if m is not None))
    packed = job.train.packing and all(map(packable, models))
    theirs = [p for model in models[1:] for p in model.parameters()]
    before = [p.requires_grad for p in theirs]
    for parameter in theirs:
        parameter.requires_grad_(False)
    torch.set_flush_denormal(True)
    student.train(job.train.dropout)
    try:
        with ExitStack() as stack:
            for model in models:
                stack.enter_context(attention(model, implementation(model, packed=packed)))
                stack.enter_context(fused_layers(model))
            _Loop(job, packed).run(stack.enter_context(stop_signal()))
    finally:
        detach_projectors(student)
    student.eval()
    for parameter, grad in zip(theirs, before, strict=True):
        parameter.requires_grad_(grad)


class _Loop:
    """The state of one training run."""

    def __init__(self, job: Job, packed: bool) -> None:
        self.job, self.train, self.student = job, job.train, job.models.student
        self.accelerator = Accelerator(cpu=self.student.device.type == "cpu")
        terms = matched(read_terms(job.train), job.models.student, job.models.teacher)
        attach_projectors(terms, job.models.student, job.models.teacher)
        self.loss = Loss(terms, job.train.pair, job.train.reduction, packed)
        self.names = labels_of(self.loss.terms)
        pairs = any(t.family == "pairs" for t in terms)
        self.sources, several = sources_of(terms, job.train.pair), several_of(terms)
        self.wanted = Wanted(self.sources, job.train.pair if pairs else None, several, job.train.candidates)
        self.optimiser = optimiser(self.student, job.train, job.dtype)
        self.log = MetricsLog(job.folder / "metrics.jsonl")
        self.captured = self._capture()
        self.sampler = Sampler(self.student, job.dtype, job.stop_ids, job.models.pad_id, job.models.vocabulary)
        self.rollouts = Rollouts(self.sampler, job.material, job.train.rollout, job.seed)
        self.micro_tokens = job.train.micro_tokens

    def run(self, stopped: Callable[[], bool]) -> None:
        with self.optimiser.working():
            self._run(stopped)

    def _run(self, stopped: Callable[[], bool]) -> None:
        begin = self._resume()
        if begin == 0:
            self._record(0, self._probed())
        for step in range(begin, self.train.steps):
            line = self._step(step)
            done = step + 1
            if done % self.train.probe_every == 0 or done == self.train.steps:
                line |= self._probed()
            self._record(done, line)
            if any(ranks.totals([stopped()], self.student.device)):
                self._save(done)
                raise Interrupted(f"stopped after step {done} of {self.train.steps}; run the same command to go on")
            if done % self.train.checkpoint_every == 0 and done < self.train.steps:
                self._save(done)

    def _probed(self) -> dict[str, Any]:
        return {"probe": self.job.probe(self.sampler.refresh)} if ranks.rank() == 0 else {}

    def _capture(self) -> Captured:
        wanted = any(t.wants("teacher") or t.wants("reference") for t in self.loss.terms)
        recorded, teacher = sorted(self.job.material.answers), self.job.models.teacher
        returns = self.train.steps * self.train.batch_size > len(self.job.material.prompts)
        if teacher is None or not (wanted and recorded and self.train.cache_teacher):
            return {}
        if any(map(pairs_of, self.loss.terms)):
            return {}
        if not returns:
            return known(self.job.signals)
        sequences = [a.encoded for s in recorded for answers in self.job.material.answers[s] for a in answers]
        with ranks.rank_0_first():
            return capture(teacher, sequences, self.job.signals, micro_tokens=self.train.micro_tokens)

    def _resume(self) -> int:
        found, warnings = latest(self.job.folder / "checkpoints")
        for warning in warnings:
            self.job.warn(warning)
        ranks.wait()  # nobody writes before all have read
        step = 0
        if found is not None:
            state = load_checkpoint(found, self.student, self.optimiser)
            self.rollouts.samples, self.micro_tokens, step = state["samples"], state["micro_tokens"], found.step
            kept = [None if s is None else TaidSchedule(**s) for s in state["schedules"]]
            self._use([t if s is None else t.at(s) for t, s in zip(self.loss.terms, kept, strict=True)])
        if ranks.rank() == 0:
            self.log.cut_after(step if found is not None else -1)
        return step

    def _save(self, step: int) -> None:
        root = self.job.folder / "checkpoints"
        schedules = [None if t.schedule is None else t.schedule.state() for t in self.loss.terms]
        samples = ranks.merged(self.rollouts.samples)
        state = {"samples": samples, "micro_tokens": self.micro_tokens, "schedules": schedules}
        if ranks.rank() == 0:
            save_checkpoint(root, step, self.student, self.optimiser, state, keep=self.train.keep_checkpoints)

    def _record(self, step: int, line: dict[str, Any]) -> None:
        if ranks.rank() > 0:
            return
        self.log.write({"step": step, **line})
        self.job.on_step(step, line)

    def _renew_samples(self, step: int) -> None:
        if "student" in self.sources:
            count, size = len(self.job.material.prompts), self.train.batch_size
            steps = range(step, min(step + self.train.rollout.refresh, self.train.steps))
            self.rollouts.renew(step, [v for s in steps for v in ranks.share(visits(count, size, s, self.job.seed))])

    def _plan(self, step: int) -> StepPlan:
        return plan_step(
            self.job.material,
            visits(len(self.job.material.prompts), self.train.batch_size, step, self.job.seed),
            step,
            wanted=self.wanted,
            sampled=self.rollouts.sampled,
        )

    def _step(self, step: int) -> dict[str, Any]:
        clock = time.perf_counter()
        self._renew_samples(step)
        plan, total, shares = self._within_memory(step)
        total, *shares = ranks.totals([total, *shares], self.student.device)
        self._must_be_finite(step, "loss", total, plan)
        ranks.add_gradients(self.student.parameters())
        norm = self.optimiser.clip(self.train.clip or float("inf"))
        self._must_be_finite(step, "gradient norm", norm, plan)
        rate = learning_rate(self.train, step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        (tokens,) = ranks.totals([plan.tokens], self.student.device)
        counted = sum(t.tokens for t in plan.totals.values())
        moving = {n: t.schedule.t for n, t in zip(self.names, self.loss.terms, strict=True) if t.schedule is not None}
        self._use([t.after(share, step / self.train.steps) for t, share in zip(self.loss.terms, shares, strict=True)])
        return {
            "loss": total,
            "terms": dict(zip(self.names, shares, strict=True)),
            **({"t": moving} if moving else {}),
            "lr": rate,
            "grad_norm": norm,
            "tokens": int(tokens),
            "counted": counted,
            "micro_tokens": self.micro_tokens,
            "seconds": round(time.perf_counter() - clock, 3),
        }

    def _use(self, terms: Sequence[Term]) -> None:
        self.loss = replace(self.loss, terms=tuple(terms))

    def _within_memory(self, step: int) -> tuple[StepPlan, float, list[float]]:
        """`_accumulate`; where memory does not suffice, once more in micro-batches half as large, now and later on.

        The step stays the same but for rounding: its sums are over all micro-batches, however they are cut.
        """
        plan = self._plan(step)
        while True:
            plan = plan.cut(self.micro_tokens, packed=self.loss.packed)
            try:
                return plan, *self._accumulate(plan)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if plan.indivisible:
                    raise TrainingError(
                        f"memory does not suffice for one prompt at step {step + 1}; "
                        "lower data.max_tokens, use [student.lora], or take a smaller student"
                    ) from error
            self.micro_tokens = plan.largest // 2
            self.optimiser.zero_grad(set_to_none=True)
            if self.student.device.type != "cpu":
                torch.accelerator.empty_cache()
            self.job.warn(
                f"out of memory at step {step + 1}; going on with micro-batches of {self.micro_tokens} tokens"
            )

    def _accumulate(self, plan: StepPlan) -> tuple[float, list[float]]:
        """Gradients of all micro-batches, summed; returns the step's loss and each term's part of it."""
        total, shares = 0.0, [0.0] * len(self.names)
        half = self.job.dtype == torch.bfloat16
        autocast = torch.autocast(self.student.device.type, torch.bfloat16) if half else nullcontext()
        for items in plan.micro_batches:
            with embedding_rows(self.student):
                with autocast:
                    loss, parts = micro_loss(self.job.models, self.loss, items, plan, self.captured)
                if loss.requires_grad:
                    self.accelerator.backward(loss)
            total += float(loss.detach())
            shares = [a + b for a, b in zip(shares, parts, strict=True)]
        return total, shares

    def _must_be_finite(self, step: int, what: str, value: float, plan: StepPlan) -> None:
        if value == value and abs(value) != float("inf"):
            return
        items = [item for micro in plan.micro_batches for item in micro]
        batch = [{"key": i.key, "source": i.source, **asdict(i.encoded)} for i in items]
        path = self.job.folder / f"not-finite-step-{step + 1:06d}.json"
        write_atomic(path, json.dumps({"step": step + 1, "what": what, "value": str(value), "batch": batch}))
        self._record(step + 1, {"loss" if what == "loss" else "grad_norm": value})
        keys = ", ".join(sorted({i.key for i in items})[:4])
        raise TrainingError(
            f"the {what} is {value} at step {step + 1} (records {keys}, ...); the weights are those of step {step}. "
            f"The batch is in {path}; lower train.lr, or look at those records"
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; on a CPU, torch says so in words alone."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
