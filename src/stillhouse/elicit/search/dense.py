"""Search by meaning: the cosine between embeddings (Karpukhin et al., arXiv 2004.04906, with static embeddings)."""

from collections.abc import Sequence

from stillhouse.elicit.search.embed import Embed
from stillhouse.elicit.search.hits import Find, Hit, best


def dense(documents: Sequence[str], embed: Embed) -> Find:
    """Finds by the cosine of the query's vector and each document's; scores lie between -1 and 1."""
    texts = list(documents)
    vectors = embed(texts)

    def find(query: str, most: int) -> list[Hit]:
        (asked,) = embed([query])
        return best(texts, vectors @ asked, most) if texts and asked.any() else []

    return find
