"""Who takes part in a run: the teacher, the student before and after training, and the answers they are measured on."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, zip_longest
from typing import cast

from safetensors.torch import load_file, save
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from stillhouse.errors import DataError, ModelError, RunError
from stillhouse.models.examples import encode_example, first_prompt
from stillhouse.models.load import LanguageModel, fast_dtype, load
from stillhouse.models.refit import refit
from stillhouse.models.sample import sample_answers
from stillhouse.models.student import (
    Origin,
    at_hand,
    make_student,
    read_origin,
    remake_student,
    student_tokenizer,
    write_origin,
)
from stillhouse.models.tokenise import Encoded, encode_pair, encode_prompt, encode_text
from stillhouse.models.vocabulary import compatible
from stillhouse.progress import progress
from stillhouse.recipe import Rollout
from stillhouse.records.read import read_texts, sample_by_hash
from stillhouse.records.store import read_jsonl, write_atomic
from stillhouse.records.types import Record
from stillhouse.run import Run
from stillhouse.train.signals import by_key, known

CALIBRATION_ROWS = 16
"""Answers on which layers are judged before any training."""


@dataclass
class Party:
    """The models and records of one run, each loaded when first asked for."""

    run: Run

    @property
    def teacher(self) -> LanguageModel:
        """The teacher, in the compute dtype. Raises ModelError where it is not here but behind a url."""
        return at_hand(self.local_teacher)

    @cached_property
    def local_teacher(self) -> LanguageModel | None:
        """The teacher, where it is here."""
        teacher = self.run.recipe.teacher
        return None if teacher.url else load(teacher.model, dtype=teacher.dtype)

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The student's tokenizer, in which all that is learnt and measured is written."""
        student = self.run.recipe.student
        return student_tokenizer(student, None if student.model or student.tokenizer else self.local_teacher)

    def compared(self, student: LanguageModel) -> int:
        """The rows of both heads to compare. Raises ModelError where the teacher is not here or has other tokens."""
        if self.local_teacher is None:
            raise ModelError(f"the teacher '{self.run.recipe.teacher.model}' answers at a url and gives text alone")
        return compatible(self.local_teacher, student)

    @cached_property
    def records(self) -> list[Record]:
        """The run's records, with the teacher's answers. Raises RunError before elicitation."""
        if not self.run.records.exists():
            raise RunError(f"{self.run.folder} has no records yet; run: stillhouse elicit {self.run.folder}")
        return [Record.from_json(row) for _, row in read_jsonl(self.run.records)]

    def split(self, name: str) -> list[Record]:
        """The records of one split."""
        return [r for r in self.records if r.split == name]

    def untrained(self) -> LanguageModel:
        """The student before training, with float32 weights; how it was made is kept in student.json."""
        recipe, origin = self.run.recipe, read_origin(self.run.student_file)
        if origin is None:
            return self._made()
        student = remake_student(recipe.student, self.local_teacher, origin, seed=recipe.seed)
        if recipe.student.refit_tokens and origin.layers:
            student.model.load_state_dict(load_file(self.run.refitted_file), strict=False)
            return _fitted(student)
        return student

    def _made(self) -> LanguageModel:
        recipe = self.run.recipe
        student, origin = make_student(recipe.student, self.local_teacher, self._judged(), seed=recipe.seed)
        if recipe.student.refit_tokens and origin.layers:
            self._refit(student, origin)
            student = _fitted(student)
        write_origin(self.run.student_file, origin)
        return student

    def _refit(self, student: LanguageModel, origin: Origin) -> None:
        """Fit the student in closed form; its new weights, and what the teacher thought meanwhile, are kept."""
        rows, states = self._up_to(self.run.recipe.student.refit_tokens), known(self.run.signals_file)

        def keep(sequences: Sequence[Encoded], hidden: Tensor) -> None:
            states.update(by_key(sequences, hidden))

        title = f"fit the student on {sum(len(r.ids) for r in rows)} tokens"
        with progress(title, len(origin.layers)) as advance:
            weights = refit(self.teacher, student, origin.layers, rows, advance=advance, keep=keep)
        write_atomic(self.run.signals_file, save(states))
        write_atomic(self.run.refitted_file, save({name: weight.contiguous() for name, weight in weights.items()}))

    def _up_to(self, tokens: int) -> list[Encoded]:
        """Training answers with their prompts, the teacher's and the references, then plain text: so many tokens."""
        data, train = self.run.recipe.data, self.split("train")
        both = zip_longest(self.encoded(train, "teacher"), self.encoded(train, "reference"))
        answers = dict.fromkeys(answer for pair in both for answer in pair if answer is not None)
        texts = read_texts(data.text)
        pieces = (e for t in texts for e in encode_text(self.tokenizer, t, max_tokens=data.max_tokens))
        found: list[Encoded] = []
        for sequence in chain(answers, pieces):
            if tokens <= 0:
                break
            found.append(sequence)
            tokens -= len(sequence.ids)
        if not found:
            raise DataError(
                "there is no training answer and no plain text on which to fit the student; give references or "
                "data.text, or set student.refit_tokens = 0"
            )
        return found

    def _judged(self) -> list[Encoded]:
        """Answers on which layers are judged. Raises DataError where they are needed and there are none."""
        student = self.run.recipe.student
        if student.model is not None or student.config is not None:
            return []
        train = self.split("train")
        found = self.encoded(sample_by_hash(train, 4 * CALIBRATION_ROWS))[:CALIBRATION_ROWS]
        if not found and student.keep_layers is not None and student.select in ("importance", "greedy"):
            raise DataError(
                f"none of the {len(train)} training records has an answer and a prompt of at most "
                f"{self.run.recipe.data.max_prompt_tokens} tokens, by which to choose the student's layers; "
                'raise data.max_prompt_tokens, add answers, or take student.select = "uniform"'
            )
        return found

    def trained(self) -> LanguageModel:
        """The student after training, in the compute dtype."""
        return load(str(self.run.model_dir))

    def encoded(self, records: Sequence[Record], *sources: str) -> list[Encoded]:
        """Each record's prompt with its first answer of the first of `sources` that it has.

        The default is the teacher's answer, else the reference, else any: KL(p || q) of two models of sequences is an
        expectation over the teacher's own answers.
        """
        data, tokenizer = self.run.recipe.data, self.tokenizer
        found = []
        for record in records:
            answers = [a for source in sources or ("teacher", "reference") for a in record.answers(source)]
            answers += () if sources else record.responses
            if answers and len(encode_prompt(tokenizer, first_prompt(record))) <= data.max_prompt_tokens:
                found.append(encode_example(tokenizer, record, answers[0], max_tokens=data.max_tokens))
        return [e for e in found if e.counted > 0]

    def sampled(self, model: PreTrainedModel, answers: Sequence[Encoded], how: Rollout) -> list[Encoded]:
        """The model's own sampled answers to the prompts of `answers`."""
        prompts = [y.ids[: y.start] for y in answers]
        lm, seed = LanguageModel(model, self.tokenizer, "student"), self.run.recipe.seed
        where = {"stop_ids": lm.stop_ids, "pad_id": lm.pad_id, "vocabulary": lm.vocabulary}
        ids = sample_answers(model, prompts, how, seed=seed, **where)
        limit = self.run.recipe.data.max_tokens + how.max_new_tokens
        return [encode_pair(prompt, answer, max_tokens=limit) for prompt, answer in zip(prompts, ids, strict=True)]


def _fitted(student: LanguageModel) -> LanguageModel:
    return replace(student, name=f"{student.name}, fitted")


def in_compute_dtype(lm: LanguageModel) -> LanguageModel:
    """A copy with the weights in the dtype in which this machine computes fast, as a trained student is loaded."""
    model = cast(nn.Module, copy.deepcopy(lm.model)).to(dtype=fast_dtype(lm.model.device)).eval()
    return LanguageModel(cast(PreTrainedModel, model), lm.tokenizer, lm.name)
