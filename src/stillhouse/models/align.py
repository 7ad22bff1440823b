"""Two tokenisations of one text: which tokens of the student stand for which of the teacher's.

Tokens are placed by the UTF-8 bytes that they cover, since a byte-level token may end in the middle of a character.
Groups are the shortest stretches of tokens that begin and end at the same byte on both sides. Where a group has several
tokens, `merged` makes one distribution of theirs (GOLD: Patino et al., TRL, 2025).
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from typing import Literal

import torch
from jaxtyping import Float, Int
from tokenizers import pre_tokenizers
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from stillhouse.errors import ModelError
from stillhouse.objectives.distributions import log_probs, of_token

Span = tuple[int, int]
"""First byte of a token and the byte behind its last; both the same for a token that is no text."""

SPACES = ("▁", "Ġ")
"""How SentencePiece and byte-level BPE write a leading space."""


@dataclass(frozen=True)
class Group:
    """Positions of tokens that cover the same bytes."""

    student: tuple[int, ...]
    teacher: tuple[int, ...]


def byte_spans(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], text: str) -> list[Span]:
    """Where each token lies in the UTF-8 bytes of `text`; control tokens that are not part of the text have no width.

    First the tokens are spelled out, byte by byte (byte-level BPE, SentencePiece with byte fallback, ByT5): exact, and
    no offsets are needed. A tokenizer that changes the text (lower case, normal forms) has to tell offsets itself;
    these are in characters, so tokens that share one are given its bytes in order. The space that SentencePiece puts in
    front of a text lies at -1.

    Raises:
        ModelError: the ids are not a tokenisation of the text, or the tokenizer changes it and tells no offsets.
    """
    for literal in (False, True):
        for spell in (_byte_level, _sentencepiece, _latin):
            pieces = _spelled(tokenizer, ids, spell, literal)
            if pieces is not None and b"".join(pieces) in (text.encode(), b" " + text.encode()):
                return _places(pieces, len(text.encode()))
    return _from_offsets(tokenizer, ids, text)


def align(student: Sequence[Span], teacher: Sequence[Span]) -> list[Group]:
    """The groups in the order of the text. Tokens without width (end of turn) pair off in order at the same byte.

    Tokens that find no partner are in no group: a start token that only one side has, a cut-off end.
    """
    groups = [*_text_groups(student, teacher), *_control_groups(student, teacher)]
    return sorted(groups, key=lambda group: group.student)


def merged(
    logits: Float[Tensor, "T V"],
    ids: Int[Tensor, "T"],
    groups: Sequence[tuple[int, ...]],
    *,
    how: Literal["bayesian", "observed"] = "bayesian",
    temperature: float = 1.0,
) -> tuple[Float[Tensor, "G V"], Float[Tensor, "G"]]:
    """(logits, group_logp) of one side, one row a group: its distribution is softmax(logits / temperature) times
    exp(group_logp), which sums to less than one where a group has several tokens.

    `logits[t]` predict `ids[t]`. "bayesian": the distribution at the group's last token, times the probabilities of the
    tokens before it. "observed": that at the first token, times those of the tokens after it. TRL's "observed" takes
    the logits that follow each token instead of those that predict it; that is not copied, and nor is its floor of 1e-8
    under each probability.
    """
    base = [group[-1] if how == "bayesian" else group[0] for group in groups]
    others = [(row, t) for row, group in enumerate(groups) for t in (group[:-1] if how == "bayesian" else group[1:])]
    rows, positions = (torch.tensor([pair[i] for pair in others], dtype=torch.long, device=ids.device) for i in (0, 1))
    logp = of_token(log_probs(logits[positions], temperature), ids[positions])
    return logits[base], logp.new_zeros(len(groups)).index_add(0, rows, logp)


def match_vocabularies(
    student: PreTrainedTokenizerBase,
    teacher: PreTrainedTokenizerBase,
    *,
    student_rows: int,
    teacher_rows: int,
    one_space: bool = True,
) -> Int[Tensor, "V"]:
    """For each row of the student's head the teacher's token of the same string, or -1; no teacher's token twice.

    `one_space` takes the two marks of a leading space, that of byte-level BPE and that of SentencePiece, for the same;
    TRL compares the strings as they are.
    """
    known = {token: i for token, i in teacher.get_vocab().items() if i < teacher_rows}
    spaced = {one_mark(token): i for token, i in known.items()} if one_space else {}
    vocabulary = sorted((i, token) for token, i in student.get_vocab().items() if i < student_rows)
    found = torch.full((student_rows,), -1)
    taken = {known[token] for _, token in vocabulary if token in known}
    for i, token in vocabulary:
        other = known.get(token)
        if other is None and (other := spaced.get(one_mark(token))) in taken:
            other = None
        if other is not None:
            found[i] = other
            taken.add(other)
    return found


def one_mark(token: str) -> str:
    """The token with byte-level BPE's mark of a space in the place of SentencePiece's."""
    return token.replace(*SPACES)


def _text_groups(student: Sequence[Span], teacher: Sequence[Span]) -> Iterator[Group]:
    """Walk both sides; a group closes where both stand at the same byte."""
    waiting = [t for t, (start, end) in enumerate(teacher) if start < end][::-1]
    mine: list[int] = []
    theirs: list[int] = []
    reached = -1
    for s, (start, end) in enumerate(student):
        if start == end:
            continue
        mine.append(s)
        while waiting and reached < end:
            theirs.append(waiting.pop())
            reached = teacher[theirs[-1]][1]
        if reached == end and theirs:
            yield Group(tuple(mine), tuple(theirs))
            mine, theirs = [], []


def _control_groups(student: Sequence[Span], teacher: Sequence[Span]) -> Iterator[Group]:
    waiting: defaultdict[int, list[int]] = defaultdict(list)
    for t, (start, end) in reversed(list(enumerate(teacher))):
        if start == end:
            waiting[start].append(t)
    for s, (start, end) in enumerate(student):
        if start == end and waiting[start]:
            yield Group((s,), (waiting[start].pop(),))


def _spelled(
    tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], spell: Callable[[str], bytes | None], literal: bool
) -> list[bytes] | None:
    """The bytes of each token; added tokens are themselves, and control tokens too if `literal`, else nothing."""
    added = {i: token.content for i, token in tokenizer.added_tokens_decoder.items()}
    control = _control_ids(tokenizer)
    pieces: list[bytes] = []
    for i, token in zip(ids, tokenizer.convert_ids_to_tokens(list(ids)), strict=True):
        piece = added[i].encode() if i in added else spell(token) if token is not None else None
        if i in control and not literal:
            piece = b""
        if piece is None:
            return None
        pieces.append(piece)
    return pieces


def _control_ids(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    return {i for i, token in tokenizer.added_tokens_decoder.items() if token.special} | set(tokenizer.all_special_ids)


def _byte_letters() -> dict[str, int]:
    """The letter that byte-level BPE writes for each byte: printable ones are themselves, the others start at 256."""
    alphabet = {ord(letter) for letter in pre_tokenizers.ByteLevel.alphabet()}
    themselves = {chr(n): n for n in alphabet if n < 256}
    others = (byte for byte in range(256) if byte not in alphabet)
    return themselves | {chr(256 + i): byte for i, byte in enumerate(others)}


BYTE_LETTERS = _byte_letters()


def _byte_level(token: str) -> bytes | None:
    if any(letter not in BYTE_LETTERS for letter in token):
        return None
    return bytes(BYTE_LETTERS[letter] for letter in token)


def _sentencepiece(token: str) -> bytes:
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes.fromhex(token[3:5])
    return token.replace("▁", " ").encode()


def _latin(token: str) -> bytes | None:
    return token.encode("latin-1") if max(map(ord, token), default=0) < 256 else None


def _places(pieces: Sequence[bytes], size: int) -> list[Span]:
    """From lengths to places, with one byte before the text where SentencePiece put a space in front of it."""
    ends = [0, *accumulate(map(len, pieces))]
    surplus = ends[-1] - size
    return [(start - surplus, end - surplus) for start, end in pairwise(ends)]


def _from_offsets(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], text: str) -> list[Span]:
    if not tokenizer.is_fast:
        raise ModelError(
            f"the tokens of {tokenizer.__class__.__name__} do not spell out their text, and it tells no offsets; "
            "use its fast version, or the text as the tokenizer decodes it."
        )
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    before = [0, *accumulate(len(letter.encode()) for letter in text)]
    places = list(_shared_out([(before[start], before[end]) for start, end in encoded["offset_mapping"]]))
    told = list(zip(encoded["input_ids"], places, strict=True))[::-1]
    control = _control_ids(tokenizer)
    spans: list[Span] = []
    for i in ids:
        if told and told[-1][0] == i:
            spans.append(told.pop()[1])
        elif i in control:
            here = spans[-1][1] if spans else 0
            spans.append((here, here))
        else:
            break
    if told or len(spans) < len(ids):
        raise ModelError("the token ids are not those of the text; tokenise the very text that is aligned.")
    return spans


def _shared_out(spans: Sequence[Span]) -> Iterator[Span]:
    """Tokens with the same bytes (parts of one character) get them in order, as evenly as they go."""
    for (start, end), same in groupby(spans):
        count = len(list(same))
        cuts = [start + (end - start) * i // count for i in range(count + 1)]
        yield from pairwise(cuts)
