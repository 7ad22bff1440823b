"""Templates: what a prompt needs works; nothing gets out, nothing grows without end, and data are never source."""

import time

import pytest

from stillhouse.elicit.sandboxed import TooLarge, Unfit
from stillhouse.elicit.templates import check, check_guard, conversation, holds, render, shared_in
from stillhouse.errors import RecipeError
from stillhouse.records.types import Message


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("  {{ a }}\n", "one"),
        ("{% for x in xs %}{{ loop.index }}/{{loop.length}}{{ x }}{{ ';' if not loop.last }}{% endfor %}", "1/2p;2/2q"),
        ("{% for x in xs if x != 'p' %}{{ x }}{% else %}none{% endfor %}", "q"),
        ("{% for x in [] %}{{ x }}{% else %}none{% endfor %}", "none"),
        ("{% for k, v in d.items() %}{{ k }}={{ v }}{% endfor %}", "k=1"),
        ("{% for i in range(2, 5) %}{{ i }}{% endfor %}", "234"),
        ("{{ xs | join(' and ') }}{{ a ~ 1 ~ '!' }}{{ a + 'x' }}", "p and qone1!onex"),
        ("{{ a.replace('o', 'O') | upper }}{{ a | replace('e', 'E', 1) }}", "ONEonE"),
        ("{{ 7 * 6 }} {{ [1, 2] | sum }} {{ ds | map(attribute='k') | join }}", "42 3 12"),
        ("{% set b = a %}{{ b }}{% if missing is defined %}no{% endif %}", "one"),
        ("{{ d.k }} {{ d['k'] }} {{ xs[0] }} {{ xs | length }} {{ xs | first }}", "1 1 p 2 p"),
        ("{# not shown #}{{ self_ }}", "x"),
    ],
)  # fmt: skip
def test_what_prompts_use(template: str, text: str) -> None:
    values = {"a": "one", "xs": ["p", "q"], "d": {"k": 1}, "ds": [{"k": 1}, {"k": 2}], "self_": "x"}
    assert render(template, values) == text


@pytest.mark.parametrize(
    "said",
    ["{{ 7*7 }}", "{% for x in range(10**9) %}x{% endfor %}", "{{ ''.__class__ }}", "{#", "<|im_start|>system", "\x00"],
)
def test_data_are_never_source(said: str) -> None:
    values = {"output": said, "xs": [said]}
    assert render("A: {{ output }}", values) == f"A: {said}".strip()
    assert render("{% for x in xs %}{{ x }}{% endfor %}", values) == said
    assert holds("output == xs[0]", values)


@pytest.mark.parametrize(
    "name", ["self", "range", "loop", "args", "context", "environment", "vars", "a b", "__class__"]
)
def test_a_field_may_have_any_name(name: str) -> None:
    assert render("{{ a }}", {name: "x", "a": "y"}) == "y"
    assert holds("a == 'y'", {name: "x", "a": "y"})


ESCAPES = [
    "{{ ''.__class__.__mro__ }}",
    "{{ a['__class__'] }}",
    "{{ a | attr('__class__') }}",
    "{{ a.__class__.__subclasses__() }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ lipsum.__globals__ }}",
    "{{ namespace() }}",
    "{{ range.__init__ }}",
    "{{ self.__init__ }}",
    "{{ '{0.__class__}'.format(a) }}",
    "{{ '{0.__class__}'.format_map({'a': a}) }}",
    "{{ '%s' | format(a) }}",
    "{{ '%999999999d' % 1 }}",
    "{{ [a] | map('attr', '__class__') | list }}",
    "{{ [a] | map(attribute='__class__') | list }}",
    "{{ xs.append(1) }}",
    "{{ d.update({1: 2}) }}",
    "{{ d.clear() }}",
    "{{ (1).to_bytes(1000000000, 'big') }}",
    "{{ a.encode() }}",
    "{{ a.ljust(10 ** 9) }}",
    "{{ a.zfill(1000000000) }}",
    "{{ a.center(1000000000) }}",
    "{{ a.translate({}) }}",
    "{{ a.expandtabs(1000000000) }}",
    "{{ xs | random }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% from 'os' import path %}",
    "{% extends 'base' %}",
    "{% block b %}{{ self.b() }}{% endblock %}",
    "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
    "{% for x in xs recursive %}{{ loop(xs) }}{% endfor %}",
]


@pytest.mark.parametrize("template", ESCAPES)
def test_there_is_no_way_out(template: str) -> None:
    values = {"a": "text", "xs": ["p"], "d": {"k": 1}}
    try:
        said = render(template, values)
    except RecipeError:
        said = ""
    assert "class" not in said and "root:" not in said and "function" not in said and len(said) < 100
    assert values == {"a": "text", "xs": ["p"], "d": {"k": 1}}


DOUBLING = "{% set x = 'aaaaaaaaaa' %}" + "{% set x = STEP %}" * 60 + "{{ x | length }}"
BOMBS = [
    "{% for i in range(10 ** 9) %}x{% endfor %}",
    "{% for i in range(1000000000) %}x{% endfor %}",
    "{{ range(1000000000) | list }}",
    "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
    "{% for i in xs %}" * 12 + "{% endfor %}" * 12,
    "{{ 'a' * 10 ** 9 }}",
    "{{ 'a' * 1000000000 }}",
    "{{ [0] * 1000000000 }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ '%1000000000d' % 1 }}",
    DOUBLING.replace("STEP", "x + x"),
    DOUBLING.replace("STEP", "x ~ x"),
    DOUBLING.replace("STEP", "[x, x] | join"),
    DOUBLING.replace("STEP", "x.replace('a', x)"),
    DOUBLING.replace("STEP", "x | replace('a', x)"),
    DOUBLING.replace("STEP", "x | tojson | tojson"),
    DOUBLING.replace("STEP", "x | urlencode | urlencode | replace('a', '%')"),
    DOUBLING.replace("STEP", "(x | list) + (x | list)"),
    "{% set n = 9 %}" + "{% set n = n * n %}" * 60 + "{{ n }}",
    "{% for i in range(1000) %}{{ big }}{% endfor %}",
    "{{ range(90000) | join(big) }}",
    "{{ 'x' | wordwrap(1, wrapstring=big) }}",
    "{{ [big, big, big, big, big] | join }}",
    "(" * 100_000,
    "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
]


@pytest.mark.parametrize("template", BOMBS, ids=range(len(BOMBS)))
def test_nothing_grows_without_end(template: str) -> None:
    began = time.perf_counter()
    try:
        said = render(template, {"xs": list(range(50)), "big": "b" * 1_000_000})
    except RecipeError:
        said = ""
    assert len(said) < 200_000
    assert time.perf_counter() - began < 5


def test_what_is_too_large_is_told_from_what_is_missing() -> None:
    with pytest.raises(TooLarge, match="2,000,000 characters"):
        render("{{ a }}{{ a }}", {"a": "x" * 1_500_000})
    with pytest.raises(Unfit, match=r"'instrution' is undefined.*there are instruction"):
        render("{{ instrution }}", {"instruction": "x"})
    with pytest.raises(Unfit, match="fails on its values"):
        render("{{ a | dictsort }}", {"a": "x"})


@pytest.mark.parametrize(
    "template", ["{{ a", "{% for %}", "{% if %}", "{{ a | nothing }}", "{% macro f() %}{% endmacro %}"]
)
def test_a_faulty_template_is_refused_before_it_is_used(template: str) -> None:
    with pytest.raises(RecipeError, match="not a template"):
        check(template)
    with pytest.raises(RecipeError):
        render(template, {"a": "x"})


def test_a_template_is_compiled_once() -> None:
    template = "Task: {{ a }}{% for x in xs %}{{ x }}{% endfor %}"
    render(template, {"a": "x", "xs": []})
    began = time.perf_counter()
    for number in range(2000):
        assert render(template, {"a": number, "xs": [1]}) == f"Task: {number}1"
    assert time.perf_counter() - began < 1  # compiling takes half a millisecond


@pytest.mark.parametrize(
    ("guard", "true"),
    [
        ("score >= 4", True),
        ("score > 4", False),
        ("score >= 4 and name == 'x'", True),
        ("missing", False),
        ("missing.deeper.still > 3", False),
        ("missing is defined", False),
        ("missing is not defined", True),
        ("name > 3", False),  # a text and a number
        ("name.nothing()", False),
        ("xs[7] == 1", False),
        ("score / 0 > 1", False),
        ("xs | length == 2", True),
        ("'p' in xs", True),
        ("'p' in score", False),
        ("name is none", False),
    ],
)
def test_guards(guard: str, true: bool) -> None:
    assert holds(guard, {"score": 4, "name": "x", "xs": ["p", "q"]}) is true


@pytest.mark.parametrize("guard", ["score >=", "a b", "{{ a }}", "a | nothing", "(" * 5000])
def test_a_faulty_guard_is_refused(guard: str) -> None:
    with pytest.raises(RecipeError, match="guard"):
        check_guard(guard)


def test_a_guard_gets_out_no_more_than_a_template() -> None:
    for guard in ("''.__class__", "a.format(1)", "range(10 ** 9) | list", "'a' * 10 ** 9"):
        try:
            assert not holds(guard, {"a": "x"})
        except RecipeError:
            continue


def test_a_conversation_has_a_system_message_where_it_says_something() -> None:
    assert conversation("{{ a }}", {"a": "x"}) == (Message("user", "x"),)
    assert conversation("{{ a }}", {"a": "x"}, system="Be {{ a }}.") == (
        Message("system", "Be x."),
        Message("user", "x"),
    )
    assert conversation("{{ a }}", {"a": "x"}, system="{{ '' }}") == (Message("user", "x"),)


def test_shared_templates() -> None:
    shared = {"one": "Text {{ a }}", "t-2": "Two"}
    assert shared_in({"a": "@one", "b": ["@t-2", "@", "@ x", "a@one"], "n": 1}, shared) == {
        "a": "Text {{ a }}",
        "b": ["Two", "@", "@ x", "a@one"],
        "n": 1,
    }
    with pytest.raises(RecipeError, match=r"'@three'.*one, t-2"):
        shared_in({"a": ["@three"]}, shared)
