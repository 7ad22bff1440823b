"""Seconds of the filters on synthetic instructions, on one core: rules + exact + MinHash, and ROUGE-L against a pool.

    python benchmarks/novelty.py                      # 100,000 records; a pool of 50,000, 3 candidates by rouge-score
    python benchmarks/novelty.py --records 1000000 --pool 0

Words follow Zipf's law; some records repeat another, some change a few of its words, some are refusals or too short.
The ROUGE-L of `novel` and rouge-score's own loop, as Self-Instruct runs it, decide about the same candidates against
the same pool, and must find the same similarities to the last bit. Ours answers more of them, since it would be too
quick to measure; a time is per candidate. CPU time is what counts where others use the machine.
"""

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, islice

from rich.console import Console
from rich.table import Table
from rouge_score.rouge_scorer import RougeScorer

from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.filters.novel import novel
from stillhouse.elicit.filters.rules import rules
from stillhouse.records.types import Record

BLACKLIST = (
    "image",
    "images",
    "graph",
    "graphs",
    "picture",
    "pictures",
    "file",
    "files",
    "map",
    "draw",
    "plot",
    "video",
)
VOCABULARY = 30_000
MORE = 50
"""Candidates that ours answers for one of rouge-score's."""


def instructions(count: int, seed: int) -> Iterator[Record]:
    """Records with an instruction of 2 to 60 words and an output."""
    rng = random.Random(seed)
    words = [f"{rng.choice('bdfgklmnprst')}{rng.choice('aeiou')}{number:x}" for number in range(VOCABULARY)]
    words[:12] = BLACKLIST
    rng.shuffle(words)
    weights = list(accumulate(1 / (rank + 3) for rank in range(VOCABULARY)))
    earlier: list[list[str]] = []
    for _ in range(count):
        kind = rng.random()
        if kind < 0.15 and earlier:
            said = list(rng.choice(earlier))
            for _ in range(0 if kind < 0.05 else rng.randint(1, 3)):
                said[rng.randrange(len(said))] = rng.choice(words)
        else:
            said = rng.choices(words, cum_weights=weights, k=min(60, 2 + int(rng.expovariate(1 / 15))))
        earlier.append(said)
        answer = (
            "I'm sorry, but I cannot do that."
            if kind > 0.98
            else " ".join(rng.choices(words, cum_weights=weights, k=40))
        )
        yield Record(fields={"instruction": " ".join(said), "output": answer})


def timed(run: Callable[[], list[Result]]) -> tuple[list[Result], float, float]:
    """What it gave, in how many seconds by the wall and of the CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    done = run()
    return done, time.perf_counter() - wall, time.process_time() - cpu


def filters(count: int) -> Table:
    table = Table("filter", "took", "kept", "wall, s", "CPU, s", title=f"{count:,} records, one core")
    flow: list[Record] = list(instructions(count, seed=1))
    steps: dict[str, Callable[[Iterable[Record]], Iterator[Result]]] = {
        "rules: instruction": lambda records: rules(
            records, min_words=4, max_words=150, blacklist=BLACKLIST, not_starts=("write a program",), clean_start=True
        ),
        "rules: output": lambda records: rules(
            records,
            field="output",
            required=("output",),
            no_refusals=True,
            not_ends=(":",),
            not_equal_to=("instruction",),
        ),
        "novel: exact": lambda records: novel(records, {}, measure="exact"),
        "novel: minhash": lambda records: novel(records, {}, measure="minhash", at_most=0.7),
    }
    walls = cpus = 0.0
    for name, step in steps.items():
        taken = flow
        done, wall, cpu = timed(lambda taken=taken, step=step: list(step(taken)))
        flow = [result for result in done if isinstance(result, Record)]
        table.add_row(name, f"{len(taken):,}", f"{len(flow):,}", f"{wall:.1f}", f"{cpu:.1f}")
        walls, cpus = walls + wall, cpus + cpu
    table.add_row("all", f"{count:,}", f"{len(flow):,}", f"{walls:.1f}", f"{cpus:.1f}")
    return table


def rouge(size: int, count: int) -> Table:
    every = list(instructions(size + (count + 1) * MORE, seed=2))
    pool, candidates = every[:size], every[size:]
    results = novel(candidates, {"pool": pool}, against=("pool",), within=False)
    first, loading, _ = timed(lambda: list(islice(results, 1)))
    rest, _, ours = timed(lambda: list(results))
    decided = [_decision(result) for result in first + rest]

    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    texts = [record.fields["instruction"] for record in pool]
    begin = time.process_time()
    for candidate, (dropped, similarity) in zip(candidates[:count], decided, strict=False):
        most = max(scorer.score(candidate.fields["instruction"], text)["rougeL"].fmeasure for text in texts)
        assert (most > 0.7, most) == (dropped, similarity), "rouge-score decides otherwise"
    theirs = (time.process_time() - begin) / count

    table = Table("who", "candidates", "CPU, s a candidate", "times faster", title=f"ROUGE-L against {size:,} texts")
    table.add_row("rouge-score", str(count), f"{theirs:.3f}", "1")
    table.add_row("novel", str(len(rest)), f"{ours / len(rest):.4f}", f"{theirs * len(rest) / ours:.0f}")
    table.caption = (
        f"the pool is read once, in {loading:.1f} s; of {len(decided)}: {dict(Counter(d for d, _ in decided))}"
    )
    return table


def _decision(result: Result) -> tuple[bool, float]:
    """Whether it was dropped, and its similarity."""
    dropped = isinstance(result, Dropped)
    return dropped, (result.record if dropped else result).fields["similarity"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000, help="through rules, exact and MinHash; 0: leave out")
    parser.add_argument("--pool", type=int, default=50_000, help="texts that ROUGE-L compares with; 0: leave out")
    parser.add_argument("--candidates", type=int, default=3, help="so many are put to rouge-score's loop")
    args = parser.parse_args()
    if args.records:
        Console(width=110).print(filters(args.records))
    if args.pool:
        Console(width=110).print(rouge(args.pool, args.candidates))


if __name__ == "__main__":
    main()
