"""Run Python that a model wrote, in a sandbox that was probed to hold, or not at all."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from stillhouse.elicit.sandbox.box import Box
from stillhouse.elicit.sandbox.outcome import Limits, Outcome, Program
from stillhouse.elicit.sandbox.probe import probe, working_box
from stillhouse.errors import StillhouseError

USUAL = Limits()


def run_python(code: str, *, tests: str | None = None, stdin: str = "", limits: Limits = USUAL) -> Outcome:
    """Run one program, then its tests. Raises RecipeError where no sandbox works."""
    return run_many([Program(code, tests, stdin)], limits=limits)[0]


def run_many(programs: Sequence[Program], *, limits: Limits = USUAL, workers: int | None = None) -> list[Outcome]:
    """Run programs side by side, as many at a time as there are cores; the outcomes in the order of the programs.

    Raises RecipeError where no sandbox works, and StillhouseError when the sandbox stops working on the way.
    """
    box = working_box()
    with ThreadPoolExecutor(workers or len(os.sched_getaffinity(0))) as pool:
        outcomes = list(pool.map(lambda program: _run(box, program, limits), programs))
    if any(o.status == "lost" for o in outcomes) and (fault := probe(box)):
        raise StillhouseError(f"the sandbox ({box.kind.name}) has stopped working: {fault}; run the same command again")
    return outcomes


def _run(box: Box, program: Program, limits: Limits) -> Outcome:
    blank = not program.code.strip() or (program.tests is not None and not program.tests.strip())
    return Outcome("empty") if blank else box.run(program, limits)
