"""Operators that ask in chains, killed in the middle: in real processes, with a ledger of every call."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stillhouse.errors import StorageError
from stillhouse.records.journal import read_journal

CHILD = """
import json, os, resource, sys
from stillhouse.elicit.kitchen import Kitchen
from stillhouse.elicit.notebook import Notebook
from stillhouse.endpoints.scripted import Scripted
from stillhouse.errors import StillhouseError
from stillhouse.recipe import Step
from stillhouse.records.types import Record
folder, use, kill_after, limit = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:5])
calls = 0
def answer(prompt, sampling):
    global calls
    text = " | ".join(f"{m.role}: {m.content}" for m in prompt)
    with open(folder + "/ledger", "a") as ledger:
        ledger.write(text.replace("\\n", " ") + "\\n")
    calls += 1
    if calls == kill_after:
        os.kill(os.getpid(), 9)
    return f"said to {len(text)}: " + text[-20:]
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
talk = dict(use="converse", rounds=[1, 3], speakers=[
    {"name": "u", "speaks_as": "user", "opening": "Ask about {{ t }}"}, {"name": "a", "speaks_as": "assistant"}])
mend = dict(use="refine", field="t", critique="C {{ t }}", revise="R {{ t }} {{ feedback }}", until="rounds >= 2")
steps = {"converse": [talk], "refine": [mend],
         "three": [dict(use="label", template="L {{ t }}", into="t"), talk, mend | {"into": "later"}]}[use]
data = [Record(split="train", fields={"t": f"topic {n}"}) for n in range(6)]
try:
    with Notebook(folder + "/journal.jsonl") as notebook:
        kitchen = Kitchen({"teacher": Scripted(answer)}, notebook)
        how = {"temperature": 0.7, "batch_size": 4}
        made = kitchen.cook([Step.model_validate({**how, **s}) for s in steps], {"records": data})
except StillhouseError as error:
    print(error)
    sys.exit(error.exit_code)
print(json.dumps([r.to_json() for r in made.sets["records"]]))
"""


def child(folder: Path, use: str, *, kill_after: int = 0, limit: int = 0) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", CHILD, str(folder), use, str(kill_after), str(limit)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def ledger(folder: Path) -> list[str]:
    return (folder / "ledger").read_text().splitlines()


@pytest.mark.parametrize(("use", "kills"), [("converse", (3, 8)), ("refine", (7, 5)), ("three", (2, 9, 13))])
def test_a_chain_killed_in_the_middle_goes_on_where_it_was(use: str, kills: tuple[int, ...], tmp_path: Path) -> None:
    unbroken = child(tmp_path / "unbroken", use)
    assert unbroken.returncode == 0, unbroken.stderr
    for kill_after in kills:
        assert child(tmp_path / "broken", use, kill_after=kill_after).returncode == -signal.SIGKILL
    resumed = child(tmp_path / "broken", use)
    assert resumed.stdout == unbroken.stdout
    wanted, asked = ledger(tmp_path / "unbroken"), ledger(tmp_path / "broken")
    assert len(asked) == len(wanted) + len(kills)  # each kill cost the one answer that was under way
    assert set(asked) == set(wanted)
    assert child(tmp_path / "broken", use).stdout == unbroken.stdout
    assert len(ledger(tmp_path / "broken")) == len(asked)
    assert len(json.loads(resumed.stdout)) == 6


def test_a_full_disk_in_a_chain_stops_resumable(tmp_path: Path) -> None:
    full = child(tmp_path / "full", "three", limit=6000)
    assert full.returncode == StorageError.exit_code == 3, full.stderr
    reading = read_journal(tmp_path / "full" / "journal.jsonl")
    assert (reading.torn, reading.corrupt) == (0, ()) and reading.rows
    done, unbroken = child(tmp_path / "full", "three"), child(tmp_path / "unbroken", "three")
    assert done.returncode == 0 and done.stdout == unbroken.stdout
    assert len(ledger(tmp_path / "full")) == len(ledger(tmp_path / "unbroken")) + 1
