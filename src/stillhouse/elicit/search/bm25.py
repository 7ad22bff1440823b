"""Search by words: BM25 as Lucene has it, through bm25s (Robertson and Zaragoza, 2009; Lù, arXiv 2407.03618)."""

import re
from collections.abc import Sequence

from bm25s import BM25

from stillhouse.elicit.search.hits import Find, Hit, best

MAX_WORDS = 1000
"""Words of a query that count, as many as Lucene allows clauses: a query of a megabyte is answered as well."""

# Scripts that put no space between words are searched by the character; bm25s's own words would be whole clauses.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")


def words(text: str) -> list[str]:
    """The words of a text, without case; of Chinese, Japanese, Thai, Lao, Burmese and Khmer, the characters."""
    return _WORD.findall(text.casefold())


def bm25(documents: Sequence[str], *, k1: float = 1.5, b: float = 0.75) -> Find:
    """Finds by shared words; a document that shares none is never found. No stop words, no stems: any language."""
    texts = list(documents)
    known: dict[str, int] = {}
    corpus = [[known.setdefault(word, len(known)) for word in words(text)] for text in texts]
    if not known:
        return _nothing
    index = BM25(k1=k1, b=b)
    index.index((corpus, dict(known)), show_progress=False)

    def find(query: str, most: int) -> list[Hit]:
        asked = [known[word] for word in words(query) if word in known][:MAX_WORDS]
        found = best(texts, index.get_scores_from_ids(asked), most) if asked else []
        return [hit for hit in found if hit.score > 0]

    return find


def _nothing(query: str, most: int) -> list[Hit]:
    return []
