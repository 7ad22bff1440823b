import pytest

from stillhouse.elicit.parsers import Unreadable
from stillhouse.elicit.parsers.code import code

REPLY = """Here:

```python
def f():
    return "```not a fence"
```
then
~~~
plain
~~~
and
````md
```python
inner
```
````
```bash
never closed
"""


def test_closed_blocks_with_their_language() -> None:
    blocks = code(REPLY, which="all")
    assert [block["language"] for block in blocks] == ["python", "", "md"]
    assert blocks[0]["code"] == 'def f():\n    return "```not a fence"'
    assert blocks[2]["code"] == "```python\ninner\n```"
    assert code(REPLY)[0] == blocks[0]
    assert code(REPLY, which="last", field="program") == [{"program": blocks[2]["code"], "language": "md"}]


def test_only_some_languages() -> None:
    assert code(REPLY, languages=("Python",), which="all")[0]["language"] == "python"
    assert code(REPLY, languages=("",))[0]["code"] == "plain"
    with pytest.raises(Unreadable, match="no code block"):
        code(REPLY, languages=("rust",))


def test_the_prompt_opened_the_fence() -> None:
    assert code("x = 1\nprint(x)\n```\nDone.", continues=True) == [{"code": "x = 1\nprint(x)", "language": ""}]


def test_bare_code_only_without_any_fence() -> None:
    assert code("\n  x = 1\n", bare=True) == [{"code": "  x = 1", "language": ""}]
    with pytest.raises(Unreadable):
        code("```python\nx = 1", bare=True)


@pytest.mark.parametrize("text", ["", "inline ```x``` only", "```x```", "```\n\n```"])
def test_no_block(text: str) -> None:
    with pytest.raises(Unreadable, match="no code block"):
        code(text)


def test_windows_lines() -> None:
    assert code("```py\r\na\r\nb\r\n```\r\n")[0]["code"] == "a\nb"
