"""Which figures a run or a comparison has. A figure whose numbers are not there yet is left out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from stillhouse.evaluate.intervals import over_seeds
from stillhouse.evaluate.scores import BandScores, ModelScores, Score
from stillhouse.report import plots
from stillhouse.report.curves import Boundary, Line, boundaries, keys, line, mean_line
from stillhouse.report.labels import Pen
from stillhouse.report.plots import Bars, Spot
from stillhouse.report.read import CompareFolder, RunFolder
from stillhouse.report.style import METHODS, STUDENT, TEACHER, UNTRAINED, css, method_style
from stillhouse.report.tables import ROLES, task_title

ROLE_PENS = {"teacher": Pen(TEACHER), "untrained": Pen(UNTRAINED), "student": Pen(STUDENT)}
SHORT = {"teacher": "teacher", "untrained": "untrained", "student": "trained"}
VALUE_PENS = tuple(Pen(c) for c in (STUDENT, METHODS[0], METHODS[2], METHODS[3], METHODS[6], METHODS[4]))
"""For several values of one run; without the orange that is next to the student's own colour."""

BAND_MEASURES = (("rouge_l", "ROUGE-L", "ROUGE-L"), ("exact_match", "Exact match", "exact match, %"))


@dataclass(frozen=True, slots=True)
class Figure:
    title: str
    svg: Markup
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel of curves: the logged values (with their labels) that share an axis."""

    name: str
    title: str
    unit: str
    values: tuple[tuple[str, str], ...]
    caption: str = ""
    zero: bool = False


PROBES = (
    Panel("held-out-kl", "Held-out KL per token", "nats per token", (("probe.kl", "KL"),),
          "KL(teacher ‖ student) on held-out answers."),
    Panel("top1", "Top-1 agreement", "% of tokens", (("probe.top1", "agreement"),),
          "How often both find the same next token likeliest."),
    Panel("first-token", "First-token divergence", "nats",
          (("probe.first_kl", "KLD"), ("probe.first_reverse_kl", "rKLD")),
          "At the first token of the answer: KLD is KL(teacher ‖ student), rKLD the reverse."),
    Panel("reward", "Implicit reward", "nats", (("probe.reward_teacher", "of y_t"), ("probe.reward_student", "of y_s")),
          "β log q/p, summed over the teacher's answer y_t and the student's own y_s.", zero=True),
)  # fmt: skip


def run_figures(run: RunFolder) -> Iterator[Figure]:
    """Curves of one run: loss and terms, divergences, agreement, reward, and reward against reverse KLD."""
    stages = boundaries(run.logs)
    terms = [(k, k.removeprefix("terms.")) for k in keys(run.logs) if k.startswith("terms.")]
    loss = Panel("loss", "Training loss", "loss", (("loss", "loss"), *(terms if len(terms) > 1 else ())),
                 "The loss and each term's part of it." if len(terms) > 1 else "")  # fmt: skip
    for panel in (loss, *PROBES):
        found = [line(run.logs, key, label if len(panel.values) > 1 else "") for key, label in panel.values]
        lines = [(ln, VALUE_PENS[i % len(VALUE_PENS)]) for i, ln in enumerate(found) if ln]
        if lines:
            yield Figure(panel.title, plots.curves(panel.name, lines, panel.unit, stages, panel.zero), panel.caption)
    across, up = line(run.logs, "probe.first_reverse_kl", ""), line(run.logs, "probe.reward_teacher", "")
    if across and up:
        yield _trajectory([("", across, up, Pen(STUDENT))])


def compare_figures(compare: CompareFolder) -> Iterator[Figure]:
    """The same curves with the methods overlaid; one panel a value, so that a colour is always a method."""
    runs = {m: compare.of(m) for m in compare.methods}
    caption = "Losses of different methods are not comparable in height."
    for panel in (Panel("loss", "Training loss", "loss", (("loss", ""),), caption), *PROBES):
        for key, part in panel.values:
            lines = [(ln, pen) for m, pen in _pens(compare).items() if (ln := mean_line(runs[m], key, m))]
            if lines:
                title = f"{panel.title}: {part}" if len(panel.values) > 1 else panel.title
                name = f"{panel.name}-{key.rpartition('.')[2]}"
                svg = plots.curves(name, lines, panel.unit, _shared_stages(runs), panel.zero)
                yield Figure(title, svg, panel.caption)
    paths = []
    for method, pen in _pens(compare).items():
        across = mean_line(runs[method], "probe.first_reverse_kl", "")
        up = mean_line(runs[method], "probe.reward_teacher", "")
        if across and up:
            paths.append((method, across, up, pen))
    if paths:
        yield _trajectory(paths)


def band_figures(folder: RunFolder | CompareFolder) -> Iterator[Figure]:
    """ROUGE-L and exact match of every task by golden-response length."""
    models = _models(folder)
    for task in dict.fromkeys(t for _, _, found in models for m in found for t in m.tasks):
        counts: dict[str, int] = {}
        for _, _, found in models:
            for model in found:
                counts |= {b: s.rouge_l.n for b, s in _bands(model, task).items()}
        for measure, title, unit in BAND_MEASURES:
            means = (
                (label, _band_means([_bands(m, task) for m in found], measure), pen) for label, pen, found in models
            )
            shown = [Bars(label, bands, pen) for label, bands, pen in means if bands]
            if shown:
                yield Figure(f"{title} on {task_title(task)}", plots.bars(f"{measure}-{task}", shown, counts, unit))


def legend(folder: RunFolder | CompareFolder) -> tuple[tuple[str, str], ...]:
    """Who has which colour, as (label, CSS colour)."""
    return tuple((label, css(pen.colour)) for label, pen, _ in _models(folder))


def tradeoff_figures(folder: RunFolder | CompareFolder) -> Iterator[Figure]:
    """Quality against speed: ROUGE-L of the first task, and KL to the teacher; against size where no speed is known."""
    here = [(label, pen, found) for label, pen, found in _models(folder) if found and found[0].parameters is not None]
    timed = all(m.tokens_per_second is not None for _, _, found in here for m in found)
    x_label = "generated tokens per second" if timed else "parameters, millions"
    task = next((t for _, _, found in here for m in found for t in m.tasks), "")
    on = f"ROUGE-L on {task_title(task)}"
    for name, title, y_label, better in (
        ("rouge-l", on, on, "Higher"),
        ("kl", "KL to the teacher", "nats per token", "Lower"),
    ):
        spots = []
        for label, pen, found in here:
            x = _mean([m.tokens_per_second if timed else (m.parameters or 0) / 1e6 for m in found])
            y = 0.0 if (name, label) == ("kl", SHORT["teacher"]) else _mean([_quality(m, name, task) for m in found])
            if x is not None and y is not None:
                spots.append(Spot(label, x, y, found[0].parameters or 0, pen))
        if len(spots) > 1:
            caption = f"{better} is better; the area of a spot is proportional to parameters."
            svg = plots.tradeoff(f"tradeoff-{name}", spots, x_label, y_label)
            yield Figure(f"{title} and {'speed' if timed else 'size'}", svg, caption)


def _trajectory(paths: Sequence[tuple[str, Line, Line, Pen]]) -> Figure:
    svg = plots.trajectory("trajectory", paths, "first-token rKLD, nats", "implicit reward of y_t, nats")
    return Figure("Reward against reverse KLD", svg, "Training runs from the dot to the ring; up and left is better.")


def _pens(compare: CompareFolder) -> dict[str, Pen]:
    return {m: Pen(*method_style(i)) for i, m in enumerate(compare.methods)}


def _shared_stages(runs: Mapping[str, Sequence[RunFolder]]) -> tuple[Boundary, ...]:
    """The boundaries between stages, if all runs have the same."""
    found = {boundaries(run.logs) for method in runs.values() for run in method}
    return found.pop() if len(found) == 1 else ()


def _models(folder: RunFolder | CompareFolder) -> list[tuple[str, Pen, list[ModelScores]]]:
    """Everyone who was scored: label, pen, and the scores (of a method: one for each seed)."""
    if isinstance(folder, RunFolder):
        return [(SHORT[r], ROLE_PENS[r], [m]) for r in ROLES if (m := folder.model(r))]
    first = folder.first
    heads = [(SHORT[r], ROLE_PENS[r], [m]) for r in ("teacher", "untrained") if first and (m := first.model(r))]
    methods = [(m, pen, [s for run in folder.of(m) if (s := run.model("student"))]) for m, pen in _pens(folder).items()]
    return [*heads, *methods]


def _bands(model: ModelScores, task: str) -> Mapping[str, BandScores]:
    return model.tasks[task].bands if task in model.tasks else {}


def _band_means(seeds: Sequence[Mapping[str, BandScores]], measure: str) -> dict[str, Score]:
    """One seed keeps its interval over prompts; several give the mean and the interval over seeds."""
    found: dict[str, list[Score]] = {}
    for bands in seeds:
        for band, scores in bands.items():
            found.setdefault(band, []).append(scores.rouge_l if measure == "rouge_l" else scores.exact_match)
    return {b: s[0] if len(seeds) == 1 else over_seeds([x.value for x in s]) for b, s in found.items()}


def _quality(model: ModelScores, name: str, task: str) -> float | None:
    if name == "kl":
        return model.fidelity["kl"].value if "kl" in model.fidelity else None
    return model.tasks[task].rouge_l.value if task in model.tasks else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None
