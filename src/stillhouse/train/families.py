"""A term's share of the loss, by what its objective sees: one function a family, which makes the tensors it is given.

Weights of examples and tokens multiply the losses of families that give one number a token; a state's, one number a
sequence, is multiplied by their mean. Pairs and candidates know only which tokens count. No weight changes a
denominator.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stillhouse.models.forward import head_of
from stillhouse.models.tokenise import Encoded
from stillhouse.objectives import FromHidden, fused, is_per_sequence, label_logp, needs, row_weights
from stillhouse.train.features import feature_values
from stillhouse.train.plan import Item, StepPlan
from stillhouse.train.rows import ROLES, Models, Rows
from stillhouse.train.terms import Family, Loss, Term


@dataclass(frozen=True, slots=True)
class Part:
    """One micro-batch of a step, and the denominators of the whole step."""

    models: Models
    loss: Loss
    items: Sequence[Item]
    rows: Rows
    plan: StepPlan

    def nothing(self) -> Tensor:
        return self.rows.student.new_zeros(())


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The rows of one source, and the share of each in the loss: 1 over the step's count, times its own weight."""

    index: Int[Tensor, "M"]
    segment: Int[Tensor, "M"]
    weights: Float[Tensor, "M"]
    own: Float[Tensor, "M"] | None


def _chosen(part: Part, term: Term) -> _Chosen | None:
    rows, source = part.rows, term.source or ""
    of_source = torch.tensor([item.source == source for item in part.items], device=rows.segment.device)
    index = of_source[rows.segment].nonzero().squeeze(-1)
    if len(index) == 0:
        return None
    total, segment = part.plan.totals[source], rows.segment[index]
    reduction = "token" if part.loss.reduction == "token" else "sequence"
    weights = row_weights(segment, reduction=reduction, tokens=total.tokens, sequences=total.sequences)
    own = None if rows.weights is None else rows.weights[index]
    return _Chosen(index, segment, weights if own is None else weights * own, own)


def of_tokens(part: Part, term: Term) -> Tensor:
    """Distributions over the vocabulary, slice by slice."""
    chosen, rows, models = _chosen(part, term), part.rows, part.models
    if chosen is None:
        return part.nothing()
    given: dict[str, Tensor | FromHidden] = {"labels": rows.labels[chosen.index]}
    for role, hidden in rows.others.items():
        given[f"{role}_logits"] = FromHidden(hidden[chosen.index], head_of(models.playing(role)))
    value, _ = fused(
        term.objective,
        rows.student[chosen.index],
        head_of(models.student),
        term.weight * chosen.weights,  # here, where it is free: a factor on the sum would be one on the head's gradient
        settings=term.settings,
        given=given,
        vocabulary=models.vocabulary,
    )
    return value


def of_contexts(part: Part, term: Term) -> Tensor:
    """Distributions over the tokens with which two answers to a prompt end alike, the second behind the first's.

    A prompt's answers are taken two by two; its loss is the mean over these tokens, the step's that over its prompts.
    Objectives are symmetric in the two, so that the second's gradient is the first's with the two exchanged.
    """
    counts = [item.encoded.counted for item in part.items]
    ends = list(accumulate(counts))
    one, other, shares = list[int](), list[int](), list[float]()
    for indices in _by_prompt(part, term):
        pairs = list(zip(indices[::2], indices[1::2], strict=False))
        alike = [_alike(part.items[i].encoded, part.items[j].encoded) for i, j in pairs]
        for (i, j), length in zip(pairs, alike, strict=True):
            one += range(ends[i] - length, ends[i])
            other += range(ends[j] - length, ends[j])
            shares += [1 / sum(alike)] * length
    if not shares:
        return part.nothing()
    rows, models, device = part.rows, part.models, part.rows.segment.device
    here, there = torch.tensor(one + other, device=device), torch.tensor(other + one, device=device)
    value, _ = fused(
        term.objective,
        rows.student[here],
        head_of(models.student),
        torch.tensor(shares + shares, device=device) * (term.weight / part.plan.several[term.source or ""]),
        settings=term.settings,
        given={"student_paired_logits": FromHidden(rows.student[there], head_of(models.student))},
        vocabulary=models.vocabulary,
    )
    return value - value.detach() / 2  # both directions have the same value, and each the gradient of one side


def of_answers(part: Part, term: Term) -> Tensor:
    """The tokens of whole answers: what each was likely to whom, and which are real.

    The samples are the present student's (`terms` sees to that), so the old log-probabilities are its own.
    """
    chosen = _chosen(part, term)
    if chosen is None:
        return part.nothing()
    logp = _label_logp(part, term, chosen.index)
    _, counts = chosen.segment.unique_consecutive(return_counts=True)
    mask = torch.arange(int(counts.max()), device=counts.device) < counts.unsqueeze(-1)
    given = {f"{role}_logp": values.new_zeros(mask.shape).masked_scatter(mask, values) for role, values in logp.items()}
    given |= {"old_logp": given["student_logp"].detach(), "mask": mask}
    return term.weight * _value(term, given)[mask] @ chosen.weights


def of_states(part: Part, term: Term) -> Tensor:
    """Inner states of matched layers."""
    chosen = _chosen(part, term)
    if chosen is None:
        return part.nothing()
    values = feature_values(term, part.models.student, part.rows.states, chosen.index, chosen.segment)
    if not is_per_sequence(term.objective):
        return term.weight * values @ chosen.weights
    if chosen.own is not None:
        _, index, counts = chosen.segment.unique_consecutive(return_inverse=True, return_counts=True)
        values = values * chosen.own.new_zeros(len(values)).index_add(0, index, chosen.own) / counts
    return term.weight * values.sum() / part.plan.totals[term.source or ""].sequences


def of_pairs(part: Part, term: Term) -> Tensor:
    """log q(y) of the chosen and the rejected answer of each prompt that has both."""
    at = {(item.place, item.source): index for index, item in enumerate(part.items)}
    chosen, rejected = part.loss.pair
    places = [i.place for i in part.items if i.source == chosen and (i.place, rejected) in at]
    if not places:
        return part.nothing()
    counts, given = _counts(part), dict[str, Tensor]()
    logp = _answer_logp(part, term)
    for side, source in (("chosen", chosen), ("rejected", rejected)):
        index = [at[place, source] for place in places]
        given |= {f"{role}_{side}_logp": sums[index] for role, sums in logp.items()} | {f"{side}_length": counts[index]}
    return term.weight * _value(term, given).sum() / part.plan.pairs


def of_candidates(part: Part, term: Term) -> Tensor:
    """log q(y), length and score of all candidates to each prompt; a prompt with fewer has columns of length 0."""
    prompts = _by_prompt(part, term)
    if not prompts:
        return part.nothing()
    width, device = max(map(len, prompts)), part.rows.segment.device
    index = torch.tensor([[*found, *[-1] * (width - len(found))] for found in prompts], device=device)
    scores = torch.tensor([item.score for item in part.items], device=device)
    exists = index >= 0
    given = {
        "candidate_length": torch.where(exists, _counts(part)[index], 0),
        "candidate_reward": torch.where(exists, scores[index], 0.0),
    }
    for role, sums in _answer_logp(part, term).items():
        given[f"{role}_candidate_logp"] = torch.where(exists, sums[index], 0.0)
    return term.weight * _value(term, given).sum() / part.plan.several[term.source or ""]


FAMILIES: dict[Family, Callable[[Part, Term], Tensor]] = {
    "tokens": of_tokens,
    "contexts": of_contexts,
    "answers": of_answers,
    "states": of_states,
    "pairs": of_pairs,
    "candidates": of_candidates,
}


def _by_prompt(part: Part, term: Term) -> list[list[int]]:
    """Which of the items are the source's answers to one prompt, for every prompt."""
    prompts: dict[int, list[int]] = {}
    for index, item in enumerate(part.items):
        if item.source == term.source:
            prompts.setdefault(item.place, []).append(index)
    return list(prompts.values())


def _alike(one: Encoded, other: Encoded) -> int:
    """How many targets two sequences end with alike."""
    last = [[sequence.ids[t] for t in reversed(sequence.targets)] for sequence in (one, other)]
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(*last, strict=False))))


def _value(term: Term, given: dict[str, Tensor]) -> Tensor:
    return term.objective(*(given[name] for name in needs(term.objective)), **term.settings)


def _counts(part: Part) -> Int[Tensor, "S"]:
    return torch.tensor([item.encoded.counted for item in part.items], device=part.rows.segment.device)


def _label_logp(part: Part, term: Term, index: Tensor | None = None) -> dict[str, Float[Tensor, "M"]]:
    """log-probability of each target to the student, and to those that the term asks for."""
    rows, models = part.rows, part.models
    chosen = slice(None) if index is None else index
    labels, width = rows.labels[chosen], models.vocabulary
    logp = {"student": label_logp(rows.student[chosen], head_of(models.student), labels, vocabulary=width)}
    with torch.no_grad():
        for role in filter(term.wants, ROLES):
            head = head_of(models.playing(role))
            logp[role] = label_logp(rows.others[role][chosen], head, labels, vocabulary=width)
    return logp


def _answer_logp(part: Part, term: Term) -> dict[str, Float[Tensor, "S"]]:
    """log q(y) of every sequence: the log-probabilities of its counted tokens, summed."""
    segment, count = part.rows.segment, len(part.items)
    return {r: logp.new_zeros(count).index_add(0, segment, logp) for r, logp in _label_logp(part, term).items()}
