"""Which figures a run or a comparison has. A figure whose numbers are not there yet is left out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from stillhouse.evaluate.intervals import over_seeds
from stillhouse.evaluate.scores import BandScores, ModelScores, Score
from stillhouse.report import plots
from stillhouse.report.curves import Boundary, Line, boundaries, keys, line, mean_line
from stillhouse.report.plots import Bars, Pen, Spot
from stillhouse.report.read import CompareFolder, RunFolder
from stillhouse.report.style import METHODS, STUDENT, TEACHER, UNTRAINED, method_style
from stillhouse.report.tables import ROLES

ROLE_PENS = {"teacher": Pen(TEACHER), "untrained": Pen(UNTRAINED), "student": Pen(STUDENT)}
SHORT = {"teacher": "teacher", "untrained": "untrained", "student": "trained"}
BAND_MEASURES = (("rouge_l", "ROUGE-L"), ("exact_match", "exact match, %"))


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
    Panel("first-token", "First-token divergence", "nats", (("probe.first_kl", "KLD"), ("probe.first_reverse_kl", "rKLD")),
          "At the first token of the answer: KLD is KL(teacher ‖ student), rKLD the reverse."),
    Panel("reward", "Implicit reward", "nats", (("probe.reward_teacher", "of y_t"), ("probe.reward_student", "of y_s")),
          "β log q/p, summed over the teacher's answer y_t and the student's own y_s.", zero=True),
)  # fmt: skip


def run_figures(run: RunFolder) -> Iterator[Figure]:
    """Curves of one run: loss and terms, divergences, agreement, reward, and reward against reverse KLD."""
    stages = boundaries(run.logs)
    terms = [(k, k.removeprefix("terms.")) for k in keys(run.logs) if k.startswith("terms.")]
    loss = Panel("loss", "Training loss", "loss", (("loss", "loss"), *(terms if len(terms) > 1 else ())),
                 "The loss and its terms before weighting." if len(terms) > 1 else "")  # fmt: skip
    for panel in (loss, *PROBES):
        pens = (Pen(STUDENT), Pen(METHODS[0]), *(Pen(c) for c in METHODS[1:]))
        lines = [(found, pens[i % len(pens)]) for i, (k, label) in enumerate(panel.values) if (found := line(run.logs, k, label))]
        if lines:
            yield Figure(panel.title, plots.curves(panel.name, lines, panel.unit, stages, panel.zero), panel.caption)
    across, up = line(run.logs, "probe.first_reverse_kl", ""), line(run.logs, "probe.reward_teacher", "")
    if across and up:
        yield _trajectory([("", across, up, Pen(STUDENT))])


def compare_figures(compare: CompareFolder) -> Iterator[Figure]:
    """The same curves with the methods overlaid; one panel a value, so that a colour is always a method."""
    runs = {m: compare.of(m) for m in compare.methods}
    loss = Panel("loss", "Training loss", "loss", (("loss", ""),), "Losses of different methods are not comparable in height.")
    for panel in (loss, *PROBES):
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
        for measure, unit in BAND_MEASURES:
            shown = [Bars(label, _band_means([_bands(m, task) for m in found], measure), pen) for label, pen, found in models]
            shown = [b for b in shown if b.bands]
            if shown:
                yield Figure(f"{unit.partition(',')[0]} on {task}", plots.bars(f"{measure}-{task}", shown, counts, unit))


def tradeoff_figures(folder: RunFolder | CompareFolder) -> Iterator[Figure]:
    """Quality against speed: ROUGE-L of the first task, and KL to the teacher; against size where no speed is known."""
    models = [(label, pen, found) for label, pen, found in _models(folder) if found]
    timed = all(m.tokens_per_second is not None for _, _, found in models for m in found)
    x_label = "generated tokens per second" if timed else "parameters, millions"
    task = next((t for _, _, found in models for m in found for t in m.tasks), None)
    wanted = [("rouge-l", f"ROUGE-L on {task}", "higher is better"), ("kl", "KL to the teacher, nats per token", "lower is better")]
    for name, y_label, direction in wanted:
        spots = []
        for label, pen, found in models:
            x = _mean([m.tokens_per_second if timed else m.parameters / 1e6 for m in found])
            y = _mean([_quality(m, name, task) for m in found])
            if x is not None and y is not None:
                spots.append(Spot(label, x, y, found[0].parameters, pen))
        if spots:
            caption = f"{direction.capitalize()}; the area of a spot is proportional to parameters."
            yield Figure(f"{y_label.partition(',')[0]} and {'speed' if timed else 'size'}",
                         plots.tradeoff(f"tradeoff-{name}", spots, x_label, y_label), caption)  # fmt: skip


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


def _quality(model: ModelScores, name: str, task: str | None) -> float | None:
    if name == "kl":
        return model.fidelity["kl"].value if "kl" in model.fidelity else None
    return model.tasks[task].rouge_l.value if task in model.tasks else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None
