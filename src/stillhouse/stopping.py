"""A polite end: the first signal lets what is under way finish, the second does not."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from stillhouse.progress import say


@contextmanager
def stop_signal() -> Iterator[Callable[[], bool]]:
    """Yields whether someone asked to stop. The first SIGINT or SIGTERM asks for it, the second stops at once."""
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        say("stopping after what is under way; once more stops at once")

    try:
        before = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: whoever owns it handles signals
        before = {}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
