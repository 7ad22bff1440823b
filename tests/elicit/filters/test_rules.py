"""Each rule drops what it names, with its reason, and nothing else; odd teacher output is never an error."""

import pytest

from stillhouse.elicit.contract import Dropped, settings_of
from stillhouse.elicit.filters.rules import rules
from stillhouse.errors import RecipeError
from stillhouse.records.types import Message, Record, Response


def item(text="", **fields):
    return Record(fields={"instruction": text, **fields})


def reason(record, **settings):
    (result,) = rules([record], **settings)
    return result.reason if isinstance(result, Dropped) else ""


def test_without_rules_everything_goes_on_as_it_was():
    records = [item(""), Record(), item("x" * 10**6)]
    assert list(rules(records)) == records


@pytest.mark.parametrize(("words", "expected"), [(3, "too few words"), (4, ""), (150, ""), (151, "too many words")])
def test_self_instructs_bounds(words, expected):
    assert reason(item(" ".join(["word"] * words)), min_words=4, max_words=150) == expected


@pytest.mark.parametrize(("length", "expected"), [(1199, "too short"), (1200, ""), (4096, ""), (4097, "too long")])
def test_limas_bounds(length, expected):
    assert reason(item("x" * length), min_chars=1200, max_chars=4096) == expected


@pytest.mark.parametrize(
    ("text", "hit"),
    [
        ("Draw a MAP of it", True),
        ("mapping is fun", False),
        ("a road-map", True),
        ("go to the shop", True),
        ("ago to", False),
        ("the #Rewritten Prompt# is", True),
        ("看这张图片吧", True),
        ("map_reduce", False),
        ("", False),
    ],
)
def test_blacklist_is_of_whole_words(text, hit):
    found = reason(item(text), blacklist=("map", "go to", "#rewritten prompt#", "图片"))
    assert found == ("blacklisted words" if hit else "")


def test_koala_drops_a_dialogue_that_names_the_vendor_in_any_turn():
    talk = (Message("user", "Who made you?"), Message("assistant", "OpenAI did."), Message("user", "Thanks"))
    assert reason(Record(talk), field="messages", blacklist=("OpenAI",)) == "blacklisted words"
    assert reason(Record(talk), field="messages", roles=("user",), blacklist=("OpenAI",)) == ""
    assert reason(Record(talk[::2]), field="messages", blacklist=("OpenAI",)) == ""


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        ("write a Program that", {"not_starts": ("Write a program",)}, "forbidden start"),
        ("Rewrite a program", {"not_starts": ("Write a program",)}, ""),
        ("Sure!", {"starts": ("no", "yes")}, "wrong start"),
        (" Yes.", {"starts": ("no", "yes")}, ""),
        ("the list:\n", {"not_ends": (":",)}, "forbidden end"),
        ("no stop", {"ends": (".", "!")}, "wrong end"),
        ("stop. ", {"ends": (".", "!")}, ""),
        ("- item", {"clean_start": True}, "unclean start"),
        ("écrire", {"clean_start": True}, "unclean start"),
        ("写诗", {"clean_start": True}, "unclean start"),
        ("1. item", {"clean_start": True}, ""),
        ("", {"clean_start": True}, ""),
    ],
)
def test_edges(text, settings, expected):
    assert reason(item(text), **settings) == expected


def test_patterns():
    assert reason(item("call 0123"), matches=(r"\d{4}", "call")) == ""
    assert reason(item("call 012"), matches=(r"\d{4}", "call")) == "pattern not found"
    assert reason(item("a {{ b }}"), not_matches=(r"\{\{.*\}\}",)) == "forbidden pattern"
    assert reason(item("\ud800"), matches=("x",)) == "pattern not found"


def test_no_pattern_can_hold_it_up():
    assert reason(item("a" * 10**6 + "!"), matches=("^(a+)+$",)) == "pattern not found"


@pytest.mark.parametrize(
    ("text", "script", "share", "expected"),
    [
        ("写一首诗 for me", "han", 0.4, ""),
        ("写 for me", "han", 0.4, "another script"),
        ("Привет", "latin", 1.0, "another script"),
        ("Café, s'il vous plaît", "latin", 1.0, ""),
        ("1 + 1 = ?", "latin", 1.0, ""),
    ],
)
def test_script(text, script, share, expected):
    assert reason(item(text), script=script, script_share=share) == expected


def test_refusals_and_wizardlms_short_apology():
    answer = "As an AI language model, I have no opinion. " + "word " * 100
    assert reason(item(answer), no_refusals=True) == "refusal"
    assert reason(item("I’m sorry, but I can't."), no_refusals=True) == "refusal"
    wizard = {"no_refusals": True, "refusals": ("sorry",), "short_refusal_words": 80}
    assert reason(item("Sorry! " + "word " * 79), **wizard) == ""
    assert reason(item("Sorry! " + "word " * 78), **wizard) == "refusal"
    assert reason(item("word " * 20), **wizard) == ""


def test_something_is_said():
    assert reason(item("It is, and so that?"), says_something=True) == "says nothing"
    assert reason(item(" ... "), says_something=True) == "says nothing"
    assert reason(item("It is Paris."), says_something=True) == ""


def test_copies_required_fields_and_finish():
    assert reason(item("Say  HI", output="say hi"), not_equal_to=("output",)) == "same as 'output'"
    assert reason(item("Say hi", output="hi"), not_equal_to=("output",)) == ""
    assert reason(item("x", output=" \n"), required=("instruction", "output")) == "no 'output'"
    assert reason(item("x", finish="length"), complete=True) == "cut off"
    assert reason(item("x", finish=["stop", "error"]), complete=True) == "failed"
    assert reason(Record(responses=(Response("teacher", "x", "length"),)), complete=True) == "cut off"
    assert reason(item("x", finish="stop"), complete=True) == ""


@pytest.mark.parametrize(
    ("score", "expected"), [(10, ""), ("9.9", "low 'score'"), (None, "no number in 'score'"), (21, "high 'score'")]
)
def test_numbers(score, expected):
    assert reason(item("x", score=score), at_least={"score": 10.0}, at_most={"score": 20.0}) == expected


def test_one_of():
    assert reason(item("x", stop="limit"), one_of={"stop": ("done", "limit")}) == ""
    assert reason(item("x", stop="flip"), one_of={"stop": ("done", "limit")}) == "another 'stop'"


def test_unique_keeps_the_first():
    records = [item("a", n=1), item("b", n=2), item("a", n=3), item("a", input="i", n=4)]
    kept = [r.fields["n"] for r in rules(records, unique=("instruction", "input")) if isinstance(r, Record)]
    assert kept == [1, 2, 4]


def test_all_instances_of_an_instruction_go_when_one_input_has_two_outputs():
    records = [
        item("a", input="1", output="x"),
        item("b", input="1", output="x"),
        item("a", input="2", output="y"),
        item("a", input="1", output="z"),
        item("open", input="", output="x"),
        item("open", input="", output="y"),
        item("b", input="1", output="x"),
    ]
    results = list(rules(records, consistent=("instruction", "input", "output"), unique=("instruction", "output")))
    assert [r.reason if isinstance(r, Dropped) else "" for r in results] == [
        "conflicting outputs", "", "conflicting outputs", "conflicting outputs", "", "", "duplicate",
    ]  # fmt: skip


def test_what_another_rule_dropped_makes_no_conflict():
    records = [item("a", input="1", output="x"), item("a", input="1", output="")]
    results = list(rules(records, required=("output",), consistent=("instruction", "input", "output")))
    assert results == [records[0], Dropped(records[1], "no 'output'")]


def test_it_streams():
    def endless():
        while True:
            yield item("four words are here")

    assert isinstance(next(rules(endless(), min_words=4, unique=("instruction",))), Record)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"script": "klingon"}, "script is 'klingon', which Unicode does not know"),
        ({"not_matches": ["("]}, "a pattern of not_matches cannot be used"),
        ({"matches": ["(?=x)"]}, "RE2"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(RecipeError, match=message):
        list(rules([item("x")], **settings_of(rules, settings)))


def test_settings_as_a_recipe_gives_them():
    given = {"blacklist": ["a"], "consistent": ["a", "b", "c"], "one_of": {"s": ["x"]}, "at_least": {"n": 3}}
    assert settings_of(rules, given)["consistent"] == ("a", "b", "c")
    for wrong in ({"consistent": ["a"]}, {"script_share": 0}, {"at_least": {"n": "high"}}):
        with pytest.raises(RecipeError):
            settings_of(rules, wrong)
