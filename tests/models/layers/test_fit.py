"""What looks like RMSNorm or a gated MLP is tried before it is taken for one."""

import pytest
import torch
from torch import nn
from transformers import ChameleonConfig, Gemma2Config, LlamaConfig, Olmo2Config
from transformers.models.chameleon.modeling_chameleon import ChameleonSwinDecoderLayer
from transformers.models.gemma2.modeling_gemma2 import Gemma2DecoderLayer, Gemma2MLP, Gemma2RMSNorm
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaMLP, LlamaRMSNorm
from transformers.models.mamba2.modeling_mamba2 import MambaRMSNormGated
from transformers.models.olmo2.modeling_olmo2 import Olmo2DecoderLayer, Olmo2RMSNorm

from stillhouse.models.layers.fit import is_gated_mlp, is_rms_norm, norms_before_linears

SIZE = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2, "num_key_value_heads": 2}


class Capped(LlamaMLP):
    """Different far from zero alone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down_proj(self.act_fn(self.gate_proj(x).clamp(max=7.0)) * self.up_proj(x))


class Twice(LlamaDecoderLayer):
    """What the norm puts out is added to the residual stream, too."""

    def forward(self, hidden_states: torch.Tensor, **rest: object) -> torch.Tensor:
        return super().forward(hidden_states, **rest) + self.input_layernorm(hidden_states)


@pytest.mark.parametrize("norm", [LlamaRMSNorm(16), LlamaRMSNorm(1), LlamaRMSNorm(16).bfloat16()])
def test_rms_norms(norm):
    before = norm.weight.clone()
    assert is_rms_norm(norm)
    assert torch.equal(norm.weight, before)


@pytest.mark.parametrize(
    "module",
    [
        Gemma2RMSNorm(16),
        Olmo2RMSNorm(16),  # whose output has another dtype
        MambaRMSNormGated(16, group_size=16),
        nn.LayerNorm(16, bias=False),
        nn.LayerNorm(16),
        nn.BatchNorm1d(16),
        nn.RMSNorm(16, elementwise_affine=False, eps=1e-6),
        nn.RMSNorm((4, 4), eps=1e-6),
        nn.RMSNorm(16),
        nn.Linear(16, 16),
    ],
    ids=lambda m: str(m),
)
def test_other_modules_are_none(module):
    assert not is_rms_norm(module)
    assert not is_gated_mlp(module)


def test_gated_mlps():
    silu, gelu = LlamaConfig(**SIZE), LlamaConfig(**SIZE, hidden_act="gelu")
    assert is_gated_mlp(LlamaMLP(silu))
    assert not is_gated_mlp(LlamaMLP(gelu))
    assert not is_gated_mlp(Capped(silu))
    assert not is_gated_mlp(Gemma2MLP(Gemma2Config(**SIZE)))


def test_norms_that_only_linear_layers_read():
    layer = LlamaDecoderLayer(LlamaConfig(**SIZE), 0)
    assert set(norms_before_linears(layer)) == {layer.input_layernorm, layer.post_attention_layernorm}
    wrapped = LlamaDecoderLayer(LlamaConfig(**SIZE), 0)
    wrapped.self_attn.v_proj = nn.Sequential(wrapped.self_attn.v_proj)
    assert set(norms_before_linears(wrapped)) == {wrapped.post_attention_layernorm}


@pytest.mark.parametrize(
    "layer",
    [
        Twice(LlamaConfig(**SIZE), 0),
        Gemma2DecoderLayer(Gemma2Config(**SIZE, head_dim=8), 0),
        Olmo2DecoderLayer(Olmo2Config(**SIZE), 0),
        ChameleonSwinDecoderLayer(ChameleonConfig(**SIZE), 0),
        nn.Module(),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_norms_that_others_read(layer):
    assert list(norms_before_linears(layer)) == []
