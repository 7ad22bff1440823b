"""A journal as an endpoint: the same answers again, and none that were never given."""

import pytest

from stillhouse.elicit.collect import collect
from stillhouse.endpoints.base import Endpoint, Sampling
from stillhouse.endpoints.recorded import Recorded
from stillhouse.endpoints.scripted import Scripted
from stillhouse.errors import ConfigError, DataError
from stillhouse.recipe import Step
from stillhouse.records.types import Message, Record

RECORDS = [Record((Message("user", f"Question {n}?"),)) for n in range(4)]
STEP = Step(samples=2)


@pytest.fixture
def journal(tmp_path):
    count = iter(range(100))
    teacher = Scripted(lambda prompt, sampling: f"{prompt[0].content} {next(count)}", identity="teacher")
    collect(RECORDS, teacher, STEP, tmp_path / "journal.jsonl", seed=1)
    return tmp_path / "journal.jsonl"


def test_collecting_from_a_recording_gives_the_same_records(journal, tmp_path):
    known, _ = collect(RECORDS, Scripted(lambda prompt, sampling: "never", identity="teacher"), STEP, journal, seed=1)
    recorded = Recorded(journal)
    assert isinstance(recorded, Endpoint)
    assert recorded.identity == "teacher"
    replayed, funnel = collect(RECORDS, recorded, STEP, tmp_path / "copy.jsonl", seed=7)
    assert [sorted(r.text for r in a.responses) for a in replayed] == [
        sorted(r.text for r in a.responses) for a in known
    ]
    assert (funnel.asked, funnel.kept) == (8, 8)


def test_repeated_prompts_get_the_samples_in_turn(journal):
    prompt = RECORDS[0].messages
    texts = [answer.text for _, answer in Recorded(journal).generate([prompt] * 4, Sampling())]
    assert texts[0] != texts[1]
    assert texts[2:] == texts[:2]


def test_unknown_prompts_and_settings(journal):
    recorded, unknown = Recorded(journal), (Message("user", "Unheard of"),)
    assert "holds no answer" in recorded.refuses(unknown, Sampling())
    assert recorded.refuses(RECORDS[0].messages, Sampling()) == ""
    assert "holds no answer" in recorded.refuses(RECORDS[0].messages, Sampling(temperature=0.5))
    with pytest.raises(DataError, match="no answer of teacher to 'Unheard of'"):
        list(recorded.generate([unknown], Sampling()))


def test_which_endpoint_must_be_clear(journal, tmp_path):
    with pytest.raises(ConfigError, match="holds answers of nobody"):
        Recorded(tmp_path / "none.jsonl")
    collect(RECORDS, Scripted(lambda prompt, sampling: "other", identity="other"), STEP, journal, seed=1)
    with pytest.raises(ConfigError, match="holds answers of other, teacher"):
        Recorded(journal)
    texts = [a.text for _, a in Recorded(journal, identity="other").generate([RECORDS[0].messages], Sampling())]
    assert texts == ["other"]
