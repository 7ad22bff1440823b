"""What the teacher says about the answers: live, or captured once as last hidden states.

A hidden state has H numbers where logits have V, and the teacher's head turns one into the other exactly; so an answer
that comes back every epoch costs one teacher pass in all, and its full distributions a kilobyte a token.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save
from torch import Tensor
from transformers import PreTrainedModel

from stillhouse.models.collate import collate
from stillhouse.models.forward import hidden_of, hidden_rows
from stillhouse.models.tokenise import Encoded
from stillhouse.records.store import write_atomic

Captured = Mapping[str, Float[Tensor, "_ _"]]
"""Teacher hidden states of recorded answers, by `sequence_key`."""


def capture(teacher: PreTrainedModel, sequences: Sequence[Encoded], path: Path, *, micro_tokens: int) -> Captured:
    """The teacher's hidden states of `sequences`: those that lie in `path`, and the others, which are added to it."""
    states = known(path)
    missing = [s for s in dict.fromkeys(sequences) if sequence_key(s) not in states]
    for indices, _, rows in hidden_of(teacher, missing, micro_tokens=micro_tokens):
        states |= by_key([missing[i] for i in indices], rows)
    if missing:
        write_atomic(path, save(states))
    return states


def known(path: Path) -> dict[str, Float[Tensor, "_ _"]]:
    """What has been captured so far."""
    return load_file(path) if path.exists() else {}


def by_key(sequences: Sequence[Encoded], rows: Float[Tensor, "N H"]) -> dict[str, Float[Tensor, "_ _"]]:
    """Hidden states of several sequences, one behind the other, as `Captured`."""
    parts = rows.split([s.counted for s in sequences])
    return {sequence_key(s): part.cpu().contiguous() for s, part in zip(sequences, parts, strict=True)}


@torch.no_grad()
def teacher_rows(
    teacher: PreTrainedModel, captured: Captured, sequences: Sequence[Encoded], *, packed: bool, pad_id: int
) -> Float[Tensor, "N H"]:
    """Teacher states at the positions that count, in order: captured ones, and a pass for the others."""
    states = {sequence_key(s): captured.get(sequence_key(s)) for s in sequences}
    missing = [s for s in sequences if states[sequence_key(s)] is None]
    if missing:
        batch = collate(missing, packed=packed, pad_id=pad_id).to(teacher.device)
        parts = hidden_rows(teacher, batch).split([s.counted for s in missing])
        states |= {sequence_key(s): part for s, part in zip(missing, parts, strict=True)}
    found = [states[sequence_key(s)] for s in sequences]
    return torch.cat([state.to(teacher.device) for state in found if state is not None])


def sequence_key(sequence: Encoded) -> str:
    """Content key of token ids and which of them count."""
    counted = str(sequence.start) if sequence.whole else f"at {','.join(map(str, sequence.targets))}"
    text = f"{counted}:{','.join(map(str, sequence.ids))}"
    return hashlib.sha256(text.encode()).hexdigest()[:24]
