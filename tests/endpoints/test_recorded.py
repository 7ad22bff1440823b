"""A journal as an endpoint: the same answers again, and none that were never given."""

import pytest

from stillhouse.elicit.ask import Ask
from stillhouse.elicit.notebook import Notebook
from stillhouse.endpoints.base import Endpoint, Sampling
from stillhouse.endpoints.recorded import Recorded
from stillhouse.endpoints.scripted import Scripted
from stillhouse.errors import ConfigError, DataError
from stillhouse.records.types import Message
from tests.endpoints.asking import asked, prompts_of

PROMPTS = prompts_of(*(f"Question {n}?" for n in range(4)))


@pytest.fixture
def journal(tmp_path):
    count = iter(range(100))
    teacher = Scripted(lambda prompt, sampling: f"{prompt[0].content} {next(count)}", identity="teacher")
    asked(PROMPTS, teacher, tmp_path / "journal.jsonl", samples=2, seed=1)
    return tmp_path / "journal.jsonl"


def test_asking_a_recording_gives_the_same_answers(journal, tmp_path):
    never = Scripted(lambda prompt, sampling: "never", identity="teacher")
    known, _ = asked(PROMPTS, never, journal, samples=2, seed=1)
    recorded = Recorded(journal)
    assert isinstance(recorded, Endpoint)
    assert recorded.identity == "teacher"
    replayed, funnel = asked(PROMPTS, recorded, tmp_path / "copy.jsonl", samples=2, seed=7)
    assert [sorted(a.text for a in row) for row in replayed] == [sorted(a.text for a in row) for row in known]
    assert (funnel.asked, funnel.failed) == (8, 0)


def test_repeated_prompts_get_the_samples_in_turn(journal):
    texts = [answer.text for _, answer in Recorded(journal).generate(PROMPTS[:1] * 4, Sampling())]
    assert texts[0] != texts[1]
    assert texts[2:] == texts[:2]


def test_unknown_prompts_and_settings(journal):
    recorded, unknown = Recorded(journal), (Message("user", "Unheard of"),)
    assert "holds no answer" in recorded.refuses(unknown, Sampling())
    assert recorded.refuses(PROMPTS[0], Sampling()) == ""
    assert "holds no answer" in recorded.refuses(PROMPTS[0], Sampling(temperature=0.5))
    with pytest.raises(DataError, match="no answer of teacher to 'Unheard of'"):
        list(recorded.generate([unknown], Sampling()))


def test_which_endpoint_must_be_clear(journal, tmp_path):
    with pytest.raises(ConfigError, match="holds answers of nobody"):
        Recorded(tmp_path / "none.jsonl")
    asked(PROMPTS, Scripted(lambda prompt, sampling: "other", identity="other"), journal, samples=2, seed=1)
    with pytest.raises(ConfigError, match="holds answers of other, teacher"):
        Recorded(journal)
    texts = [a.text for _, a in Recorded(journal, identity="other").generate([PROMPTS[0]], Sampling())]
    assert texts == ["other"]


def test_scores_are_replayed(tmp_path):
    path = tmp_path / "journal.jsonl"
    teacher = Scripted(
        lambda prompt, sampling: "fine", scores=lambda prompt, text: [-1.0 * len(prompt[0].content), -0.5], identity="t"
    )
    with Notebook(path) as notebook:
        ask = Ask("teacher", {"teacher": teacher}, Sampling(), notebook)
        ask(PROMPTS)
        given = ask.logp(PROMPTS, ["A"] * 4)
    recorded = Recorded(path)
    assert recorded.gives == {"text", "token_logp"}
    assert [values for _, values in recorded.score(PROMPTS, ["A"] * 4)] == given
    with pytest.raises(DataError, match="no score by t of 'B'; ask the endpoint itself"):
        list(recorded.score(PROMPTS, ["B"] * 4))


def test_a_journal_without_scores_gives_none(journal):
    assert Recorded(journal).gives == {"text"}
