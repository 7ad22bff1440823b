import pytest
from transformers import PreTrainedTokenizerFast

from stillhouse.errors import ModelError
from stillhouse.models.load import LanguageModel
from stillhouse.models.vocabulary import compatible, diagnose
from stillhouse.tiny import tiny_model


def with_tokenizer(lm: LanguageModel, **changes: str) -> LanguageModel:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=lm.tokenizer.backend_tokenizer, **changes)
    return LanguageModel(lm.model, tokenizer, "other")


@pytest.mark.parametrize(("teacher", "student", "rows"), [(0, 0, 261), (11, 3, 264), (0, 64, 261), (64, 0, 261)])
def test_heads_padded_differently_simply_work(teacher: int, student: int, rows: int) -> None:
    assert compatible(tiny_model(extra_rows=teacher), tiny_model(extra_rows=student)) == rows


def test_an_added_token_is_named() -> None:
    teacher, student = tiny_model(extra_rows=5), tiny_model(extra_rows=5)
    student.tokenizer.add_tokens(["<tool>", "<call>"])
    with pytest.raises(ModelError, match=r"\(261 tokens\).*\(263 tokens\).*2 tokens differ") as error:
        compatible(teacher, student)
    assert "'<tool>' (teacher unknown, student 261)" in str(error.value)


def test_a_renumbered_token_is_named() -> None:
    teacher, student = tiny_model(), tiny_model()
    vocabulary = student.tokenizer.get_vocab()
    swapped = dict(vocabulary) | {"a": vocabulary["b"], "b": vocabulary["a"]}
    student.tokenizer.get_vocab = lambda: swapped
    found = diagnose(teacher, student)
    assert found.differing == 2
    assert {d.token for d in found.first_differences} == {"a", "b"}
    with pytest.raises(ModelError, match=r"student\.keep_layers"):
        compatible(teacher, student)


@pytest.mark.parametrize("short", ["teacher", "student"])
def test_a_head_without_rows_for_every_token_is_refused(short: str) -> None:
    models = {"teacher": tiny_model(extra_rows=1), "student": tiny_model(extra_rows=1, seed=1)}
    for lm in models.values():
        lm.tokenizer.add_tokens(["<tool>", "<call>"])
    other = "student" if short == "teacher" else "teacher"
    models[other].model.resize_token_embeddings(300)
    with pytest.raises(ModelError, match=f"head of '{models[short].name}' has 262 rows for 263 tokens"):
        compatible(models["teacher"], models["student"])


def test_diagnosis_of_equals() -> None:
    found = diagnose(tiny_model(), tiny_model(extra_rows=3))
    assert found.same_tokens
    assert found.same_chat_template
    assert found.special_tokens == ()
    assert (found.teacher_tokens, found.student_tokens, found.teacher_rows, found.student_rows) == (261, 261, 261, 264)
    assert found.compared == 261


def test_diagnosis_tells_roles_and_templates() -> None:
    teacher = tiny_model()
    student = with_tokenizer(teacher, eos_token="<|end|>", pad_token="<|end|>", chat_template="x")
    found = diagnose(teacher, student)
    assert found.same_tokens
    assert found.special_tokens == (("pad", "<|pad|>", "<|end|>"),)
    assert not found.same_chat_template
