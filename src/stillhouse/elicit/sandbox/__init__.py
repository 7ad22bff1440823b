"""Model-written code runs here, or nowhere.

`run_python` and `run_many` run programs in new Linux namespaces (`kinds`): a root of nothing but a Python (`init`), no
network, no environment, limits on everything (`outcome.Limits`), few system calls (`seccomp`). Before the first one,
`probe` really tries to break out.
"""

from stillhouse.elicit.sandbox.outcome import Limits, Outcome, Program
from stillhouse.elicit.sandbox.probe import working_box
from stillhouse.elicit.sandbox.run import run_many, run_python

__all__ = ["Limits", "Outcome", "Program", "run_many", "run_python", "working_box"]
