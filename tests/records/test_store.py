"""Files are whole or absent, and every text survives the way to disk and back."""

import errno
import gzip
import json
import os
import resource
import subprocess
import sys

import pytest

from stillhouse.errors import DataError, RunError, StorageError
from stillhouse.records.store import read_jsonl, storing, write_atomic, write_jsonl

HARD = [
    "",
    "plain",
    "NUL \x00 inside",
    "lone \ud800 surrogate",
    "\u2028 \x85 \x0b",
    "Grüße 🎉",
    '"quoted"\\\n\r\n',
    "x" * 1_000_000,
]


def test_texts_survive_exactly(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [{"text": text} for text in HARD])
    assert [(n, row["text"]) for n, row in read_jsonl(tmp_path / "a.jsonl")] == list(enumerate(HARD, start=1))


def test_readable_text_is_written_as_it_is(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [{"text": "Grüße"}])
    assert (tmp_path / "a.jsonl").read_bytes() == '{"text": "Grüße"}\n'.encode()


def test_byte_order_mark_and_crlf(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n{"a": 2}\r\n')
    assert list(read_jsonl(tmp_path / "a.jsonl")) == [(1, {"a": 1}), (2, {"a": 2})]


def test_gzip(tmp_path):
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n{"a": 2}'))
    assert list(read_jsonl(tmp_path / "a.jsonl.gz")) == [(1, {"a": 1}), (2, {"a": 2})]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "empty"),
        (b"  \r", "empty"),
        (b'{"a": ', "not JSON"),
        (b"[1, 2]", "a JSON list"),
        (b"\xff\xfe", "byte 1 is not UTF-8"),
        (b"[" * 100_000, "cannot be taken in"),
        (b'{"a": ' + b"9" * 5000 + b"}", "cannot be taken in"),
    ],
)
def test_bad_line_is_named(tmp_path, line, why):
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n' + line + b'\n{"a": 3}\n')
    with pytest.raises(DataError, match=rf"a\.jsonl line 2: .*{why}.*") as caught:
        list(read_jsonl(tmp_path / "a.jsonl"))
    assert caught.value.exit_code == 2


def test_unreadable_files(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        list(read_jsonl(tmp_path / "none.jsonl"))
    with pytest.raises(DataError, match="cannot be read"):
        list(read_jsonl(tmp_path))
    packed = gzip.compress(os.urandom(5000).hex().encode())
    for broken in (b"not gzip", packed[:-2000], packed[:200] + b"\xff" * 50 + packed[250:]):
        (tmp_path / "a.jsonl.gz").write_bytes(broken)
        with pytest.raises(DataError, match="not a whole gzip file"):
            list(read_jsonl(tmp_path / "a.jsonl.gz"))


def test_atomic_write_replaces_and_leaves_nothing_behind(tmp_path):
    write_atomic(tmp_path / "a", "old")
    write_atomic(tmp_path / "a", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"new"


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    write_atomic(tmp_path / "a", "old")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"a \(3 bytes needed; No space left on device\)") as caught:
        write_atomic(tmp_path / "a", "new")
    assert caught.value.exit_code == 3
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", "old")]


def test_file_size_limit(tmp_path):
    code = (
        "import sys\nfrom stillhouse.errors import StillhouseError\nfrom stillhouse.records.store import write_atomic\n"
        "try:\n    write_atomic(sys.argv[1], 'x' * 10_000)\n"
        "except StillhouseError as error:\n    print(error)\n    sys.exit(error.exit_code)"
    )
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # noqa: E731
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a"], preexec_fn=limit, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    assert f"{tmp_path / 'a'} (10000 bytes needed" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_full_device():
    with (
        pytest.raises(StorageError, match="/dev/full"),
        storing("/dev/full", 4),
        open("/dev/full", "wb", buffering=0) as f,
    ):
        f.write(b"data")


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "missing" / "a", tmp_path / "file" / "a"):
        with pytest.raises(RunError, match="check that its folder exists"):
            write_atomic(path, "x")


def test_rows_are_json(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [{"a": [1, None, True]}])
    assert json.loads((tmp_path / "a.jsonl").read_text()) == {"a": [1, None, True]}
