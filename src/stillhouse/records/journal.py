"""The journal: an append-only file of JSON lines that a crash at any moment cannot harm.

A line is {"crc32":"89abcdef","row":{...}}; the checksum is over the bytes of the row as written. A line is complete
when its checksum holds, with or without its newline; an incomplete one behind the last newline is a torn tail.
"""

import json
import os
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillhouse.errors import RunError
from stillhouse.records.store import storing, sync_folder, to_line

_LINE = re.compile(rb'\{"crc32":"([0-9a-f]{8})","row":(.*)\}', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a journal holds: its rows, the size of its good part, bytes of a torn tail, numbers of corrupt lines."""

    rows: tuple[dict[str, Any], ...] = ()
    size: int = 0
    torn: int = 0
    corrupt: tuple[int, ...] = ()


def read_journal(path: Path | str) -> Reading:
    """Read a journal without changing it; a missing file is an empty journal. Corrupt lines are skipped and named.

    Raises RunError when there is such a file and it cannot be read.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        return Reading()
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}): check the path and its rights.") from None
    *lines, tail = data.split(b"\n")
    rows, corrupt = [], []
    for number, line in enumerate(lines, start=1):
        row = _verified(line)
        if row is None:
            corrupt.append(number)
        else:
            rows.append(row)
    last = _verified(tail)
    if last is not None:
        rows.append(last)
    torn = len(tail) if last is None else 0
    return Reading(rows=tuple(rows), size=len(data) - torn, torn=torn, corrupt=tuple(corrupt))


class Journal:
    """A journal open for appending. Opening cuts a torn tail; `found` is what was there before.

    One process may append at a time: the lock of the run folder sees to that. A context manager.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.found = read_journal(self.path)
        with storing(self.path, 1):
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            sync_folder(self.path.parent)
            if self.found.torn:
                os.ftruncate(self._handle, self.found.size)
            if self.found.size and os.pread(self._handle, 1, self.found.size - 1) != b"\n":
                os.write(self._handle, b"\n")
            self._pending = True
            self.sync()

    def append(self, rows: Iterable[dict[str, Any]], *, sync: bool = True) -> None:
        """Append rows and put them on disk. Without `sync` they survive the end of this process, not a power failure.

        Raises StorageError when there is no room; the lines written whole before stay, and no part of a line does.
        """
        for row in rows:
            self._write(_line(row))
        if sync:
            self.sync()

    def sync(self) -> None:
        """Put every line appended so far on disk."""
        if self._pending:
            with storing(self.path, 0):
                os.fsync(self._handle)
            self._pending = False

    def close(self) -> None:
        os.close(self._handle)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _write(self, line: bytes) -> None:
        written = 0
        try:
            with storing(self.path, len(line)):
                while written < len(line):
                    written += os.write(self._handle, line[written:])
                self._pending = True
        finally:
            if 0 < written < len(line):
                os.ftruncate(self._handle, os.fstat(self._handle).st_size - written)


def _line(row: dict[str, Any]) -> bytes:
    body = to_line(row)
    return b'{"crc32":"%08x","row":%s}\n' % (zlib.crc32(body), body)


def _verified(line: bytes) -> dict[str, Any] | None:
    match = _LINE.fullmatch(line)
    if match is None or int(match[1], 16) != zlib.crc32(match[2]):
        return None
    return json.loads(match[2])
