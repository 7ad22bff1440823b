import pytest

from stillhouse.elicit.parsers import Unreadable
from stillhouse.elicit.parsers.markup import markdown


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("plain 2 * 3_4 text", "plain 2 * 3_4 text"),
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("<p>2 * 3 * 4 and a_b_c</p>", "2 * 3 * 4 and a_b_c"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
        ("<h2>Title</h2><p>x &lt; y &amp; z</p>", "## Title\n\nx < y & z"),
        ("<p>a <code>b</code> <strong>c</strong> <em>d</em></p>", "a `b` **c** *d*"),
        ("<pre><code>x = 1\ny = 2\n</code></pre>", "```\nx = 1\ny = 2\n```"),
        ("<script>alert(1)</script><p>a</p>", "a"),
    ],
)
def test_what_becomes_of_html(html: str, text: str) -> None:
    assert markdown(html) == text


@pytest.mark.parametrize(
    "page",
    [
        "<pre><div><div>python<button>Copy code</button></div><div><code>print(1)\n</code></div></div></pre>",
        "<pre><code>pythonCopy code`print(1)`</code></pre>",
        "<pre><div><span>python</span><button>Copy code</button></div><code>print(1)</code></pre>",
    ],
)
def test_the_buttons_go_and_the_language_stays(page: str) -> None:
    assert markdown(f"<p>Use:</p>{page}<p>Done</p>") == "Use:\n\n```python\nprint(1)\n```\n\nDone"


def test_a_button_below_the_code_goes_too() -> None:
    page = "<pre><code>print(1)</code></pre><button>Copy code</button><p>Done</p>"
    assert markdown(page) == "```\nprint(1)\n```\n\nDone"
    assert markdown("<pre>a</pre><span>sql</span><span>Copy code</span><p>Done</p>") == "```\na\n```\n\nDone"


def test_words_about_the_button_stay() -> None:
    assert markdown("<p>Press Copy code now.</p>") == "Press Copy code now."


def test_html_that_nests_without_end() -> None:
    with pytest.raises(Unreadable, match="too deep"):
        markdown("<div>" * 100_000)
    assert markdown("<br>" * 1000 + "<p>a</p>" * 1000)
