"""The command line: verbs without logic. Everything heavy is imported by the verb that needs it."""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from stillhouse import machine
from stillhouse.ending import Ending

if TYPE_CHECKING:
    from stillhouse.run import Run


class Hall(TyperGroup):
    """The group of all verbs, with an Ending around each."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.obj = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        with Ending(ctx.obj):
            return super().invoke(ctx)


app = typer.Typer(
    cls=Hall,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
shelf = typer.Typer(no_args_is_help=True, help="The recipes that come with Stillhouse.")
app.add_typer(shelf, name="recipes")

RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="A shipped recipe's name, or a .toml file.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run folder, or the name of one under runs/.")]
Changes = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Changes to the recipe, as in train.steps=20.", show_default=False),
]
Folder = Annotated[Path | None, typer.Option(help="Where the run is kept; by default runs/NAME.", show_default=False)]

Full = Annotated[bool, typer.Option("--full", help="As large as published: with the changes in the recipe's [full].")]


def say_version(wanted: bool) -> bool:
    if wanted:
        print(f"stillhouse {installed_version('stillhouse')}")
        raise typer.Exit
    return wanted


@app.callback()
def hall(
    version: Annotated[bool, typer.Option("--version", callback=say_version, is_eager=True, help="Say it.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks (or set STILLHOUSE_DEBUG=1).")] = False,
) -> None:
    """Distil large language models: elicit answers from a teacher, train a student on them, measure it, see the result.

    Exit codes: 0 done, 2 the recipe or command must be changed, 3 stopped but resumable, 4 failed.
    """


@app.command(epilog="Example: stillhouse run quickstart train.steps=20 --folder runs/short")
def run(recipe: RecipeName, changes: Changes = None, folder: Folder = None, full: Full = False) -> None:
    """Do a whole recipe: elicit, train, evaluate, report. Stopped by anything, the same command goes on where it was.

    Given RUN/recipe.toml, it goes on in that run; with --folder it repeats that run elsewhere.
    """
    from stillhouse import stages
    from stillhouse.run import home_of

    done = stages.distill(recipe, *(changes or ()), folder=folder or home_of(recipe), full=full)
    if first_process():
        finish(done)


@app.command(epilog="Example: stillhouse elicit self-instruct stage.grow.rounds=5")
def elicit(
    run: RunName,
    changes: Changes = None,
    folder: Folder = None,
    full: Full = False,
    again: Annotated[str, typer.Option(help="A step whose sampled answers are wanted anew.", show_default=False)] = "",
) -> None:
    """Do the recipe's steps: have models answer, filter, judge. Given a recipe instead of a run, it begins one.

    Answers are kept in journal.jsonl as they come, and nothing is asked twice: with another parser or filter, what is
    paid for is read anew.
    """
    from stillhouse import stages

    with opened(run, changes or (), folder=folder, full=full) as work:
        stages.elicit(work, again=again)


@app.command(epilog="Example: stillhouse train runs/quickstart")
def train(run: RunName) -> None:
    """Train the student on what was elicited, from the newest whole checkpoint if there is one.

    Several processes share the work: torchrun --nproc-per-node 2 -m stillhouse train runs/quickstart
    """
    from stillhouse import stages

    with opened(run) as work:
        stages.train(work)


@app.command(epilog="Example: stillhouse evaluate runs/quickstart")
def evaluate(run: RunName) -> None:
    """Measure teacher, untrained student and trained student on the recipe's tasks, and print the table."""
    from stillhouse import stages

    with opened(run) as work:
        stages.evaluate(work)
        table(work.folder)


@app.command(epilog="Example: stillhouse report runs/quickstart")
def report(run: RunName) -> None:
    """Write report.html, one page that opens offline, from whatever the run (or comparison) has by now."""
    from stillhouse.report import write_report
    from stillhouse.run import find

    print(write_report(find(run) or Path(run)))


@app.command(epilog="Example: stillhouse compare quickstart --methods dpkd,sft,kd,seqkd,akl --seeds 1,2,3")
def compare(
    recipe: RecipeName,
    changes: Changes = None,
    methods: Annotated[
        str, typer.Option(help="Recipes whose objectives compete, with commas between.")
    ] = "dpkd,sft,kd",
    seeds: Annotated[str, typer.Option(help="One run of each method for every seed.")] = "1",
    on: Annotated[str, typer.Option(help="Source of answers, e.g. teacher, that stand in for reference answers.")] = "",
    folder: Folder = None,
) -> None:
    """Run several methods on the same student, data, tokens and steps, and put them in one table with intervals.

    RECIPE says everything but the objective; each method lends its own. Finished runs are not repeated.
    """
    from stillhouse.compare import compare, parse_seeds
    from stillhouse.recipes import load
    from stillhouse.run import home_of

    chosen = [name.strip() for name in methods.split(",") if name.strip()]
    place = compare(load(recipe, changes or ()), chosen, parse_seeds(seeds), folder or home_of(recipe), on=on)
    table(place)
    print(place / "report.html")


@app.command(epilog='Example: stillhouse chat runs/quickstart "Name three uses of a paper clip."')
def chat(
    run: RunName,
    prompt: Annotated[str | None, typer.Argument(help="One question; without it, ask as many as you like.")] = None,
) -> None:
    """Ask one thing of teacher, untrained student and trained student, and read their answers side by side."""
    from stillhouse.chat import converse
    from stillhouse.run import find

    converse(find(run) or Path(run), prompt)


@app.command(epilog="Example: stillhouse doctor quickstart student.keep_layers=10")
def doctor(recipe: RecipeName, changes: Changes = None) -> None:
    """Say what a run would load and need, before anything is loaded: models, tokenizers, data, memory, time, disk.

    Ends with 2 if something in it cannot work.
    """
    from stillhouse.doctor import diagnose_recipe
    from stillhouse.recipes import load

    found = diagnose_recipe(load(recipe, changes or ()))
    Console().print(found.to_rich())
    raise typer.Exit(0 if found.healthy else 2)


@shelf.command("list")
def list_recipes() -> None:
    """Name every recipe, with a line on what it is."""
    from stillhouse.recipes import names, path_of, read

    width = max(map(len, names()))
    for name in names():
        print(f"{name:<{width}} {read(path_of(name)).get('about', '')}")


@shelf.command("show", epilog="Example: stillhouse recipes show dpkd > mine.toml")
def show_recipe(name: RecipeName) -> None:
    """Print a recipe file: the paper, what differs from it, what to expect. A copy of it is the start of your own."""
    from stillhouse.recipes import path_of

    print(path_of(name).read_text(encoding="utf-8"), end="")


def opened(name: str, changes: Sequence[str] = (), *, folder: Path | None = None, full: bool = False) -> "Run":
    """The run called so, or a new one of the recipe called so (always, where a folder is given); with changes to it."""
    from stillhouse import stages
    from stillhouse.recipes import load
    from stillhouse.run import RECIPE, Run, find

    known = find(name)
    if folder is not None or (known is None and (name.endswith(".toml") or not Path(name).parts[1:])):
        return stages.prepare(load(name, changes, full=full), folder)
    if known is not None and (changes or full):
        return stages.prepare(load(known / RECIPE, changes, full=full), known)
    return Run.open(known or name, exclusive=first_process())


def first_process() -> bool:
    """Whether this is the one of several processes, started by torchrun, that writes and speaks."""
    return int(os.environ.get("RANK", "0")) == 0


def table(folder: Path) -> None:
    from stillhouse.report import summary_table

    Console().print(summary_table(folder).to_rich())


def finish(run: "Run") -> None:
    table(run.folder)
    print(run.report_file)


def main() -> None:
    """Entry point of the `stillhouse` command."""
    machine.settle()
    sys.exit(app())
