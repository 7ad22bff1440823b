"""The one loop: ask what is not yet in the journal, keep every raw answer as it comes, then read them into records."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from stillhouse.elicit.generate import Request, plan, response, sampling_of
from stillhouse.endpoints.base import Answer, Endpoint, Sampling
from stillhouse.errors import Interrupted
from stillhouse.recipe import Step
from stillhouse.records.journal import Journal, Reading
from stillhouse.records.types import Record, Response, content_key


@dataclass
class Funnel:
    """How many went in, how many came out, and where the others went.

    took: answers wanted; requests: different ones behind them; cached: of those, found in the journal; refused: not
    askable (the reasons are in `notes`); asked: answered now; kept: responses added; dropped: others, by reason;
    tokens, seconds: generated and spent now.
    """

    took: int = 0
    requests: int = 0
    cached: int = 0
    refused: int = 0
    asked: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Requests that need no more waiting for, of `requests`."""
        return self.cached + self.refused + self.asked


def collect(
    records: Sequence[Record],
    endpoint: Endpoint,
    step: Step,
    journal_path: Path | str,
    *,
    seed: int,
    progress: Callable[[Funnel], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> tuple[list[Record], Funnel]:
    """Add the endpoint's answers to records: those in the journal at once, the others by asking, longest prompts first.

    Whatever ends the run, answers that came are in the journal, and the same call goes on from there. `progress` hears
    of every answer; `stop` is asked before every batch, and a true answer ends the run.
    Raises StorageError when the journal cannot grow, Interrupted on `stop`, and what the endpoint raises.
    """
    sampling, identity = sampling_of(step, seed), endpoint.identity
    plans = plan(records, step, sampling, identity)
    requests = {request.key: request for requests in plans for request in requests}
    funnel = Funnel(took=sum(map(len, plans)), requests=len(requests))
    begun = time.monotonic()
    with Journal(journal_path) as journal:
        funnel.notes += _damage(journal.found, journal_path)
        answers = _known(journal.found, requests)
        funnel.cached = len(answers)
        owed = _askable(requests, answers, endpoint, sampling, funnel)
        asking = _ask(_batches(requests, step.batch_size), owed, endpoint, sampling, stop)
        try:
            for request, answer in asking:
                journal.append([_row(request, identity, sampling, answer)], sync=False)
                answers[request.key] = answer
                _count(funnel, request, answer)
                funnel.seconds = time.monotonic() - begun
                if progress is not None:
                    progress(funnel)
        finally:
            journal.sync()
    return _answered(records, plans, answers, step, funnel), funnel


def _ask(
    batches: Iterable[list[Request]],
    owed: set[str],
    endpoint: Endpoint,
    sampling: Sampling,
    stop: Callable[[], bool] | None,
) -> Iterator[tuple[Request, Answer]]:
    for batch in batches:
        asked = [request for request in batch if request.key in owed]
        if not asked:
            continue
        if stop is not None and stop():
            raise Interrupted("Stopped between two batches of answers: run the same command again to go on.")
        drawn = replace(sampling, seed=_batch_seed(sampling.seed, batch))
        for index, answer in endpoint.generate([request.prompt for request in asked], drawn):
            yield asked[index], answer


def _count(funnel: Funnel, request: Request, answer: Answer) -> None:
    funnel.asked += 1
    funnel.tokens += answer.tokens
    if answer.finish == "error":
        funnel.notes.append(f"Failed {_name(request)}: {answer.error}.")


def _known(found: Reading, requests: dict[str, Request]) -> dict[str, Answer]:
    """Answers wanted now that the journal holds; a failed one is owed again."""
    rows = [row for row in found.rows if row.get("key") in requests]
    return {row["key"]: Answer(**row["answer"]) for row in rows if row["answer"]["finish"] != "error"}


def _askable(
    requests: dict[str, Request], answers: dict[str, Answer], endpoint: Endpoint, sampling: Sampling, funnel: Funnel
) -> set[str]:
    """Keys of the requests still to ask; those that the endpoint refuses are noted, before any call."""
    owed = set()
    for key, request in requests.items():
        if key in answers:
            continue
        reason = endpoint.refuses(request.prompt, sampling)
        if reason:
            funnel.refused += 1
            funnel.notes.append(f"Left out {_name(request)}: {reason}.")
        else:
            owed.add(key)
    return owed


def _batches(requests: dict[str, Request], size: int) -> Iterator[list[Request]]:
    """All requests, cached ones too, in one order: so a resumed run forms the same batches as an unbroken one."""
    order = sorted(requests.values(), key=lambda r: (-r.size, r.key))
    for begin in range(0, len(order), size):
        yield order[begin : begin + size]


def _batch_seed(seed: int, batch: Sequence[Request]) -> int:
    return int(content_key([seed, [request.key for request in batch]])[:7], 16)


def _answered(
    records: Sequence[Record], plans: list[list[Request]], answers: dict[str, Answer], step: Step, funnel: Funnel
) -> list[Record]:
    answered = []
    for record, requests in zip(records, plans, strict=True):
        given = [response(answers[r.key], step) if r.key in answers else "refused" for r in requests]
        kept = [r for r in given if isinstance(r, Response)]
        funnel.kept += len(kept)
        funnel.dropped.update(r for r in given if isinstance(r, str))
        answered.append(record.adding(*kept))
    return answered


def _row(request: Request, identity: str, sampling: Sampling, answer: Answer) -> dict[str, object]:
    return {
        "key": request.key,
        "prompt": request.prompt_key,
        "endpoint": identity,
        "sampling": sampling.settings(),
        "sample": request.sample,
        "answer": asdict(answer),
    }


def _damage(found: Reading, path: Path | str) -> list[str]:
    notes = []
    if found.torn:
        notes.append(f"{path}: cut {found.torn} bytes of a line that was never finished; its answer is asked again.")
    if found.corrupt:
        lines = ", ".join(map(str, found.corrupt))
        notes.append(f"{path}: skipped damaged lines ({lines}); their answers are asked again.")
    return notes


def _name(request: Request) -> str:
    text = " ".join(request.prompt[-1].content[:200].split())
    return f"prompt {request.prompt_key[:8]} ({text[:50]}{'…' if len(text) > 50 else ''})"
