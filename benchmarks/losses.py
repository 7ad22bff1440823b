"""One loss step (heads, divergence, backward) of Stillhouse next to its peers: seconds, and memory above the inputs.

    python benchmarks/losses.py                      # speed, every position counts
    python benchmarks/losses.py --counted 0.42       # 8 x 128 positions as in a real batch, of which so many count
    python benchmarks/losses.py --memory 1024,4096   # peak memory, each in a process of its own

Peers that are not installed are left out: `pip install --no-deps trl==1.16.0 liger-kernel==0.8.5`. All see the same
tensors and take turns; a ratio is to TRL's GKD loss with the same objective.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from stillhouse.machine import give_back, settle

settle()

import torch  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from torch import Tensor  # noqa: E402

from stillhouse.objectives import OBJECTIVES, FromHidden, Head, fused, needs  # noqa: E402

DIVERGENCES = [
    name
    for name in OBJECTIVES
    if needs(OBJECTIVES[name]) == ("student_logits", "teacher_logits") and name != "dpkd_token"
]
TRL_BETA = {"forward_kl": 0.0, "jsd": 0.5, "reverse_kl": 1.0}


class Inputs:
    """Hidden states and heads of both models, leaves where the student's gradients go."""

    def __init__(self, args: argparse.Namespace) -> None:
        torch.manual_seed(0)
        tokens, dtype = args.tokens, torch.bfloat16 if args.dtype == "bfloat16" else torch.float32

        def normal(*shape: int, scale: float) -> Tensor:
            return (torch.randn(*shape) * scale).to(dtype)

        self.hidden = normal(tokens, args.width, scale=1.0).requires_grad_()
        self.weight = normal(args.vocabulary, args.width, scale=2 / args.width**0.5).requires_grad_()
        self.teacher_hidden = normal(tokens, args.teacher_width, scale=1.0)
        self.teacher_weight = normal(args.vocabulary, args.teacher_width, scale=2 / args.teacher_width**0.5)
        self.counted = torch.rand(tokens) < args.counted
        self.labels = torch.randint(args.vocabulary, (tokens,)).masked_fill(~self.counted, -100)

    def forget(self) -> None:
        self.hidden.grad = self.weight.grad = None


def ours(x: Inputs, objective: str) -> Tensor:
    rows = x.counted.nonzero().squeeze(-1)
    weights = torch.full((len(rows),), 1 / len(rows))
    given = {"teacher_logits": FromHidden(x.teacher_hidden[rows], Head(x.teacher_weight)), "labels": x.labels[rows]}
    return fused(OBJECTIVES[objective], x.hidden[rows], Head(x.weight), weights, settings={}, given=given)[0]


def trl(x: Inputs, objective: str) -> Tensor:
    from trl.experimental.gkd import GKDTrainer  # pyright: ignore[reportMissingImports]

    student, teacher = x.hidden @ x.weight.T, x.teacher_hidden @ x.teacher_weight.T
    return GKDTrainer.generalized_jsd_loss(student[None], teacher[None], x.labels[None], TRL_BETA[objective])


def trl_chunked(x: Inputs, objective: str) -> Tensor:
    from trl.kernels.chunked_divergence import ChunkedDivergenceFunction  # pyright: ignore[reportMissingImports]

    rows = x.counted.nonzero().squeeze(-1)
    student, teacher = (x.hidden[rows], x.weight, None), (x.teacher_hidden[rows], x.teacher_weight, None)
    return ChunkedDivergenceFunction.apply(*student, *teacher, TRL_BETA[objective])[0].mean()


def liger(x: Inputs, objective: str) -> Tensor:
    from liger_kernel.chunked_loss.jsd_loss import LigerFusedLinearJSDLoss  # pyright: ignore[reportMissingImports]

    loss = LigerFusedLinearJSDLoss(0.0, 1.0, beta=TRL_BETA[objective], compiled=False)
    return loss(x.hidden, x.weight, x.teacher_hidden, x.teacher_weight, x.labels)


PEERS: dict[str, Callable[[Inputs, str], Tensor]] = {
    "trl": trl,
    "trl-chunked": trl_chunked,
    "liger": liger,
    "ours": ours,
}


def step(x: Inputs, peer: str, objective: str) -> float:
    """Seconds of one loss step."""
    x.forget()
    begin = time.perf_counter()
    PEERS[peer](x, objective).backward()
    return time.perf_counter() - begin


def installed(peer: str) -> bool:
    """Whether the peer runs at all."""
    tiny = argparse.Namespace(tokens=4, vocabulary=16, width=8, teacher_width=8, counted=1.0, dtype="float32")
    try:
        step(Inputs(tiny), peer, "jsd")
    except ImportError as error:
        print(f"{peer} is left out: {error}", file=sys.stderr)
        return False
    return True


def speed(args: argparse.Namespace) -> Table:
    x, peers = Inputs(args), [peer for peer in args.peers if installed(peer)]
    cases = [(p, o) for o in args.objectives for p in peers if p == "ours" or o in TRL_BETA]
    seconds: dict[tuple[str, str], list[float]] = {case: [] for case in cases}
    for turn in range(args.rounds + 1):
        for case in cases:
            taken = step(x, *case)
            if turn:  # the first is a warm-up
                seconds[case].append(taken)
    table = Table("objective", "who", "seconds", "TRL's time / this", title=_title(args))
    for peer, objective in cases:
        mine = median(seconds[peer, objective])
        base = seconds.get(("trl", objective))
        table.add_row(objective, peer, f"{mine:.2f}", f"{median(base) / mine:.2f}" if base else "")
    return table


def memory(args: argparse.Namespace) -> Table:
    table = Table("objective", "who", *(f"{n} tokens, MiB" for n in args.memory), title=_title(args))
    for objective in args.objectives:
        for peer in (p for p in args.peers if (p == "ours" or objective in TRL_BETA) and installed(p)):
            table.add_row(objective, peer, *(_peak(args, peer, objective, n) for n in args.memory))
    return table


def _peak(args: argparse.Namespace, peer: str, objective: str, tokens: int) -> str:
    settings = [f"--{key}={getattr(args, key)}" for key in ("vocabulary", "width", "counted", "dtype")]
    command = [sys.executable, __file__, *settings, f"--teacher-width={args.teacher_width}", f"--tokens={tokens}"]
    done = subprocess.run([*command, "--one", peer, objective], capture_output=True, text=True)
    return done.stdout.strip() or f"died ({done.returncode})"


def one(args: argparse.Namespace) -> str:
    """Peak memory above the inputs in this process, MiB; everything is loaded and run once on a small case before."""
    peer, objective = args.one
    small = argparse.Namespace(**{**vars(args), "tokens": 8, "vocabulary": 64})
    step(Inputs(small), peer, objective)
    x = Inputs(args)
    give_back()  # else what was freed since is used again, and not counted
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    step(x, peer, objective)
    return f"{_status('VmHWM') - before:.0f}"


def _status(key: str) -> float:
    """A number of this process's memory, MiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) / 1024


def _title(args: argparse.Namespace) -> str:
    shape = f"V = {args.vocabulary}, H = {args.width}, {args.dtype}, {torch.get_num_threads()} threads"
    return f"{args.tokens} tokens, {args.counted:.0%} count, {shape}" if not args.memory else shape


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--vocabulary", type=int, default=49_152)
    parser.add_argument("--width", type=int, default=576)
    parser.add_argument("--teacher-width", type=int, default=576)
    parser.add_argument("--counted", type=float, default=1.0)
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", type=lambda text: text.split(","), default=list(PEERS))
    parser.add_argument("--objectives", type=lambda text: text.split(","), default=DIVERGENCES)
    parser.add_argument("--memory", type=lambda text: [int(n) for n in text.split(",")], default=[])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(one(args))
    else:
        Console(width=110).print(memory(args) if args.memory else speed(args))


if __name__ == "__main__":
    main()
