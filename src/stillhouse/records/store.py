"""Files that are either whole or absent: atomic writes, and JSON lines read one row at a time."""

import errno
import gzip
import io
import json
import os
import secrets
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from stillhouse.errors import DataError, RunError, StorageError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_atomic(path: Path | str, data: str | bytes) -> None:
    """Write a file so that readers see the old content or the new one, never a part.

    Raises StorageError when there is no room (the old file stays, nothing else is left behind), RunError when the
    folder cannot be written.
    """
    path = Path(path)
    content = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    temp = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with storing(path, len(content)):
        try:
            with open(temp, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temp, path)
        finally:
            temp.unlink(missing_ok=True)
        sync_folder(path.parent)


def write_jsonl(path: Path | str, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as JSON lines, atomically. Raises as `write_atomic` does."""
    write_atomic(path, b"".join(to_line(row) + b"\n" for row in rows))


def read_jsonl(path: Path | str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, row) of a .jsonl or .jsonl.gz file.

    A byte-order mark and CRLF line ends are fine. Raises DataError with the line at the first line that is empty, not
    UTF-8, or not a JSON object, and when the file cannot be read.
    """
    with reading(path) as file:
        for number, line in enumerate(file, start=1):
            yield number, _parse(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line, f"{path} line {number}")


def to_line(row: dict[str, Any]) -> bytes:
    """One row as one line of JSON, without its newline. Lone surrogates are escaped, so that every string survives."""
    try:
        return json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(row).encode()


@contextmanager
def reading(path: Path | str) -> Iterator[BinaryIO]:
    """Open a file for reading, unpacked if it ends in .gz; whatever is wrong with it becomes a DataError."""
    try:
        with open(path, "rb") as raw:
            unpacked = gzip.GzipFile(fileobj=raw) if str(path).endswith(".gz") else raw
            yield io.BufferedReader(unpacked)  # pyright: ignore[reportArgumentType]
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: check the path.") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file ({error}): pack it again.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}): check the path and its rights.") from None


@contextmanager
def storing(path: Path | str, size: int) -> Iterator[None]:
    """Turn failures to write `size` bytes to `path` into StorageError (no room) or RunError (not writable)."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageError(
                f"No room to write {path} ({size} bytes needed; {error.strerror}): free some space or raise the limit, "
                "then run the same command again; nothing written before is lost."
            ) from None
        raise RunError(
            f"{path} cannot be written ({error.strerror}): check that its folder exists and is yours to write."
        ) from None


def sync_folder(folder: Path) -> None:
    """Make names created or replaced in a folder survive a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _parse(line: bytes, where: str) -> dict[str, Any]:
    if not line.strip():
        raise DataError(f"{where}: the line is empty; remove it, or put one JSON object there.")
    try:
        row = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: byte {error.start + 1} is not UTF-8; save the file as UTF-8.") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON ({error.msg}, column {error.colno}); correct or remove the line.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: JSON that cannot be taken in ({error}); correct or remove the line.") from None
    if not isinstance(row, dict):
        raise DataError(f"{where}: a JSON {type(row).__name__} instead of an object; write {{...}} with named fields.")
    return row
