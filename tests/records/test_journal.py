"""A journal survives a crash at any byte, and never loses a line that was complete."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from stillhouse.errors import RunError
from stillhouse.records.journal import Journal, read_journal

ROWS = [{"n": 1, "text": "one"}, {"n": 2, "text": "zwei ü \x00 \ud800 \n"}, {"n": 3, "text": "three" * 20}]


@pytest.fixture
def path(tmp_path):
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append(ROWS[:2])
        journal.append(ROWS[2:])
    return tmp_path / "journal.jsonl"


def numbers(reading):
    return [row["n"] for row in reading.rows]


def test_round_trip(path):
    reading = read_journal(path)
    assert list(reading.rows) == ROWS
    assert (reading.torn, reading.corrupt, reading.size) == (0, (), path.stat().st_size)


def test_missing_and_empty(tmp_path):
    assert read_journal(tmp_path / "none").rows == ()
    (tmp_path / "empty").touch()
    with Journal(tmp_path / "empty") as journal:
        assert journal.found.rows == ()


def test_truncation_at_every_byte_of_the_last_line(path):
    whole = path.read_bytes()
    start = whole.rstrip(b"\n").rindex(b"\n") + 1
    for end in range(start, len(whole) + 1):
        path.write_bytes(whole[:end])
        complete = end >= len(whole) - 1
        with Journal(path) as journal:
            assert numbers(journal.found) == ([1, 2, 3] if complete else [1, 2])
            assert journal.found.torn == (0 if complete else end - start)
            journal.append([{"n": 4}])
        assert numbers(read_journal(path)) == ([1, 2, 3, 4] if complete else [1, 2, 4])
        assert read_journal(path).corrupt == ()


def test_reading_changes_nothing(path):
    path.write_bytes(path.read_bytes()[:-10])
    before = path.read_bytes()
    assert read_journal(path).torn > 0
    assert path.read_bytes() == before


def test_every_flipped_byte_is_noticed(path):
    whole = path.read_bytes()
    ends = [i for i, byte in enumerate(whole) if byte == ord("\n")]
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x01]) + whole[at + 1 :])
        reading = read_journal(path)
        line = sum(end < at for end in ends) + 1
        lost = {line, line + 1} if at in ends[:2] else {line} if at != ends[-1] else {3}
        assert set(numbers(reading)) == {1, 2, 3} - lost
        assert reading.corrupt or reading.torn


def test_corrupt_line_in_the_middle_is_skipped_and_named(path):
    first, _, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + b"\x00" * 40 + b"\n" + third)
    with Journal(path) as journal:
        assert journal.found.corrupt == (2,)
        assert numbers(journal.found) == [1, 3]
        journal.append([{"n": 2}])
    assert numbers(read_journal(path)) == [1, 3, 2]


def test_random_garbage_never_crashes(tmp_path):
    draw = random.Random(0)
    for _ in range(200):
        garbage = draw.randbytes(draw.randrange(200)) + draw.choice([b"", b"\n", b'{"crc32":"00000000","row":'])
        (tmp_path / "j").write_bytes(garbage)
        with Journal(tmp_path / "j") as journal:
            journal.append([{"n": 1}])
        assert numbers(read_journal(tmp_path / "j")) == [1]


WRITER = """
import sys
from stillhouse.records.journal import Journal
with Journal(sys.argv[1]) as journal:
    for n in range(10**6):
        journal.append([{"n": n, "text": "x" * (n * 37 % 5000)}])
        print(n, flush=True)
"""


def test_kill_in_a_real_process(tmp_path):
    """Whatever the writer said to be written is there after kill -9, five times at random moments on one file."""
    draw = random.Random(1)
    path, said = tmp_path / "journal.jsonl", 0
    for _ in range(5):
        child = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(draw.uniform(0, 0.1))
        child.send_signal(signal.SIGKILL)
        said += 1 + len([line for line in child.stdout.read().split(b"\n")[:-1] if line])
        child.wait()
        with Journal(path) as journal:
            assert journal.found.corrupt == ()
            assert said <= len(journal.found.rows) <= said + 1
            said = len(journal.found.rows)


LIMITED = """
import resource, sys
from stillhouse.errors import StillhouseError
from stillhouse.records.journal import Journal
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
with Journal(sys.argv[1]) as journal:
    try:
        journal.append([{"n": n, "text": "x" * 1000} for n in range(10)])
    except StillhouseError as error:
        print(error)
        sys.exit(error.exit_code)
"""


def test_full_disk_keeps_whole_lines(tmp_path):
    path = tmp_path / "journal.jsonl"
    done = subprocess.run([sys.executable, "-c", LIMITED, path], capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert str(path) in done.stdout
    assert "bytes needed" in done.stdout
    reading = read_journal(path)
    assert numbers(reading) == [0, 1, 2]
    assert reading.torn == 0


def test_interrupted_write_leaves_no_part_of_a_line(path, monkeypatch):
    write = os.write

    def stopped(handle, data):
        if len(data) < 10:
            raise KeyboardInterrupt
        return write(handle, data[:10])

    with Journal(path) as journal:
        monkeypatch.setattr(os, "write", stopped)
        with pytest.raises(KeyboardInterrupt):
            journal.append([{"n": 4}])
        monkeypatch.undo()
        journal.append([{"n": 5}])
    assert numbers(read_journal(path)) == [1, 2, 3, 5]


def test_unwritable(tmp_path):
    with pytest.raises(RunError, match="check that its folder exists"):
        Journal(tmp_path / "missing" / "journal.jsonl")
    with pytest.raises(RunError, match="cannot be read"):
        Journal(tmp_path)
