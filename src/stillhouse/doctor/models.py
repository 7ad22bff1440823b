"""Teacher and student as their configurations describe them: real architectures, but without weights."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedConfig

from stillhouse.doctor.findings import Finding
from stillhouse.errors import ModelError
from stillhouse.models.load import LanguageModel, fast_dtype, locate, quiet, told_plainly, with_chat_template
from stillhouse.models.scratch import random_student
from stillhouse.models.student import at_hand, student_tokenizer
from stillhouse.models.vocabulary import compatible, diagnose
from stillhouse.recipe import Recipe, Student
from stillhouse.train.terms import asks_teacher


def outline(name: str) -> LanguageModel:
    """A model with its true shapes and tokenizer on the meta device: no weight is read.

    Raises:
        ModelError: the model is missing, or no causal language model.
    """
    source, file = locate(name)
    options = {"gguf_file": file} if file else {"trust_remote_code": False}
    with quiet(), told_plainly(name):
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        config = AutoConfig.from_pretrained(source, **options)
        with _weightless():
            model = AutoModelForCausalLM.from_config(config)
    with_chat_template(tokenizer)
    return LanguageModel(model, tokenizer, name)


def student_outline(student: Student, teacher: LanguageModel | None, seed: int) -> LanguageModel:
    """The student that the recipe describes, without weights.

    Raises:
        ModelError: it cannot be made.
    """
    if student.model is not None:
        return outline(student.model)
    if student.config is not None:
        with _weightless():
            return random_student(student.config, student_tokenizer(student, teacher), seed=seed)
    teacher = at_hand(teacher)
    depth = teacher.model.config.get_text_config().num_hidden_layers
    listed = student.select if isinstance(student.select, tuple) else ()
    kept = student.keep_layers or len(listed)
    if kept > depth or any(not -depth <= layer < depth for layer in listed):
        raise ModelError(
            f"the teacher has {depth} layers, so the student cannot keep {list(listed) or kept}; ask for fewer."
        )
    config = shortened(teacher.model.config, kept)
    with _weightless():
        model = AutoModelForCausalLM.from_config(config)
    return LanguageModel(model, teacher.tokenizer, f"{kept} of the {depth} layers of {teacher.name}")


def shortened(config: PreTrainedConfig, layers: int) -> PreTrainedConfig:
    """The same configuration with fewer layers."""
    config = copy.deepcopy(config)
    text = config.get_text_config()
    text.num_hidden_layers = layers
    kinds = getattr(text, "layer_types", None)
    if kinds:
        text.layer_types = kinds[:layers]
    return config


def look_at_models(recipe: Recipe) -> tuple[LanguageModel | None, LanguageModel | None, list[Finding]]:
    """Teacher, student and what there is to say about them; None where one cannot be had."""
    found: list[Finding] = []
    teacher = student = None
    try:
        teacher = None if recipe.teacher.url else outline(recipe.teacher.model)
        found.append(Finding("teacher", _description(teacher) if teacher else _distant(recipe)))
        student = student_outline(recipe.student, teacher, recipe.seed)
        found.append(Finding("student", _description(student)))
    except ModelError as error:
        found.append(Finding("student" if found else "teacher", str(error), "error"))
        return teacher, None, found
    asker = next(filter(None, (asks_teacher(stage.train) for stage in recipe.stage if stage.train)), "")
    if teacher is None:
        if asker:
            text = f"objective '{asker}' needs the teacher's probabilities, but a url gives text alone; take 'sft'"
            found.append(Finding("teacher", text, "error"))
        return None, student, found
    if student.parameters >= teacher.parameters:
        found.append(Finding("student", "it is no smaller than its teacher", "warning"))
    if teacher.window and teacher.window < recipe.data.max_tokens:
        text = f"its window of {teacher.window} tokens is shorter than data.max_tokens = {recipe.data.max_tokens}"
        found.append(Finding("teacher", text, "error"))
    return teacher, student, found + look_at_vocabulary(teacher, student, needed=bool(asker))


def look_at_vocabulary(teacher: LanguageModel, student: LanguageModel, *, needed: bool) -> list[Finding]:
    """Whether the two speak of the same tokens, as they must where an objective compares them."""
    try:
        compared = compatible(teacher, student)
    except ModelError as error:
        if needed:
            return [Finding("tokenizer", str(error), "error")]
        return [Finding("tokenizer", f"divergences from the teacher will not be measured: {error}", "warning")]
    seen = diagnose(teacher, student)
    rows = f"heads of {seen.teacher_rows} and {seen.student_rows} rows, the first {compared} are compared"
    odd = []
    for role, one, other in seen.special_tokens:
        odd.append(f"the {role} token is {one} for the teacher, {other} for the student")
    if not seen.same_chat_template:
        odd.append("the chat templates differ; the student's is used for what it learns and is measured on")
    if student.plain_chat:
        odd.append("the student has no chat template; turns are put on lines of their own")
    same = f"the same {seen.teacher_tokens} tokens on both sides; {rows}"
    return [Finding("tokenizer", same), *(Finding("tokenizer", text, "warning") for text in odd)]


def teacher_bytes(recipe: Recipe, teacher: LanguageModel) -> int:
    """Memory of the teacher's weights in the dtype that it is loaded in."""
    dtype = fast_dtype(device()) if recipe.teacher.dtype == "auto" else getattr(torch, recipe.teacher.dtype)
    return teacher.parameters * dtype.itemsize


def _distant(recipe: Recipe) -> str:
    return f"{recipe.teacher.model} at {recipe.teacher.url}: gives text alone, so no divergences are measured"


def device() -> torch.device:
    """Where models will be loaded."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def _description(lm: LanguageModel) -> str:
    config = lm.model.config.get_text_config()
    window = f", window of {lm.window} tokens" if lm.window else ""
    shape = f"{config.num_hidden_layers} layers of width {config.hidden_size}{window}"
    return f"{lm.name}: {lm.model.config.model_type}, {lm.parameters / 1e6:.4g} million parameters, {shape}"


@contextmanager
def _weightless() -> Iterator[None]:
    with torch.device("meta"):
        yield
