"""Soft verdicts: from log-probabilities, from first tokens, from votes; averaged over both orders, clamped."""

import math

import pytest

from stillhouse.elicit.ask import Ask
from stillhouse.elicit.catalogue import OPERATORS
from stillhouse.elicit.contract import Dropped, needs, settings_of
from stillhouse.elicit.generation.asking import TOGETHER
from stillhouse.elicit.judges.prob import prob, vote
from stillhouse.elicit.notebook import Notebook
from stillhouse.endpoints.base import Answer, Sampling
from stillhouse.endpoints.scripted import Scripted
from stillhouse.errors import RecipeError
from stillhouse.records.types import Message, Record

TEMPLATE = "1: {{ first }}\n2: {{ second }}\nBetter:"


def chances(prompt, text):
    """The judge likes longer candidates, and what is shown first: odds of 2 for each letter, and of 3 for the place."""
    shown = dict(line.split(": ", 1) for line in prompt[-1].content.splitlines() if ": " in line)
    if "broken" in shown.values():
        return []
    odds = {"1": 3 * 2.0 ** len(shown["1"]), "2": 2.0 ** len(shown["2"])}
    return [math.log(odds[text]) - 20.0, -0.0]


@pytest.fixture
def notebook(tmp_path):
    with Notebook(tmp_path / "journal.jsonl") as open_book:
        yield open_book


@pytest.fixture
def ask(notebook):
    return asking(Scripted(lambda prompt, sampling: "", scores=chances), notebook)


def asking(endpoint, notebook, **sampling):
    return Ask("judge", {"judge": endpoint}, Sampling(**sampling), notebook)


def two(first="aaa", second="a", **more):
    return Record(fields={"first": first, "second": second} | more)


def one(ask, record, **settings):
    [result] = prob([record], ask, **({"template": TEMPLATE, "options": ("1", "2")} | settings))
    return result


def test_the_probability_is_the_share_among_the_options(ask):
    judged = one(ask, two())
    assert judged.fields["prob"] == pytest.approx(12 / 13)
    assert judged.fields["prob_of"] == pytest.approx({"1": 12 / 13, "2": 1 / 13})
    assert judged.fields["prob_from"] == "token_logp"
    assert (judged.lineage[-1].operation, judged.lineage[-1].role) == ("prob", "judge")


def test_both_orders_are_averaged(ask):
    judged = one(ask, two(), swap=("first", "second"), into="better")
    assert judged.fields["better"] == pytest.approx((12 / 13 + 4 / 7) / 2)
    assert judged.fields["better_of"]["1"] + judged.fields["better_of"]["2"] == pytest.approx(1)
    mirrored = one(ask, two("a", "aaa"), swap=("first", "second"), into="better")
    assert mirrored.fields["better"] == pytest.approx(1 - judged.fields["better"])
    assert one(ask, two("same", "same"), swap=("first", "second")).fields["prob"] == pytest.approx(0.5)


def test_the_record_keeps_its_fields_in_their_order(ask):
    judged = one(ask, two(), swap=("first", "second"))
    assert (judged.fields["first"], judged.fields["second"]) == ("aaa", "a")


def test_clamped(ask):
    judged = one(ask, two(), clamp=(0.4, 0.6))
    assert (judged.fields["prob"], judged.fields["prob_of"]["1"]) == (0.6, pytest.approx(12 / 13))
    assert one(ask, two("a", "aaaaaaaaa"), clamp=(0.4, 0.6)).fields["prob"] == 0.4


def test_unlikely_options_still_have_their_share(notebook):
    endpoint = Scripted(lambda prompt, sampling: "", scores=lambda p, t: [-5000.0 if t == "A" else -5001.0])
    judged = one(asking(endpoint, notebook), two(), options=("A", "B"))
    assert judged.fields["prob"] == pytest.approx(1 / (1 + math.exp(-1)))


def test_more_than_two_options(notebook):
    logp = {"sport": [-1.0], "law": [-2.0], "art": [-3.0, 0.0]}
    ask = asking(Scripted(lambda prompt, sampling: "", scores=lambda prompt, text: logp[text]), notebook)
    [judged] = prob([two()], ask, template="Topic?", options=("sport", "law", "art"))
    whole = sum(math.exp(v) for v in (-1, -2, -3))
    assert judged.fields["prob_of"] == pytest.approx({k: math.exp(v[0]) / whole for k, v in logp.items()})


class FirstTokens(Scripted):
    """Lists likely first tokens, as a chat server does; unlisted options have no values."""

    def __init__(self, listed):
        super().__init__(lambda prompt, sampling: "", scores=lambda prompt, text: listed.get(text, []))
        self.gives = frozenset({"text", "option_logp"})


class Loose(Ask):
    """An Ask that lets such an endpoint score."""

    def logp(self, prompts, texts):
        return [values for _, values in self.endpoint.score(prompts, texts)]


def test_first_tokens_serve_where_one_option_is_listed(notebook):
    for listed, expected in (({"1": [-0.5], "2": [-1.5]}, 1 / (1 + math.exp(-1))), ({"2": [-0.5]}, 0.0)):
        judged = one(Loose("judge", {"judge": FirstTokens(listed)}, Sampling(), notebook), two())
        assert (judged.fields["prob"], judged.fields["prob_from"]) == (pytest.approx(expected), "option_logp")
    ask = Loose("judge", {"judge": FirstTokens({})}, Sampling(), notebook)
    assert one(ask, two()) == Dropped(two(), "no log-probability")


def test_votes_are_counted_where_there_are_no_log_probabilities(notebook):
    said = iter(["1", "2", "**1**, since", "I prefer 1.", "both 1 and 2", "", "no idea", "1"])
    endpoint = Scripted(lambda prompt, sampling: next(said))
    judged = one(asking(endpoint, notebook), two(), votes=8)
    assert len(endpoint.calls) == 8
    assert (judged.fields["prob"], judged.fields["prob_from"]) == (0.8, "votes")


def test_votes_in_both_orders(notebook):
    def always_the_first_but_once(prompt, sampling):
        return "1" if prompt[-1].content.startswith("1: aaa") else next(said)

    said = iter(["2", "1", "1", "1"])
    judged = one(asking(Scripted(always_the_first_but_once), notebook), two(), votes=4, swap=("first", "second"))
    assert judged.fields["prob"] == pytest.approx((1.0 + 0.25) / 2)


def test_a_greedy_judge_votes_once(notebook):
    endpoint = Scripted(lambda prompt, sampling: "2")
    judged = one(asking(endpoint, notebook, temperature=0.0), two(), votes=8)
    assert (judged.fields["prob"], len(endpoint.calls)) == (0.0, 1)


@pytest.mark.parametrize("answer", ["", "I cannot decide.", Answer("1", "error", error="filtered"), "x" * 1_000_000])
def test_without_a_vote_there_is_no_verdict(notebook, answer):
    ask = asking(Scripted(lambda prompt, sampling: answer), notebook)
    assert one(ask, two(), votes=3) == Dropped(two(), "no vote for an option")


def test_what_cannot_be_judged_is_dropped_with_the_reason(ask):
    broken, missing, long = two("broken"), Record(fields={"first": "a"}), two("x" * 3_000_000)
    records = [broken, missing, long, two()]
    results = list(prob(records, ask, template=TEMPLATE, options=("1", "2"), swap=("first", "second")))
    assert results[:3] == [
        Dropped(broken, "no log-probability"),
        Dropped(missing, "nothing to swap"),
        Dropped(long, "prompt too long"),
    ]
    assert isinstance(results[3], Record)


def test_candidates_with_template_syntax_are_text(notebook):
    endpoint = Scripted(lambda prompt, sampling: "", scores=lambda prompt, text: [-1.0])
    one(asking(endpoint, notebook), two("{{ second }}", "{% for"), system="Judge.")
    asked = (Message("system", "Judge."), Message("user", "1: {{ second }}\n2: {% for\nBetter:"))
    assert endpoint.scored == [(asked, "1"), (asked, "2")]


def test_order_is_kept_over_batches_and_nothing_is_asked_twice(notebook):
    endpoint = Scripted(lambda prompt, sampling: "", scores=chances)
    ask = asking(endpoint, notebook)
    records = [two("a" * (n % 7 + 1), n=n) for n in range(TOGETHER + 9)]
    first, again = (list(prob(records, ask, template=TEMPLATE, options=("1", "2"))) for _ in range(2))
    assert first == again
    assert [r.fields["n"] for r in first] == list(range(len(records)))
    assert [r.fields["prob"] for r in first] == pytest.approx(
        [3 * 2**k / (3 * 2**k + 2) for k in range(1, 8)] * 10 + [6 / 8, 12 / 14, 24 / 26]
    )


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        ("A", "A"),
        ("A.", "A"),
        ("(B) because", "B"),
        ("**A**: longer", "A"),
        ("[[B]]", "B"),
        ("A\nsince B is short", "A"),
        ("B: A is wrong", "B"),
        ("The answer is B.", "B"),
        ("A good answer is B", None),
        ("A or B", None),
        ("a b", None),
        ("Apples", None),
        ("", None),
        ("答案是 B。", "B"),
    ],
)
def test_vote_for_a_letter(answer, named):
    assert vote(answer, ("A", "B")) == named


@pytest.mark.parametrize(
    ("answer", "options", "named"),
    [
        ("yes, it is", ("Yes", "No"), "Yes"),
        ("NO", ("Yes", "No"), "No"),
        ("Nobody knows", ("Yes", "No"), None),
        ("Well, yes.", ("Yes", "No"), "Yes"),
        ("10", ("1", "10"), "10"),
        ("Output (a): x, not (b)", ("(a)", "(b)"), None),
        ("(a) is better", ("(a)", "(b)"), "(a)"),
        ("not helpful", ("helpful", "not helpful"), "not helpful"),
        ("It is c++.", ("C", "C++"), None),
        ("C++", ("C", "C++"), "C++"),
    ],
)
def test_vote_for_words(answer, options, named):
    assert vote(answer, options) == named


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"options": ("A",)}, "give two or more different ones"),
        ({"options": ("A", " A")}, "give two or more different ones"),
        ({"options": ("A", "")}, "give two or more different ones"),
        ({"swap": ("first",)}, "name two fields, for two options"),
        ({"swap": ("first", "second"), "options": ("A", "B", "C")}, "for 3 options"),
        ({"clamp": (0.6, 0.4)}, "two rising numbers between 0 and 1"),
        ({"clamp": (0.0, 1.5)}, "two rising numbers between 0 and 1"),
    ],
)
def test_wrong_settings_are_told(ask, settings, why):
    with pytest.raises(RecipeError, match=why):
        one(ask, two(), **settings)


def test_it_is_in_the_catalogue_and_its_settings_are_checked():
    assert OPERATORS["prob"] is prob
    assert needs(prob) == ("records", "ask")
    assert settings_of(prob, {"template": "t", "clamp": [0.4, 0.6], "swap": ["a", "b"]})["clamp"] == (0.4, 0.6)
    with pytest.raises(RecipeError, match="needs the setting 'template'"):
        settings_of(prob, {})
