"""Reading token ids and log-probabilities in the replies of OpenAI-compatible servers."""

import json
import math
from collections.abc import Sequence
from typing import Any


class NoLogprobs(ValueError):
    """A reply without the numbers that were asked for, and what is wrong with it."""


BAD_REPLY = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What reading JSON of another shape than expected raises."""


def parsed(body: bytes) -> Any:
    """The JSON of a reply; None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def token_ids(reply: Any) -> tuple[int, ...]:
    """The ids in a reply of /tokenize. Raises one of BAD_REPLY."""
    ids = tuple(reply["tokens"])
    if any(type(i) is not int for i in ids):
        raise NoLogprobs("its tokens are no numbers")
    return ids


def given_tokens(reply: Any, skipped: int, count: int) -> tuple[float, ...]:
    """The log-probabilities of `count` tokens behind the first `skipped`, in a completion that echoes its prompt.

    Raises one of BAD_REPLY for a reply that does not cover the prompt (llama.cpp's covers the new tokens alone).
    """
    values = reply["choices"][0]["logprobs"]["token_logprobs"]
    if not skipped + count <= len(values) <= skipped + count + 1:
        raise NoLogprobs(f"{len(values)} log-probabilities for a prompt of {skipped + count} tokens")
    return tuple(_logp(value) for value in values[skipped : skipped + count])


def first_words(reply: Any, options: Sequence[str]) -> tuple[tuple[float, ...], ...]:
    """log p of each option as the first token, with or without space around it; nothing for one that is not listed.

    Raises one of BAD_REPLY.
    """
    listed = reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    found: dict[str, float] = {}
    for entry in listed:
        word = entry["token"].strip()
        found[word] = found.get(word, 0.0) + math.exp(_logp(entry["logprob"]))
    if not found:
        raise NoLogprobs("no top_logprobs")
    chances = [found.get(option.strip(), 0.0) for option in options]
    return tuple((math.log(chance),) if chance > 0 else () for chance in chances)


def _logp(value: Any) -> float:
    """A number as a log-probability: rounding may put it a little above zero, and -inf is out of range of JSON."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value < 0.1:
        raise NoLogprobs(f"{value!r} is no log-probability")
    return max(min(float(value), 0.0), -9999.0)
