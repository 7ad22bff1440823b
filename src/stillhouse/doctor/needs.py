"""Memory, time and disk that a run needs, from shapes and counts. Estimates: expect them within a factor of two."""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from stillhouse.compiled import compiler
from stillhouse.doctor.data import Amount
from stillhouse.doctor.findings import Finding, duration, size
from stillhouse.doctor.models import device, teacher_bytes
from stillhouse.models.load import LanguageModel, fast_dtype
from stillhouse.recipe import Recipe, Train
from stillhouse.train.terms import read_terms, several_of, sources_of

MASTER_BYTES = 16
"""A trained weight in float32, its gradient, and the two moments of Adam."""

COMPACT_BYTES = 9
"""The same with compact moments: a weight in two halves, a gradient in bfloat16, moments of one and two bytes."""

ACTIVATION_FACTOR = 17
"""Values kept per token, layer and unit of width until the backward pass."""

LOGIT_ROWS = 256
"""Rows of logits that exist at one time, for teacher and student, with their gradients: about four float32 copies."""

TRAINING_SHARE, DECODING_SHARE = 0.4, 0.1
"""Of the speed of one large matrix product, what training and batched generation reach."""

CALIBRATION = 768, 0.3
"""Side of the matrices, and seconds, of the measurement of speed."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes."""

    teacher: int
    student: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        return self.teacher + self.student + self.activations + self.logits


def trained_parameters(recipe: Recipe, student: LanguageModel) -> int:
    """Weights that get gradients: all of them, or about those of the adapters."""
    lora = recipe.student.lora
    if lora is None:
        return student.parameters
    matrices = [w for name, w in student.model.named_parameters() if w.ndim == 2 and "embed" not in name]
    return sum(lora.rank * sum(matrix.shape) for matrix in matrices)


def memory_of(recipe: Recipe, teacher: LanguageModel | None, student: LanguageModel, amount: Amount) -> Memory:
    """Memory at the peak of training."""
    config = student.model.config.get_text_config()
    trained = trained_parameters(recipe, student)
    tokens = max((micro_batch(recipe, train, amount) for train in _trainings(recipe)), default=0)
    width = fast_dtype(device()).itemsize
    return Memory(
        teacher=0 if teacher is None else teacher_bytes(recipe, teacher),
        student=trained * master_bytes(recipe) + (4 * student.parameters if trained < student.parameters else 0),
        activations=int(tokens * config.num_hidden_layers * config.hidden_size * ACTIVATION_FACTOR * width),
        logits=LOGIT_ROWS * student.head_rows * 4 * 4,
    )


def master_bytes(recipe: Recipe) -> int:
    """What training needs for a weight on this machine."""
    half = device().type == "cpu" and fast_dtype(device()) == torch.bfloat16 and compiler() is not None
    compact = half and all(t.moments == "auto" and t.precision != "fp32" for t in _trainings(recipe))
    return COMPACT_BYTES if compact else MASTER_BYTES


def micro_batch(recipe: Recipe, train: Train, amount: Amount) -> int:
    """Tokens of one forward pass of training."""
    return round(min(train.micro_tokens, train.batch_size * _row(recipe, amount) * _sequences(train)))


def seconds_of(
    recipe: Recipe, teacher: LanguageModel | None, student: LanguageModel, amount: Amount, speed: float
) -> dict[str, float]:
    """Seconds of each stage at `speed` (floating-point operations a second of a large matrix product).

    What others do behind a url takes no time here.
    """
    p, q = 0 if teacher is None else teacher.parameters, student.parameters
    training = recipe.student.refit_tokens * 2 * (p + 2 * q) / TRAINING_SHARE if recipe.student.keep_layers else 0.0
    for train in _trainings(recipe):
        tokens = train.steps * train.batch_size * _row(recipe, amount) * _sequences(train)
        passes = 6 * q + (2 * p if any(term.wants("teacher") for term in read_terms(train)) else 0)
        training += tokens * passes / TRAINING_SHARE
        if "student" in _texts(train):
            training += train.steps * train.batch_size * train.rollout.max_new_tokens * 2 * q / DECODING_SHARE
    return {
        "elicit": amount.asked_tokens * 2 * p / DECODING_SHARE / speed,
        "train": training / speed,
        "evaluate": amount.examined_tokens * 2 * (p + 2 * q) / DECODING_SHARE / speed,
    }


def disk_of(recipe: Recipe, student: LanguageModel) -> int:
    """Bytes of the checkpoints (weights and two moments, one more than is kept while writing) and the trained model."""
    kept = max((train.keep_checkpoints + 1 for train in _trainings(recipe)), default=0)
    return kept * 12 * trained_parameters(recipe, student) + 4 * student.parameters


def look_at_needs(
    recipe: Recipe, teacher: LanguageModel | None, student: LanguageModel, amount: Amount
) -> list[Finding]:
    """Memory, time and disk against what the machine has."""
    memory, (total, free) = memory_of(recipe, teacher, student, amount), machine_memory()
    parts = f"teacher {size(memory.teacher)}, student with optimiser {size(memory.student)}"
    parts += f", activations {size(memory.activations)}, logits {size(memory.logits)}"
    text = f"about {size(memory.total)} ({parts}) of {size(total)}, {size(free)} free"
    level = "error" if memory.total > total else "warning" if memory.total > 0.8 * free else "fine"
    found = [Finding("memory", text, level)]
    if level != "fine":
        found.append(Finding("memory", "lower train.micro_tokens, use [student.lora], or take a smaller student"))
    speed = measured_speed()
    times = seconds_of(recipe, teacher, student, amount, speed)
    told = ", ".join(f"{stage} {duration(seconds)}" for stage, seconds in times.items())
    assumed = f"assuming {TRAINING_SHARE:.0%} (generation {DECODING_SHARE:.0%}) of {size(speed, 'FLOP/s')} measured now"
    found.append(Finding("time", f"about {duration(sum(times.values()))}: {told}; {assumed}"))
    wanted, room = disk_of(recipe, student), shutil.disk_usage(_existing(Path("runs"))).free
    text = f"about {size(wanted)} for checkpoints and model, {size(room)} free"
    return [*found, Finding("disk", text, "error" if wanted > room else "fine")]


def machine_memory() -> tuple[int, int]:
    """Total and free bytes where the models will be: the accelerator, or this machine within its container's limit."""
    if device().type == "cuda":
        free, total = torch.cuda.mem_get_info()
        return total, free
    page = os.sysconf("SC_PAGE_SIZE")
    total, free = os.sysconf("SC_PHYS_PAGES") * page, os.sysconf("SC_AVPHYS_PAGES") * page
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        free = int(lines.get("MemAvailable", f"{free // 1024}").split()[0]) * 1024
    limits = [Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")]
    caps = [int(text) for path in limits if path.is_file() and (text := path.read_text().strip()).isdecimal()]
    return min([total, *caps]), min([free, *caps])


def measured_speed() -> float:
    """Floating-point operations a second of the fastest of some matrix products in the compute dtype."""
    side, budget = CALIBRATION
    where = device()
    one = torch.ones(side, side, device=where, dtype=fast_dtype(where))
    times, end = [], time.perf_counter() + budget
    while len(times) < 2 or time.perf_counter() < end:
        began = time.perf_counter()
        torch.mm(one, one)
        if where.type != "cpu":
            torch.accelerator.synchronize()
        times.append(time.perf_counter() - began)
    return 2 * side**3 / min(times)


def _row(recipe: Recipe, amount: Amount) -> float:
    return min(float(recipe.data.max_tokens), amount.prompt_tokens + amount.answer_tokens)


def _texts(train: Train) -> frozenset[str]:
    """Whose text a step sees."""
    return sources_of(read_terms(train), train.pair)


def _sequences(train: Train) -> int:
    """Sequences that a step sees of a prompt: one for each source, and as many as are seen at once."""
    return len(_texts(train)) + (train.candidates - 1) * len(several_of(read_terms(train)))


def _trainings(recipe: Recipe) -> list[Train]:
    return [stage.train for stage in recipe.stage if stage.train]


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
