"""Run a backbone over a batch and keep the hidden states of the positions that count; logits are never made here."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from transformers import AttentionInterface, PreTrainedModel

from stillhouse.models.collate import Batch, by_tokens, collate
from stillhouse.models.pack import Layout
from stillhouse.models.tokenise import Encoded
from stillhouse.objectives import Head
from stillhouse.objectives.distributions import widen

PACKED = "stillhouse_packed"
_PACKABLE_LAYERS = {"full_attention", "sliding_attention"}


def packed_attention(
    module: nn.Module,
    query: Float[Tensor, "R heads T D"],
    key: Float[Tensor, "R groups T D"],
    value: Float[Tensor, "R groups T D"],
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    layout: Layout = Layout((), ()),  # noqa: B008  # frozen
    **_: object,
) -> tuple[Float[Tensor, "R T heads D"], None]:
    """Causal attention within each packed sequence: exact, and no work is spent across sequences.

    On a CPU in float32 at least: its bfloat16 kernel's backward pass takes two to four times as long at usual lengths.
    """
    dtype = query.dtype
    if query.device.type == "cpu":
        query, key, value = map(widen, (query, key, value))
    options = {"dropout_p": dropout, "scale": scaling, "enable_gqa": True}
    # split, not slices: the gradient of a slice is as long as the whole pack
    stretches = list(zip(*(x.split(layout.lengths, dim=2) for x in (query, key, value)), strict=True))
    done: dict[int, Tensor] = {}
    with torch.autocast(query.device.type, enabled=False):
        for path in layout.paths:
            if done.keys() >= set(path):
                continue
            q, k, v = map(_joined, zip(*(stretches[n] for n in path), strict=True))
            mask = _band(q.shape[2], sliding_window, q.device)
            with _kept_in(dtype, q, k, v):
                whole = nn.functional.scaled_dot_product_attention(q, k, v, mask, is_causal=mask is None, **options)
            done = dict(zip(path, whole.split([layout.lengths[n] for n in path], dim=2), strict=True)) | done
    done = {n: stretch[0] for n, stretch in enumerate(stretches)} | done  # what fills the row up nobody reads
    return _joined([done[n] for n in range(len(stretches))]).transpose(1, 2).contiguous().to(dtype), None


def _kept_in(dtype: torch.dtype, *widened: Tensor) -> saved_tensors_hooks:
    """Within it, the backward pass keeps tensors that were widened from `dtype` as they were; nothing is lost."""
    places = {t.data_ptr() for t in widened if t.dtype != dtype}

    def narrowed(t: Tensor) -> Tensor:
        return t.to(dtype) if t.data_ptr() in places else t

    return saved_tensors_hooks(narrowed, lambda t: widen(t) if t.dtype == dtype else t)


def _joined(parts: Sequence[Float[Tensor, "R heads _ D"]]) -> Float[Tensor, "R heads T D"]:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=2)


def _band(length: int, window: int | None, device: torch.device) -> Tensor | None:
    """Causal mask of a sliding window, or None where the window is not reached."""
    if window is None or length <= window:
        return None
    distance = torch.arange(length, device=device)[:, None] - torch.arange(length, device=device)[None]
    return (distance >= 0) & (distance < window)


AttentionInterface.register(PACKED, packed_attention)


def packable(model: PreTrainedModel) -> bool:
    """Whether every layer mixes tokens through attention alone, in a form that `packed_attention` can stand in for."""
    config = model.config.get_text_config()
    layers = set(getattr(config, "layer_types", None) or ["full_attention"])
    plain = layers <= _PACKABLE_LAYERS and not getattr(config, "attn_logit_softcapping", None)
    return bool(model._supports_attention_backend) and not model._is_stateful and plain


def implementation(model: PreTrainedModel, *, packed: bool) -> str:
    """The attention to run a model with: PACKED, or its own."""
    return PACKED if packed else str(model.config._attn_implementation)


@contextmanager
def attention(model: PreTrainedModel, name: str) -> Iterator[None]:
    """Use an attention implementation for a while, e.g. PACKED for training and the model's own for sampling."""
    before = str(model.config._attn_implementation)
    model.set_attn_implementation(name)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def backbone(model: PreTrainedModel) -> nn.Module:
    """The model without its head; for an adapted model, the adapted backbone."""
    return model.get_decoder()


def head_of(model: PreTrainedModel) -> Head:
    """The head that turns hidden states into logits, with the family's scale and soft cap."""
    config = model.config.get_text_config()
    out = cast(nn.Linear, model.get_output_embeddings())
    scale = getattr(config, "logit_scale", None) or 1.0 / (getattr(config, "logits_scaling", None) or 1.0)
    softcap = getattr(config, "final_logit_softcapping", None)
    return Head(weight=out.weight, bias=getattr(out, "bias", None), softcap=softcap, scale=float(scale))


def hidden_rows(model: PreTrainedModel, batch: Batch) -> Float[Tensor, "N H"]:
    """Last hidden states at the positions that count; a packed batch needs the attention PACKED."""
    kept = {"attention_mask": batch.attention_mask} if batch.layout is None else {"layout": batch.layout}
    out = backbone(model)(batch.input_ids, position_ids=batch.position_ids, use_cache=False, **kept)
    return out.last_hidden_state.flatten(0, 1).index_select(0, batch.rows)


@torch.no_grad()
def hidden_of(
    model: PreTrainedModel, sequences: Sequence[Encoded], *, micro_tokens: int = 4096
) -> Iterator[tuple[list[int], Batch, Float[Tensor, "N H"]]]:
    """Hidden states of many sequences, a micro-batch at a time: (their indices, the batch, the rows)."""
    packed = packable(model)
    # side by side: what begins alike, or where that does not help, what is as long
    order = sorted(range(len(sequences)), key=lambda i: sequences[i].ids if packed else len(sequences[i].ids))
    lengths = [len(sequences[i].ids) for i in order]
    with attention(model, implementation(model, packed=packed)):
        for run in by_tokens(lengths, micro_tokens, padded=not packed):
            indices = [order[i] for i in run]
            batch = collate([sequences[i] for i in indices], packed=packed).to(model.device)
            yield indices, batch, hidden_rows(model, batch)
