"""What an evaluation set has in it does not go on."""

import pytest

from stillhouse.elicit.contract import Dropped, settings_of
from stillhouse.elicit.filters.decontaminate import decontaminate
from stillhouse.errors import RecipeError
from stillhouse.records.types import Message, Record, Response

LONG = " ".join(f"w{i}" for i in range(20))
SETS = {
    "gsm8k": [Record((Message("user", LONG),), (Response("reference", "Paris"),))],
    "short": [Record((Message("user", "one two three four five six seven eight nine"),))],
}


def item(output, instruction="do it"):
    return Record(fields={"instruction": instruction, "output": output})


def verdict(record, against=("gsm8k", "short"), **settings):
    (result,) = decontaminate([record], SETS, against=against, **settings)
    return result.reason if isinstance(result, Dropped) else ""


def words(begin, end):
    return " ".join(f"W{i}," for i in range(begin, end))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"before {words(3, 16)} after", "overlaps 'gsm8k'"),  # 13 in a row, other case and punctuation
        (f"before {words(3, 15)} after", ""),
        (f"{words(0, 10)} then {words(10, 20)}", ""),
        ("of Paris", ""),  # an answer of one word is everywhere
        ("say one two three four five six seven eight nine ten", "overlaps 'short'"),  # shorter than n: as a whole
        ("say one two three four five six seven eight ten", ""),
        ("", ""),
    ],
)
def test_ngrams(text, expected):
    assert verdict(item(text)) == expected


def test_a_dropped_record_shows_what_it_shares():
    (dropped,) = decontaminate([item(words(3, 17))], SETS, against=("gsm8k",))
    assert dropped.record.fields["overlap"] == " ".join(f"w{i}" for i in range(3, 16))


@pytest.mark.parametrize(
    ("begin", "end", "expected"), [(0, 20, "overlaps 'gsm8k'"), (0, 25, "overlaps 'gsm8k'"), (0, 19, ""), (1, 20, "")]
)
def test_substring_is_the_whole_text(begin, end, expected):
    assert verdict(item(words(begin, end)), match="substring") == expected


def test_fields_and_sets_are_those_named():
    record = item("", instruction=LONG)
    assert verdict(record) == "overlaps 'gsm8k'"
    assert verdict(record, field=("output",)) == ""
    assert verdict(record, against=("short",)) == ""
    assert verdict(record, against_field=("reference",)) == ""


def test_scripts_without_spaces():
    sets = {"zh": [Record((Message("user", "小明有五个苹果他吃了两个还剩几个"),))]}
    copied, other = item("题目：小明有五个苹果，他吃了两个。还剩几个？"), item("小明有五个苹果，小红也有。")
    results = list(decontaminate([copied, other], sets, against=("zh",)))
    assert [type(result) for result in results] == [Dropped, Record]


def test_against_all_windows_compared_by_hand():
    n, evaluation = 5, list("abcabbabcacaad")
    sets = {"e": [Record((Message("user", " ".join(evaluation)),))]}
    sought = {tuple(evaluation[i : i + n]) for i in range(len(evaluation) - n + 1)}
    for number in range(3**6):
        text = ["abc"[number // 3**i % 3] for i in range(6)]
        (result,) = decontaminate([item(" ".join(text))], sets, against=("e",), n=n, least=3)
        assert isinstance(result, Dropped) == any(tuple(text[i : i + n]) in sought for i in range(2))


def test_odd_texts_are_no_error():
    odd = [Record(), item(None), item("\ud800" * 20), item("word " * 200_000), item(3)]
    assert list(decontaminate(odd, SETS, against=("gsm8k",))) == odd


def test_wrong_settings():
    with pytest.raises(RecipeError, match="no set 'mmlu'"):
        list(decontaminate([], SETS, against=("mmlu",)))
    with pytest.raises(RecipeError, match="least is 8, more than n = 5"):
        list(decontaminate([], SETS, against=("gsm8k",), n=5))
    with pytest.raises(RecipeError, match="needs the setting 'against'"):
        settings_of(decontaminate, {})
