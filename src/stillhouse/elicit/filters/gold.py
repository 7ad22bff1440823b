"""`gold`: keep the records whose answer is the right one."""

from collections.abc import Iterable, Iterator
from typing import Literal

from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.parsers.same import Kind, answer_key
from stillhouse.elicit.view import value
from stillhouse.records.types import Record


def gold(
    records: Iterable[Record],
    *,
    field: str = "answer",
    against: str = "gold",
    kind: Kind = "number",
    keep: Literal["right", "wrong", "all"] = "right",
    into: str = "right",
) -> Iterator[Result]:
    """Compare `field` with the answer known to be right, in `against`, and note true or false in `into`.

    `against` is a field, or a source of answers ("reference"); either side may be a whole solution that ends with its
    answer ("... #### 72"). `kind` says what counts as the same, see `answer_key`. `keep`: the "right" ones, the "wrong"
    ones (those without an answer are among them), or "all". A record for which no right answer is known is dropped.

    Used by Fine-tune-CoT (2212.10071), SCoTD (2306.14050), MT-CoT (2210.06726), Magister (2212.08410), Fu (2301.12726),
    STaR (2203.14465: "wrong" goes on to rationalisation), MCC-KD (2310.14747), Mixed Distill (2312.10730),
    MAmmoTH (2309.05653), AFT (2309.02144: "all").
    """
    for record in records:
        known = answer_key(value(record, against), kind)
        if not known:
            yield Dropped(record, "no gold answer")
            continue
        given = answer_key(value(record, field), kind)
        right = given == known
        noted = record.having(**{into: right})
        if keep == "all" or right == (keep == "right"):
            yield noted
        else:
            yield Dropped(noted, "right answer" if right else "wrong answer" if given else "no answer")
