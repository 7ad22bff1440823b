"""Nothing is paid for twice, whatever ends a run; the ledger of calls is the truth."""

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from stillhouse.elicit.kitchen import Kitchen
from stillhouse.elicit.notebook import Notebook
from stillhouse.endpoints.base import Answer
from stillhouse.endpoints.scripted import Scripted
from stillhouse.errors import Interrupted, StorageError
from stillhouse.recipe import Step
from stillhouse.records.journal import read_journal
from stillhouse.records.types import Message, Record

GREEDY = Step(use="label", temperature=0.0, batch_size=4)


def sampled(samples=1, **changes):
    return Step(use="sample", samples=samples, **({"batch_size": 4} | changes))


def records(count):
    return [Record((Message("user", f"Question {n}" + "?" * (n % 7)),)) for n in range(count)]


def echo(prompt, sampling):
    return f"Answer to {prompt[-1].content}"


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "journal.jsonl"


def cook(data, endpoint, step, journal, *, progress=None, stop=None):
    with Notebook(journal) as notebook:
        watch = None if progress is None else lambda step: progress
        kitchen = Kitchen({"teacher": endpoint}, notebook, progress=watch, stop=stop)
        dishes = kitchen.cook([step], {"records": data})
        return dishes.sets["records"], dishes.funnels[0], notebook.damage


def run(data, journal, script=echo, step=GREEDY, **keywords):
    endpoint = Scripted(script, **{k: keywords.pop(k) for k in ("identity", "window") if k in keywords})
    answered, funnel, _ = cook(data, endpoint, step, journal, **keywords)
    return answered, funnel, endpoint.calls


def test_every_record_is_answered_in_its_place(journal):
    answered, funnel, calls = run(records(10), journal)
    assert [r.messages for r in answered] == [r.messages for r in records(10)]
    assert [r.answers("teacher")[0].text for r in answered] == [echo(r.messages, None) for r in answered]
    assert len(calls) == 10
    assert (funnel.took, funnel.requests, funnel.asked, funnel.kept, funnel.cached) == (10, 10, 10, 10, 0)
    assert funnel.tokens == sum(len(echo(r.messages, None).split()) for r in answered)


def test_longest_prompts_first(journal):
    _, _, calls = run(records(10), journal)
    lengths = [len(c[-1].content) for c in calls]
    assert lengths == sorted(lengths, reverse=True)


def test_rerun_after_success_asks_nothing(journal):
    first, _, _ = run(records(10), journal)
    before = journal.read_bytes()
    again, funnel, calls = run(records(10), journal)
    assert (again, calls, funnel.cached, funnel.done) == (first, [], 10, 10)
    assert journal.read_bytes() == before


def test_reordered_and_edited_data(journal):
    data = records(10)
    run(data, journal)
    random.Random(0).shuffle(data)
    assert run(data, journal)[2] == []
    edited = [replace(data[0], messages=(Message("user", "New?"),)), *data[2:]]
    assert [c[-1].content for c in run(edited, journal)[2]] == ["New?"]


@pytest.mark.parametrize(
    "change",
    [
        {"step": sampled(temperature=0.7)},
        {"step": Step(temperature=0.0, max_new_tokens=5, batch_size=4)},
        {"identity": "another model"},
    ],
)
def test_other_settings_or_model_ask_again(journal, change):
    run(records(5), journal)
    assert len(run(records(5), journal, **change)[2]) == 5
    assert run(records(5), journal)[2] == []


def test_equal_prompts(journal, tmp_path):
    twenty = records(1) * 20
    answered, funnel, calls = run(twenty, journal)
    assert (len(calls), funnel.took, funnel.requests, funnel.kept) == (1, 20, 1, 20)
    assert all(len(r.answers("teacher")) == 1 for r in answered)
    assert len(run(twenty, tmp_path / "sampled.jsonl", step=sampled())[2]) == 20


def test_several_samples(journal):
    step = sampled(3)
    count = Counter()

    def script(prompt, sampling):
        count[prompt] += 1
        return f"sample {count[prompt]}"

    answered, _, calls = run(records(5), journal, script, step)
    assert len(calls) == 15
    assert all(sorted(r.text for r in a.responses) == ["sample 1", "sample 2", "sample 3"] for a in answered)
    assert len(run(records(5), journal, script, sampled(4))[2]) == 5


def test_seeds_are_those_of_an_unbroken_run(tmp_path):
    step = sampled()

    def seeded(prompt, sampling):
        return str(sampling.seed)

    whole, _, _ = run(records(10), tmp_path / "whole.jsonl", seeded, step)
    for given in (1, 4, 9):
        asked = iter(range(100))
        with pytest.raises(Interrupted) as caught:
            run(records(10), tmp_path / f"{given}.jsonl", seeded, step, stop=lambda n=given, a=asked: next(a) > n)
        assert caught.value.exit_code == 3
        resumed, funnel, calls = run(records(10), tmp_path / f"{given}.jsonl", seeded, step)
        assert resumed == whole
        assert (funnel.cached, len(calls)) == (given, 10 - given)
    assert len({r.answers("teacher")[0].text for r in whole}) == 10
    assert run(records(10), tmp_path / "other.jsonl", seeded, sampled(seed=2))[0] != whole


def test_empty_answers_are_dropped_and_not_asked_again(journal):
    def script(prompt, sampling):
        return " \n" if "1" in prompt[-1].content else "fine"

    answered, _funnel, _ = run(records(3), journal, script)
    assert [len(r.answers("teacher")) for r in answered] == [1, 0, 1]
    assert [r.fields.get("status") for r in answered] == [None, "empty", None]
    assert run(records(3), journal, script)[2] == []


def test_failed_answers_are_recorded_and_owed_again(journal):
    def failing(prompt, sampling):
        return Answer("", "error", error="the server said no") if "1" in prompt[-1].content else "fine"

    answered, funnel, _ = run(records(3), journal, failing)
    assert [len(r.responses) for r in answered] == [1, 0, 1]
    assert (funnel.failed, answered[1].fields["status"]) == (1, "failed")
    assert any("Question 1" in note and "the server said no" in note for note in funnel.notes)
    assert [row["answer"]["finish"] for row in read_journal(journal).rows].count("error") == 1
    answered, funnel, calls = run(records(3), journal)
    assert (len(calls), [len(r.responses) for r in answered]) == (1, [1, 1, 1])
    assert run(records(3), journal)[2] == []


def test_prompts_longer_than_the_window_are_left_out_before_any_call(journal):
    data = [*records(3), Record((Message("user", "long " * 100),))]
    answered, funnel, calls = run(data, journal, window=50)
    assert len(calls) == 3
    assert answered[3].responses == ()
    assert (funnel.refused, answered[3].fields["status"], funnel.done) == (1, "refused", 4)
    assert any("long long" in n and "500 characters, more than the window of 50" in n for n in funnel.notes)


def test_hard_texts_are_kept_exactly(journal):
    texts = ["NUL \x00", "lone \ud800", "a\u2028\x85b", "🎉" * 1000, "x" * 1_000_000]
    data = [Record((Message("user", text),)) for text in texts]
    answered, _, _ = run(data, journal, lambda prompt, sampling: prompt[-1].content)
    assert [r.responses[0].text for r in answered] == texts
    again, _, calls = run(data, journal, echo)
    assert (again, calls) == (answered, [])


def test_no_records(journal):
    answered, funnel, _ = run([], journal)
    assert (answered, funnel.took, funnel.done) == ([], 0, 0)


def test_progress_hears_of_every_answer(journal):
    heard = []
    run(records(5), journal, progress=lambda funnel: heard.append((funnel.done, funnel.requests)))
    assert heard == [(n, 5) for n in range(6)]  # first that there is something to wait for


def test_damaged_journal_is_told_and_owed_again(journal):
    run(records(5), journal)
    first, second, *rest = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(first + second.replace(b"Answer", b"Forged") + b"".join(rest)[:-20])
    endpoint = Scripted(echo)
    answered, _, damage = cook(records(5), endpoint, GREEDY, journal)
    assert len(endpoint.calls) == 2
    assert any("skipped damaged lines (2)" in note for note in damage)
    assert any("cut" in note and "bytes" in note for note in damage)
    assert [r.responses[0].text for r in answered] == [echo(r.messages, None) for r in records(5)]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, RuntimeError])
def test_whatever_ends_a_run_keeps_what_was_answered(journal, error):
    def breaking(prompt, sampling):
        if "Question 6" in prompt[-1].content:
            raise error
        return echo(prompt, sampling)

    endpoint = Scripted(breaking)
    with pytest.raises(error):
        cook(records(10), endpoint, GREEDY, journal)
    kept = len(read_journal(journal).rows)
    assert kept == len(endpoint.calls) - 1
    answered, funnel, calls = run(records(10), journal)
    assert (funnel.cached, len(calls), funnel.kept) == (kept, 10 - kept, 10)
    assert all(r.responses for r in answered)


CHILD = """
import json, os, resource, sys
from stillhouse.elicit.kitchen import Kitchen
from stillhouse.elicit.notebook import Notebook
from stillhouse.endpoints.scripted import Scripted
from stillhouse.errors import StillhouseError
from stillhouse.recipe import Step
from stillhouse.records.types import Message, Record
folder, count, kill_after, limit = sys.argv[1], *map(int, sys.argv[2:5])
calls = 0
def answer(prompt, sampling):
    global calls
    with open(folder + "/ledger", "a") as ledger:
        ledger.write(prompt[-1].content + "\\n")
    calls += 1
    if calls == kill_after:
        os.kill(os.getpid(), 9)
    return "Answer to " + prompt[-1].content
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
data = [Record((Message("user", f"Question {n}" + "?" * (n % 7)),)) for n in range(count)]
try:
    step = Step(temperature=0, batch_size=4)
    with Notebook(folder + "/journal.jsonl") as notebook:
        records = Kitchen({"teacher": Scripted(answer)}, notebook).cook([step], {"records": data}).sets["records"]
except StillhouseError as error:
    print(error)
    sys.exit(error.exit_code)
print(json.dumps([r.to_json() for r in records]))
"""


def child(folder, count, *, kill_after=0, limit=0):
    command = [sys.executable, "-c", CHILD, str(folder), str(count), str(kill_after), str(limit)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_kill_and_go_on_in_real_processes(tmp_path):
    """Killed five times, each time in the middle of an answer: the unknown ones, and only these, are asked again."""
    kills = (1, 4, 2, 7, 3)
    for kill_after in kills:
        assert child(tmp_path, 25, kill_after=kill_after).returncode == -signal.SIGKILL
    done = child(tmp_path, 25)
    assert done.returncode == 0, done.stderr
    ledger = (tmp_path / "ledger").read_text().splitlines()
    assert len(ledger) == 25 + len(kills)
    assert len(set(ledger)) == 25
    (tmp_path / "unbroken").mkdir()
    assert child(tmp_path / "unbroken", 25).stdout == done.stdout
    assert len(json.loads(done.stdout)) == 25
    assert child(tmp_path, 25).stdout == done.stdout
    assert (tmp_path / "ledger").read_text().splitlines() == ledger


def test_full_disk_stops_resumable_with_the_journal_whole(tmp_path):
    full = child(tmp_path, 25, limit=2048)
    assert full.returncode == StorageError.exit_code == 3, full.stderr
    assert "journal.jsonl" in full.stdout
    assert "bytes needed" in full.stdout
    reading = read_journal(tmp_path / "journal.jsonl")
    assert (reading.torn, reading.corrupt) == (0, ())
    assert 0 < len(reading.rows) < 25
    assert child(tmp_path, 25).returncode == 0
    assert len((tmp_path / "ledger").read_text().splitlines()) == 26


def test_keys_do_not_depend_on_what_cannot_change_an_answer(journal):
    run(records(3), journal, step=Step(temperature=0.0, seed=1, top_p=0.5, top_k=3, batch_size=1))
    assert run(records(3), journal)[2] == []
    run(records(3), journal, step=sampled(batch_size=1))
    assert run(records(3), journal, step=sampled())[2] == []


@pytest.mark.parametrize("change", [{"temperature": 0.5}, {"top_p": 0.5}, {"top_k": 5}, {"seed": 1}, {"stop": ("x",)}])
def test_whatever_changes_a_sampled_answer_asks_again(journal, change):
    run(records(3), journal, step=sampled())
    assert len(run(records(3), journal, step=sampled(**change))[2]) == 3


def test_only_the_named_splits(journal):
    data = [replace(r, split=split) for r, split in zip(records(3), ("train", "valid", "test"), strict=True)]
    answered, funnel, _ = run(data, journal)
    assert [len(r.responses) for r in answered] == [1, 0, 1]
    assert (funnel.took, [r.split for r in answered]) == (2, ["train", "valid", "test"])


def test_a_round_wants_sampled_answers_of_its_own_and_greedy_ones_once(journal):
    endpoint = Scripted(echo)
    for step, calls in ((sampled(), 6), (GREEDY, 9)):
        with Notebook(journal) as notebook:
            for number in (1, 2, 1, 2):
                Kitchen({"teacher": endpoint}, notebook).cook([step], {"records": records(3)}, round=number)
        assert len(endpoint.calls) == calls
