import pytest

from stillhouse.elicit.parsers import Unreadable
from stillhouse.elicit.parsers.sections import sections

MARKERS = {"instruction": "Instruction:", "input": "Input:", "output": "Output:"}


@pytest.mark.parametrize(
    "text",
    [
        "Instruction: add\nInput: 1 2\nOutput: 3",
        "Sure.\n\n### Instruction:\nadd\n\n### Input:\n1 2\n\n### Output:\n3\n",
        "**Instruction:** add\n**Input**: 1 2\n**Output:**\n3",
        "## instruction\nadd\n## INPUT\n1 2\n## Output\n3",
        "1. Instruction: add\n1. Input:\n1 2\n1. Output:\n3",
        "Instruction： add\nInput： 1 2\nOutput： 3",
        "Output: 3\nInstruction: add\nInput: 1 2",
    ],
)
def test_markers_as_models_write_them(text: str) -> None:
    assert sections(text, markers=MARKERS) == [{"instruction": "add", "input": "1 2", "output": "3"}]


def test_words_that_only_look_like_markers_stay_text() -> None:
    text = "Instruction: say the output: of it\nInput data matters\nInput: x\nOutput: The Input: is"
    assert sections(text, markers=MARKERS)[0] == {
        "instruction": "say the output: of it\nInput data matters",
        "input": "x",
        "output": "The Input: is",
    }


@pytest.mark.parametrize("blank", ["<noinput>", "N/A", "n/a.", "<NOINPUT>"])
def test_no_input_is_empty(blank: str) -> None:
    assert sections(f"Instruction: a\nInput: {blank}\nOutput: b", markers=MARKERS)[0]["input"] == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Instruction: a\nOutput: b", "missing"),
        ("nothing of the kind", "missing"),
        ("Instruction: a\nInput: b\nInput: c\nOutput: d", "more than once"),
    ],
)
def test_unreadable(text: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        sections(text, markers=MARKERS)


def test_optional_ordered_and_leading() -> None:
    assert sections("a\nOutput: b", markers=MARKERS, leads="instruction", optional=("input",)) == [
        {"instruction": "a", "input": "", "output": "b"}
    ]
    with pytest.raises(Unreadable, match="another order"):
        sections("Output: c\nInstruction: a\nInput: b", markers=MARKERS, ordered=True)
    assert sections("Instruction: a\nOutput: c", markers=MARKERS, ordered=True, optional=("input",))


def test_the_marker_that_ended_the_prompt_may_be_said_once_more() -> None:
    said = {"instruction": "a", "input": "", "output": "b"}
    settings = {"markers": MARKERS, "leads": "instruction", "optional": ("input",)}
    assert sections("4. Instruction: a\nOutput: b", **settings) == [said]  # type: ignore[arg-type]
    with pytest.raises(Unreadable, match="more than once"):  # not after words of its own
        sections("a\n4. Instruction: c\nOutput: b", **settings)  # type: ignore[arg-type]


def test_a_cut_reply_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="cut off"):
        sections("Instruction: a\nInput: b\nOutput: c", False, markers=MARKERS)


def test_brackets_need_no_colon() -> None:
    markers = {"comment": "[Comment]", "better": "[Better Instruction]"}
    assert sections("[Comment] good\n[Better Instruction]\nx", markers=markers) == [{"comment": "good", "better": "x"}]


ALPACA = """ Rank these.
4. Input:
<noinput>
4. Output:
done
###
5. Instruction: Translate.
5. Input:
Hallo
5. Output:
Hello
###
6. Instruction: has no input
6. Output:
x
###
7. Instruction: last
7. Input:
<noinput>
7. Output:
cut he"""


def test_alpaca_blocks() -> None:
    """Blocks without exactly three fields are left out, and the last one when the reply was cut."""
    settings = {"markers": MARKERS, "between": "###", "leads": "instruction"}
    items = sections(ALPACA, False, **settings)  # type: ignore[arg-type]
    assert items == [
        {"instruction": "Rank these.", "input": "", "output": "done"},
        {"instruction": "Translate.", "input": "Hallo", "output": "Hello"},
    ]
    assert sections(ALPACA, True, **settings)[2]["output"] == "cut he"  # type: ignore[arg-type]


def test_items_one_after_another() -> None:
    markers = {"question": "Q:", "answer": "A:"}
    text = "Here.\nQ: a\nA: b\nQ: c\nA: d"
    assert sections(text, markers=markers, many=True) == [
        {"question": "a", "answer": "b"},
        {"question": "c", "answer": "d"},
    ]
    assert sections(" a\nA: b\nQ: c\nA: d", markers=markers, many=True, leads="question")[0]["question"] == "a"
    with pytest.raises(Unreadable, match="no whole item"):
        sections("Q: a", markers=markers, many=True)
    with pytest.raises(Unreadable, match="cut off"):
        sections("Q: a\nA: b", False, markers=markers, many=True)
