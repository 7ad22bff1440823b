from stillhouse.evaluate.scores import ModelScores, Sample, Score, TaskScores
from stillhouse.report.samples import LIMIT, side_by_side, visible


def model(*samples: Sample) -> ModelScores:
    return ModelScores("m", 1, 1.0, tasks={"held_out": TaskScores(Score(1.0), Score(1.0), samples=samples)})


def test_a_megabyte_is_cut_with_a_note() -> None:
    found = visible("x" * 1_000_000)
    assert len(found.text) == LIMIT and found.note == "cut here: 2,000 of 1,000,000 characters are shown"
    assert visible("short").note == ""


def test_hidden_characters_are_made_visible() -> None:
    assert visible("a\x00b\x1b[31m\x7f").text == "a␀b␛[31m␡"
    assert visible("left\u202eright\ud800").text == "left⟨U+202E⟩right⟨U+D800⟩"
    assert visible("one\r\ntwo\tthree\nfour").text == "one\ntwo\tthree\nfour"
    assert visible("naïve 日本 👩‍🚀").text == "naïve 日本 👩‍🚀"


def test_answers_are_matched_by_prompt() -> None:
    teacher = model(Sample("p", ("r",), "t-p", 1.0), Sample("q", ("r",), "t-q", 2.0))
    student = model(Sample("q", ("r",), "s-q", 3.0), Sample("q", ("r",), "s-q again", 4.0))
    rows = side_by_side({"Teacher": teacher, "Student": student})["held_out"]
    assert [r.prompt.text for r in rows] == ["p", "q"]
    assert rows[0].answers[1].answer is None, "the student was not asked p"
    assert rows[1].answers[1].answer is not None and rows[1].answers[1].answer.text == "s-q"


def test_no_samples_no_rows() -> None:
    assert side_by_side({"Teacher": model()}) == {} and side_by_side({}) == {}
