"""The closed-form repair: against a plain least-squares solve, and on what it must and must not touch."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma2Config, GPT2Config, PreTrainedModel

from stillhouse.errors import ModelError
from stillhouse.models.load import LanguageModel
from stillhouse.models.prune import keep_layers
from stillhouse.models.refit import refit
from stillhouse.models.tokenise import Encoded
from stillhouse.tiny import tiny_model, tiny_tokenizer


def some_rows(count: int = 30, seed: int = 0) -> list[Encoded]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(5, 30, size=count)
    return [Encoded(tuple(int(i) for i in rng.integers(0, 256, size=n)), start=2) for n in lengths]


@torch.no_grad()
def hidden_by_layer(model: PreTrainedModel, row: Encoded) -> tuple[np.ndarray, ...]:
    """The hidden states before every layer and behind the last, the final norm not applied."""
    found = []
    layers = model.get_decoder().layers
    handles = [m.register_forward_pre_hook(lambda _, args: found.append(args[0])) for m in (*layers, model.model.norm)]
    model(torch.tensor([row.ids]))
    for handle in handles:
        handle.remove()
    return tuple(f[0].double().numpy() for f in found)


def error(teacher: LanguageModel, student: LanguageModel, rows: list[Encoded]) -> float:
    """Squared distance of the last hidden states in units of the teacher's, mean over tokens."""
    pairs = [(hidden_by_layer(teacher.model, r)[-1], hidden_by_layer(student.model, r)[-1]) for r in rows]
    return float(np.mean(np.concatenate([((p - q) ** 2).sum(-1) / (p**2).sum(-1) for p, q in pairs])))


@pytest.mark.parametrize("layers", [(0, 1, 3), (0, 3), (2, 3), (0, 1, 2), (1,)])
@pytest.mark.parametrize("micro_tokens", [40, 4000])
def test_the_last_hidden_state_comes_nearer_to_the_teachers(layers: tuple[int, ...], micro_tokens: int) -> None:
    teacher, rows = tiny_model(layers=4), some_rows()
    student = keep_layers(teacher, layers)
    before = error(teacher, student, rows)
    refit(teacher, student, layers, rows, ridge=1e-3, micro_tokens=micro_tokens)
    assert error(teacher, student, rows) < 0.9 * before


def test_the_last_layer_is_the_solution_of_its_least_squares() -> None:
    teacher, rows, layers = tiny_model(layers=3), some_rows(), (0, 1)
    student, plain = keep_layers(teacher, layers), keep_layers(teacher, layers)
    found = refit(teacher, student, layers, rows, ridge=0.1)
    assert list(found) == ["model.layers.1.mlp.down_proj.weight"]
    inputs = []
    plain.model.model.layers[1].mlp.down_proj.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    targets = [(hidden_by_layer(teacher.model, r)[-1], hidden_by_layer(plain.model, r)[-1]) for r in rows]
    m = np.concatenate([x[0].detach().double().numpy() for x in inputs])
    target, present = (np.concatenate(side) for side in zip(*targets, strict=True))
    scale = 1 / np.linalg.norm(target, axis=-1, keepdims=True)
    a, b = m * scale, (target - present) * scale
    pull = np.sqrt(0.1 * np.mean((a**2).sum(0)))
    gain = np.linalg.lstsq(
        np.concatenate([a, pull * np.eye(a.shape[1])]), np.concatenate([b, np.zeros((a.shape[1], b.shape[1]))])
    )[0]
    change = found["model.layers.1.mlp.down_proj.weight"] - plain.model.model.layers[1].mlp.down_proj.weight
    np.testing.assert_allclose(change.detach().double().numpy(), gain.T, rtol=1e-2, atol=1e-4)


def test_a_whole_teacher_has_nothing_to_repair() -> None:
    teacher = tiny_model(layers=3)
    student = keep_layers(teacher, (0, 1, 2))
    assert refit(teacher, student, (0, 1, 2), some_rows()) == {}


def test_intact_layers_and_all_but_the_last_projections_stay() -> None:
    teacher, layers = tiny_model(layers=5), (0, 1, 3, 4)
    student, plain = keep_layers(teacher, layers), keep_layers(teacher, layers)
    told = []
    found = refit(teacher, student, layers, some_rows(), advance=lambda done, words: told.append((done, words)))
    assert list(found) == [f"model.layers.{n}.mlp.down_proj.weight" for n in (1, 2, 3)]
    changed = {n for n, p in student.model.named_parameters() if not torch.equal(p, plain.model.get_parameter(n))}
    assert changed == set(found)
    assert [done for done, _ in told] == [2, 3, 4] and all("%" in words for _, words in told)


def family(config: GPT2Config | Gemma2Config) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(AutoModelForCausalLM.from_config(config).eval(), tiny_tokenizer(), "family")


def test_transposed_weights() -> None:
    config = GPT2Config(vocab_size=300, n_embd=32, n_layer=4, n_head=2, n_positions=64, bos_token_id=1, eos_token_id=1)
    teacher, layers = family(config), (0, 3)
    student = keep_layers(teacher, layers)
    rows = some_rows()
    ids = torch.tensor([rows[0].ids])
    with torch.no_grad():
        whole = teacher.model(ids).logits
        before = (student.model(ids).logits - whole).norm()
        assert "transformer.h.1.mlp.c_proj.weight" in refit(teacher, student, layers, rows, ridge=1e-2)
        assert (student.model(ids).logits - whole).norm() < 0.95 * before


def test_a_family_that_norms_what_it_adds_is_refused() -> None:
    config = Gemma2Config(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
    )
    teacher = family(config)
    with pytest.raises(ModelError, match="refit_tokens = 0"):
        refit(teacher, keep_layers(teacher, (0, 3)), (0, 3), some_rows())
