"""The data of a recipe: how many rows each split has, how long they are, and what does not fit."""

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from stillhouse.doctor.findings import Finding
from stillhouse.elicit.catalogue import resolve
from stillhouse.elicit.contract import needs as operands
from stillhouse.errors import ConfigError
from stillhouse.evaluate.tasks import load_tasks
from stillhouse.models.tokenise import encode_answer, encode_prompt
from stillhouse.recipe import Recipe, Step, Train
from stillhouse.records.read import read_records, read_texts, sample_by_hash, split_by_hash
from stillhouse.records.types import Record, Response
from stillhouse.train.material import NOT_RECORDED
from stillhouse.train.terms import read_terms, sources_of

SAMPLE = 500
"""Rows that are tokenised to learn the lengths of all."""


@dataclass(frozen=True, slots=True)
class Amount:
    """What there is to work on. Lengths are means per row; `asked` and `examined` count answers to be generated."""

    rows: dict[str, int]
    prompt_tokens: float
    answer_tokens: float
    asked: int
    asked_tokens: int
    examined: int
    examined_tokens: int


def look_at_data(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> tuple[Amount | None, list[Finding]]:
    """The amount of data, or None where it cannot be read."""
    data = recipe.data
    try:
        records = read_records(data.seeds, limit=data.limit)
        records = split_by_hash(records, valid=data.valid, test=data.held_out)
        tasks = load_tasks([task for stage in recipe.stage for task in stage.eval], _answered(recipe, records))
        if any("text" in sources_of(read_terms(t), t.pair) for t in _trainings(recipe)):
            read_texts(data.text)
    except ConfigError as error:
        return None, [Finding("data", str(error), "error")]
    rows = {split: sum(r.split == split for r in records) for split in ("train", "valid", "test")}
    found = [Finding("data", f"{data.seeds}: " + ", ".join(f"{n} {split}" for split, n in rows.items()))]
    prompts, answers, long = _lengths(recipe, records, tokenizer)
    if long:
        share = f"{long} of {min(SAMPLE, len(records))} sampled prompts are"
        found.append(
            Finding(
                "data", f"{share} longer than data.max_prompt_tokens = {data.max_prompt_tokens} and left out", "warning"
            )
        )
    found += _gaps(recipe, rows, records)
    asked = [
        (sum(rows.get(split, 0) for split in s.splits) * int(s.settings.get("samples", 1)), s.max_new_tokens)
        for s in _asking(recipe)
    ]
    examined = [(len(task.records), task.settings.max_new_tokens) for task in tasks]
    for task, (count, _) in zip(tasks, examined, strict=True):
        found.append(Finding("evaluation", f"{task.name}: {count} prompts"))
    amount = Amount(rows, prompts, answers, *_sums(asked), *_sums(examined))
    return amount, found


def _asking(recipe: Recipe) -> list[Step]:
    return [step for stage in recipe.stage for step in stage.step if "ask" in operands(resolve(step.use))]


def _answered(recipe: Recipe, records: list[Record]) -> list[Record]:
    """The records as steps may leave them: what is held out is answered, if any step asks about it."""
    if not any("test" in step.splits for step in _asking(recipe)):
        return records
    return [r if r.responses or r.split != "test" else r.adding(Response("teacher", "")) for r in records]


def _gaps(recipe: Recipe, rows: dict[str, int], records: list[Record]) -> list[Finding]:
    """What the training asks for and the data does not give."""
    found = []
    wanted: set[str] = set()
    for train in _trainings(recipe):
        wanted |= sources_of(read_terms(train), train.pair)
        if rows["train"] < train.batch_size:
            text = f"{rows['train']} training prompts are fewer than a batch of {train.batch_size}"
            found.append(Finding("data", text, "warning" if rows["train"] else "error"))
    answering = _answering(recipe)
    for source in sorted(wanted - NOT_RECORDED):
        if answering is None or source in answering:
            continue
        if not any(r.answers(source) for r in records if r.split == "train"):
            text = f"the training wants {source} answers, but no training row has one and no [[step]] asks for them"
            found.append(Finding("data", text, "error"))
    return found


def _answering(recipe: Recipe) -> set[str] | None:
    """The roles that answer training prompts; None where steps may write answers under any name."""
    roles: set[str] = set()
    for step in (step for stage in recipe.stage for step in stage.step):
        if step.use not in ("label", "sample"):
            return None
        if "train" in step.splits:
            roles |= set(step.settings.get("roles", ())) or {step.role}
    return roles


def _trainings(recipe: Recipe) -> list[Train]:
    return [stage.train for stage in recipe.stage if stage.train]


def _lengths(recipe: Recipe, records: list[Record], tokenizer: PreTrainedTokenizerBase) -> tuple[float, float, int]:
    """Mean tokens of prompts and of answers, and how many prompts are too long, on a sample."""
    sample = sample_by_hash(records, SAMPLE)
    prompts = [len(encode_prompt(tokenizer, r.messages)) for r in sample]
    texts = [r.answers("reference")[0].text for r in sample if r.answers("reference")]
    answers = [len(encode_answer(tokenizer, text, finished=True)) for text in texts] or [128]
    return _mean(prompts), _mean(answers), sum(n > recipe.data.max_prompt_tokens for n in prompts)


def _mean(numbers: list[int]) -> float:
    return sum(numbers) / len(numbers)


def _sums(pairs: list[tuple[int, int]]) -> tuple[int, int]:
    return sum(count for count, _ in pairs), sum(count * tokens for count, tokens in pairs)
