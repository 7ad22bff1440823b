"""`novel` decides as Self-Instruct's loop over rouge-score does, and by the other measures as they say."""

import random

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer

from stillhouse.elicit.contract import Dropped, settings_of
from stillhouse.elicit.filters import novel as module
from stillhouse.elicit.filters.novel import novel
from stillhouse.errors import RecipeError
from stillhouse.records.types import Message, Record

SCORER = RougeScorer(["rougeL"], use_stemmer=False)
MEASURES = ("rouge_l", "minhash", "exact", "embedding")


def item(text, **fields):
    return Record(fields={"instruction": text, **fields})


def kept(results):
    return [result.fields["instruction"] for result in results if isinstance(result, Record)]


def texts(count, seed):
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        words = [f"w{rng.randrange(60)}" for _ in range(rng.choice([4, 10, 10, 20]))]
        if made and rng.random() < 0.6:
            words = rng.choice(made).split()
            for _ in range(rng.randint(0, 5)):
                words[rng.randrange(len(words))] = f"w{rng.randrange(60)}"
        made.append(" ".join(words))
    return made


def self_instructs_loop(candidates, pool):
    pool, kept = list(pool), []
    for candidate in candidates:
        scores = [SCORER.score(candidate, text)["rougeL"].fmeasure for text in pool]
        if scores and max(scores) > 0.7:
            continue
        kept.append(candidate)
        pool.append(candidate)
    return kept


@pytest.mark.parametrize("seed", range(3))
def test_it_is_self_instructs_loop(seed):
    pool, candidates = texts(15, seed), texts(60, seed + 100) + texts(15, seed)
    sets = {"pool": [item(text) for text in pool], "other": [item(text) for text in candidates]}
    ours = kept(novel([item(text) for text in candidates], sets, against=("pool",)))
    assert ours == self_instructs_loop(candidates, pool)
    assert 10 < len(ours) < 60


def test_what_is_noted():
    first, second = novel([item("a b c d e f g h"), item("a b c d x y z")], {"p": [item("q r")]}, against=("p",))
    assert isinstance(second, Record)
    assert first.fields["similarity"] == 0
    assert second.fields["most_similar"] == "a b c d e f g h"
    assert second.fields["similarity"] == pytest.approx(2 * 4 / 15)
    assert second.fields["mean_similarity"] == pytest.approx(4 / 15)


def test_a_dropped_record_says_what_it_is_like():
    _, dropped = novel([item("a b c d"), item("A, b, c: d!")], {})
    assert isinstance(dropped, Dropped)
    assert dropped.reason == "too similar"
    assert (dropped.record.fields["most_similar"], dropped.record.fields["similarity"]) == ("a b c d", 1.0)


def test_without_a_note_records_go_on_as_they_were():
    records = [item("a b c d"), item("e f g h")]
    assert list(novel(records, {}, note=False)) == records


@pytest.mark.parametrize("measure", MEASURES)
def test_every_measure_drops_a_copy_and_keeps_another_text(measure, monkeypatch):
    monkeypatch.setattr(module, "embedder", lambda model: one_hot)
    records = [item("write a poem about the sea"), item("sort these numbers"), item("write a poem about the sea")]
    results = list(novel(records, {}, measure=measure))
    assert [type(result) for result in results] == [Record, Record, Dropped]


@pytest.mark.parametrize("measure", MEASURES)
def test_sets_within_and_groups(measure, monkeypatch):
    monkeypatch.setattr(module, "embedder", lambda model: one_hot)
    pool = {"pool": [item("write a poem now", input="x")]}
    records = [
        item("write a poem now", input="y"),
        item("write a poem now", input="x"),
        item("write a poem now", input="y"),
    ]

    def passed(**settings):
        return [isinstance(r, Record) for r in novel(records, pool, measure=measure, **settings)]

    assert passed() == [True, False, False]
    assert passed(within=False) == [True, True, True]
    assert passed(against=("pool",)) == [False, False, False]
    assert passed(against=("pool",), within=False, per="input") == [True, False, True]
    assert passed(against=("pool",), per="input") == [True, False, False]


def one_hot(texts):
    """Texts as directions: equal ones are the same, others at right angles."""
    places = {"write a poem about the sea": 0, "write a poem now": 0, "sort these numbers": 1}
    return np.eye(2, dtype=np.float32)[[places[text] for text in texts]]


def test_wordllama_sees_a_paraphrase():
    pytest.importorskip("wordllama", reason="an extra: stillhouse[embeddings]")
    records = [item("Write a poem about the sea."), item("Compose a poem on the ocean"), item("Sort numbers in Python")]
    settings = {"measure": "embedding", "at_most": 0.6}
    assert kept(novel(records, {}, **settings)) == ["Write a poem about the sea.", "Sort numbers in Python"]
    assert len(kept(novel(records, {}))) == 3


def test_dialogues_are_compared_by_their_turns():
    talk = Record((Message("user", "tell me of the sea"), Message("assistant", "it is wide and blue")))
    assert [type(r) for r in novel([talk, talk], {}, field="messages")] == [Record, Dropped]


def test_chinese_needs_unicode_words():
    records = [item("写一首关于大海的诗"), item("写一首关于大山的诗")]
    assert len(kept(novel(records, {}))) == 2
    assert len(kept(novel(records, {}, tokens="unicode"))) == 1


@pytest.mark.parametrize("measure", ["rouge_l", "minhash", "exact"])
def test_odd_texts_are_no_error(measure):
    odd = [Record(), item(""), item(None), item(7), item("\ud800"), item("{{ x }}"), item("word " * 200_000)]
    assert len(list(novel(odd, {}, measure=measure))) == len(odd)


def test_it_streams():
    endless = (item(f"number {i} of many {i} things {i}") for i in iter(int, 1))
    assert isinstance(next(novel(endless, {})), Record)


def test_wrong_settings():
    with pytest.raises(RecipeError, match="no set 'pol'"):
        list(novel([], {"pool": []}, against=("pol",)))
    for wrong in ({"measure": "bleu"}, {"at_most": 1.5}, {"ngram": 0}):
        with pytest.raises(RecipeError):
            settings_of(novel, wrong)
