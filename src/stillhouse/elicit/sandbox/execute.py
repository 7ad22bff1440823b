"""Run the programs that records hold."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, Literal

from pydantic import Field

from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.sandbox.outcome import Limits, Program
from stillhouse.elicit.sandbox.probe import working_box
from stillhouse.elicit.sandbox.run import run_many
from stillhouse.elicit.view import text
from stillhouse.records.types import Record

BATCH = 64
AtLeastOne = Annotated[int, Field(ge=1)]


def execute(
    records: Iterable[Record],
    *,
    program: str = "program",
    tests: str = "",
    stdin: str = "",
    into: str = "result",
    status: str = "status",
    error: str = "error",
    keep: Literal["ok", "all"] = "ok",
    seconds: Annotated[float, Field(gt=0, le=3600)] = 5.0,
    memory_mb: AtLeastOne = 512,
    processes: AtLeastOne = 1,
    output_kb: AtLeastOne = 64,
    files_mb: AtLeastOne = 8,
) -> Iterator[Result]:
    """Run the Python of field `program` in a sandbox: no network, nothing to read but the standard library.

    Field `into` is what it printed; of a program that printed nothing, what its function `solution()` returns, or its
    variable `answer`, `ans` or `result`. Where `tests` names a field, that is Python too and runs after the program in
    the same names: an assertion that fails, or an end before the tests are through, is a failure. `stdin` may name a
    field that the program reads.

    Field `status` is "ok", "error", "exit" (it left before the end), "timeout", "memory", "output" (it printed more
    than `output_kb`), "empty" (no program, or no tests) or "lost"; field `error` is the last line of what went wrong,
    "" with "ok". `keep` "ok" drops the others, "all" keeps them for a step that asks again. Whether a result is right
    is for the filter `gold`. Limits: `seconds` of time, `memory_mb` for each of `processes` (threads too), `files_mb`
    on disk.

    Where no sandbox works, it refuses (RecipeError): such code never runs without one.

    Used by: Mixed Distill, MAmmoTH, PERsD, Code Llama, Code Clean, CRAFT, Eureka.
    """
    working_box()  # refuse before the first record is read
    limits = Limits(seconds, memory_mb, processes, output_kb, files_mb)
    stream = iter(records)
    while batch := list(islice(stream, BATCH)):
        jobs = [_job(record, program, tests, stdin) for record in batch]
        for record, ended in zip(batch, run_many(jobs, limits=limits), strict=True):
            if keep == "ok" and ended.status != "ok":
                yield Dropped(record, f"program: {ended.status}")
            else:
                result = ended.stdout.strip() if ended.status == "ok" else ""
                yield record.having(**{into: result, status: ended.status, error: ended.error})


def _job(record: Record, program: str, tests: str, stdin: str) -> Program:
    return Program(
        text(record, program),
        text(record, tests) if tests else None,
        text(record, stdin) if stdin else "",
    )
