"""Whether teacher and student speak of the same tokens, and how many rows of their heads may be compared."""

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from stillhouse.errors import ModelError
from stillhouse.models.load import LanguageModel

SHOWN = 3
"""How many differing tokens a message names."""


@dataclass(frozen=True)
class Difference:
    """A token that the two tokenizers number differently; None where one does not know it."""

    token: str
    teacher_id: int | None
    student_id: int | None

    def __str__(self) -> str:
        def told(number: int | None) -> str:
            return "unknown" if number is None else str(number)

        return f"{self.token!r} (teacher {told(self.teacher_id)}, student {told(self.student_id)})"


@dataclass(frozen=True)
class Diagnosis:
    """What `stillhouse doctor` tells about two vocabularies. Sizes are tokens; rows belong to the output heads.

    `special_tokens` lists (role, teacher's, student's) where they differ.
    """

    teacher_tokens: int
    student_tokens: int
    teacher_rows: int
    student_rows: int
    differing: int
    first_differences: tuple[Difference, ...]
    special_tokens: tuple[tuple[str, str, str], ...]
    same_chat_template: bool

    @property
    def same_tokens(self) -> bool:
        return self.differing == 0

    @property
    def compared(self) -> int:
        """V_eff, the rows that a loss sees: the smaller head."""
        return min(self.teacher_rows, self.student_rows)


def diagnose(teacher: LanguageModel, student: LanguageModel) -> Diagnosis:
    """Compare two models' tokenizers and heads; never raises."""
    p, q = teacher.tokenizer.get_vocab(), student.tokenizer.get_vocab()
    differing = [token for token in p.keys() | q.keys() if p.get(token) != q.get(token)]
    known = max(len(p), len(q))
    differing.sort(key=lambda token: (p.get(token, known), q.get(token, known)))
    return Diagnosis(
        teacher_tokens=len(p),
        student_tokens=len(q),
        teacher_rows=teacher.head_rows,
        student_rows=student.head_rows,
        differing=len(differing),
        first_differences=tuple(Difference(token, p.get(token), q.get(token)) for token in differing[:SHOWN]),
        special_tokens=special_differences(teacher.tokenizer, student.tokenizer),
        same_chat_template=teacher.tokenizer.chat_template == student.tokenizer.chat_template,
    )


def compatible(teacher: LanguageModel, student: LanguageModel) -> int:
    """V_eff: the rows of both heads to compare. Rows beyond the tokenizer's tokens are padding, which may differ.

    Raises:
        ModelError: the tokenizers number tokens differently, or a head has fewer rows than there are tokens.
    """
    found = diagnose(teacher, student)
    if not found.same_tokens:
        first = ", ".join(map(str, found.first_differences))
        raise ModelError(
            f"teacher '{teacher.name}' ({found.teacher_tokens} tokens) and student '{student.name}' "
            f"({found.student_tokens} tokens) have different tokenizers: {found.differing} tokens differ, "
            f"first {first}. Choose a student of the teacher's family, or give student.keep_layers."
        )
    if found.compared < found.teacher_tokens:
        lacking = teacher if found.teacher_rows < found.teacher_tokens else student
        raise ModelError(
            f"the head of '{lacking.name}' has {lacking.head_rows} rows for {found.teacher_tokens} tokens; "
            "use the tokenizer that the model was trained with, or resize its embeddings."
        )
    return found.compared


def special_differences(p: PreTrainedTokenizerBase, q: PreTrainedTokenizerBase) -> tuple[tuple[str, str, str], ...]:
    pairs = [(role, getattr(p, f"{role}_token"), getattr(q, f"{role}_token")) for role in ("bos", "eos", "pad", "unk")]
    return tuple((role, str(one), str(other)) for role, one, other in pairs if one != other)
