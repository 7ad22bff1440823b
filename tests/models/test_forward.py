"""Packed and padded passes see the same states; nothing leaks from one packed sequence into another."""

import copy
from contextlib import nullcontext

import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM, MistralConfig, MistralForCausalLM

from stillhouse.models import forward
from stillhouse.models.collate import Batch, collate
from stillhouse.models.forward import PACKED, _kept_in, attention, head_of, hidden_of, hidden_rows, packable
from stillhouse.models.importance import block_influence
from stillhouse.models.tokenise import Encoded
from stillhouse.tiny import tiny_model

SEQUENCES = [Encoded(tuple(range(3, 3 + n)), start) for n, start in ((7, 2), (12, 5), (4, 1), (9, 8))]
COMMON = tuple(range(3, 23))
SHARING = [Encoded((*COMMON, *rest), start) for rest, start in (((5, 6), 4), ((5, 9, 9), 20), ((), 18), ((30,), 21))]
SHARING += [SHARING[1], Encoded((40, 41, 42), 1)]


def windowed() -> MistralForCausalLM:
    torch.manual_seed(0)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = MistralConfig(vocab_size=64, num_key_value_heads=2, sliding_window=5, **size)
    return MistralForCausalLM(config).eval()


@pytest.mark.parametrize("sequences", [SEQUENCES, SHARING], ids=["apart", "sharing beginnings"])
@pytest.mark.parametrize("model", [tiny_model(seed=3).model, windowed()], ids=["llama", "sliding window"])
def test_packed_equals_padded(model, sequences: list[Encoded]) -> None:
    """In value and gradient."""
    assert packable(model)
    model = copy.deepcopy(model).double()
    size = (sum(s.counted for s in sequences), model.config.hidden_size)
    weights = torch.randn(size, generator=torch.Generator().manual_seed(1))

    def states_and_gradient(*batches: Batch) -> list[torch.Tensor]:
        model.zero_grad()
        states = torch.cat([hidden_rows(model, batch) for batch in batches])
        (states * weights).sum().backward()
        return [states.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]

    padded = states_and_gradient(collate(sequences, packed=False))
    with attention(model, PACKED):
        packed = states_and_gradient(collate(sequences, packed=True))
        alone = states_and_gradient(*(collate([s], packed=True) for s in sequences))
    for ours, *others in zip(packed, padded, alone, strict=True):
        for other in others:
            assert (ours - other).abs().max() < 1e-7 * other.abs().max()  # norms are computed in float32


def test_what_attention_keeps_in_bfloat16_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = copy.deepcopy(tiny_model(seed=3).model).bfloat16()
    kept: list[tuple[torch.dtype, torch.dtype]] = []

    def gradients() -> list[torch.Tensor]:
        model.zero_grad()
        with attention(model, PACKED):
            hidden_rows(model, collate(SHARING, packed=True)).float().pow(2).sum().backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    def watched(dtype: torch.dtype, *widened: torch.Tensor) -> torch.autograd.graph.saved_tensors_hooks:
        hooks = _kept_in(dtype, *widened)
        pack = hooks.pack_hook
        hooks.pack_hook = lambda t: kept.append((t.dtype, pack(t).dtype)) or pack(t)
        return hooks

    monkeypatch.setattr(forward, "_kept_in", watched)
    narrow = gradients()
    assert kept.count((torch.float32, torch.bfloat16)) >= 3 * 2 * 4  # q, k and v of 2 layers and 4 paths
    monkeypatch.setattr(forward, "_kept_in", lambda *_: nullcontext())
    assert all(torch.equal(a, b) for a, b in zip(narrow, gradients(), strict=True))


def test_the_model_keeps_its_own_attention() -> None:
    model = tiny_model().model
    before = model.config._attn_implementation
    list(hidden_of(model, SEQUENCES))
    assert model.config._attn_implementation == before


def test_rows_predict_their_labels() -> None:
    batch = collate(SEQUENCES, packed=True)
    ids = batch.input_ids[0]
    assert torch.equal(ids[batch.rows + 1], batch.labels)
    assert torch.bincount(batch.segment).tolist() == [s.counted for s in SEQUENCES]


def test_a_family_with_a_soft_cap_is_padded_and_its_head_keeps_it() -> None:
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = Gemma2ForCausalLM(Gemma2Config(vocab_size=64, num_key_value_heads=2, head_dim=8, **size)).eval()
    assert not packable(model)
    assert head_of(model).softcap == model.config.final_logit_softcapping
    with torch.no_grad():
        ((_, batch, rows),) = hidden_of(model, SEQUENCES[:1])
        head = head_of(model)
        logits = rows @ head.weight.T
        mine = head.softcap * torch.tanh(logits / head.softcap)
        theirs = model(batch.input_ids).logits.flatten(0, 1)[batch.rows]
    torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)


def test_influence_is_a_mean_over_the_tokens_of_all_sequences_however_they_are_packed() -> None:
    lm = tiny_model(seed=3)
    alone = [block_influence(lm, [sequence]) for sequence in SHARING]
    tokens = torch.tensor([len(sequence.ids) for sequence in SHARING], dtype=torch.float64)
    mean = (torch.tensor(alone, dtype=torch.float64) * (tokens / tokens.sum())[:, None]).sum(0)
    torch.testing.assert_close(torch.tensor(block_influence(lm, SHARING), dtype=torch.float64), mean, rtol=1e-4, atol=0)
