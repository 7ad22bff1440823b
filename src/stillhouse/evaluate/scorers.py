"""How an answer is compared with its references: ROUGE-L and exact match, both percentages.

Both follow the measurements of MiniLLM and DPKD (arXiv 2306.08543, 2406.19774), with two corners settled here. No
reference at all scores 0. Text in which the metric sees nothing (punctuation alone; for ROUGE-L also any script but
Latin letters and digits) is compared as it stands, so that a golden answer always scores 100 and a wrong sign does not.
"""

import string
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from rouge_score.rouge_scorer import RougeScorer

from stillhouse.elicit.parsers.same import Kind, same_answer

Scorer = Callable[[str, Sequence[str]], float]
"""(answer, references) -> percentage, the best over the references."""

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def rouge_l(answer: str, references: Sequence[str]) -> float:
    """F-measure of the longest common subsequence of stemmed words (Lin 2004; package rouge-score), x 100."""
    if any(_same(answer, reference) for reference in references):
        return 100.0
    return max((_rouge_l(answer, reference) for reference in references), default=0.0)


def exact_match(answer: str, references: Sequence[str]) -> float:
    """100 if the answer equals a reference after `normalise`, else 0."""
    found = normalise(answer)
    if not found:
        return 100.0 * any(_same(answer, reference) for reference in references)
    return 100.0 * any(found == normalise(reference) for reference in references)


def same_final(kind: Kind) -> Scorer:
    """100 if the final answer of that kind in the text is the final answer of a reference, else 0: accuracy."""

    def scorer(answer: str, references: Sequence[str]) -> float:
        return 100.0 * any(same_answer(answer, reference, kind) for reference in references)

    return scorer


def normalise(text: str) -> str:
    """Lower case, without ASCII punctuation, white space collapsed. Articles stay."""
    return " ".join(text.lower().translate(_NO_PUNCTUATION).split())


def _same(answer: str, reference: str) -> bool:
    return answer.lower().split() == reference.lower().split()


def _rouge_l(answer: str, reference: str) -> float:
    return 100.0 * float(_scorer().score(reference, answer)["rougeL"].fmeasure)


@lru_cache(maxsize=1)
def _scorer() -> RougeScorer:
    return RougeScorer(["rougeL"], use_stemmer=True)


SCORERS: Mapping[str, Scorer] = {"rouge_l": rouge_l, "exact_match": exact_match}
