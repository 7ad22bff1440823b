from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from stillhouse.errors import ModelError
from stillhouse.models.depth import arranged, decoder_layers
from stillhouse.models.importance import block_influence
from stillhouse.models.load import LanguageModel, load
from stillhouse.models.prune import few, keep_layers, select_layers
from stillhouse.models.removal import Removal, greedy_by_kl
from stillhouse.models.tokenise import Encoded
from stillhouse.tiny import tiny_model, tiny_tokenizer

ROWS = [Encoded(tuple(range(i, i + 12 + i)), 5 + i % 3) for i in range(6)]
IDS = torch.arange(3, 23)[None]
SMALL = {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 32, "head_dim": 8}
FAMILIES = {
    "llama": SMALL,
    "qwen3": SMALL
    | {"layer_types": ["full_attention", "sliding_attention"] * 2, "sliding_window": 4, "use_sliding_window": True},
    "gemma3_text": SMALL | {"sliding_window": 4, "layer_types": ["sliding_attention"] * 3 + ["full_attention"]},
    "gpt2": {"n_embd": 16, "n_head": 2},
    "opt": {"hidden_size": 16, "num_attention_heads": 2, "ffn_dim": 32, "word_embed_proj_dim": 16},
    "gpt_neox": {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32},
    "phi": SMALL,
    "mixtral": SMALL | {"num_local_experts": 4},
}


def family(model_type: str) -> LanguageModel:
    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    special = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    config = AutoConfig.for_model(
        model_type, vocab_size=300, num_hidden_layers=4, **special, **FAMILIES[model_type], initializer_range=0.2
    )
    return LanguageModel(AutoModelForCausalLM.from_config(config).eval(), tokenizer, model_type)


def scaled(lm: LanguageModel, factors: dict[int, float]) -> LanguageModel:
    """Make what some layers add to the stream larger or smaller, so that their importance is known."""
    for index, factor in factors.items():
        layer = lm.model.model.layers[index]
        with torch.no_grad():
            layer.self_attn.o_proj.weight.mul_(factor)
            layer.mlp.down_proj.weight.mul_(factor)
    return lm


def logits(model: PreTrainedModel) -> torch.Tensor:
    with torch.no_grad():
        return model(IDS).logits


@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_student_of_any_family_runs_with_a_cache_and_comes_back_from_disk(model_type: str, tmp_path: Path) -> None:
    teacher = family(model_type)
    before, config = logits(teacher.model), teacher.model.config.to_dict()
    student = keep_layers(teacher, (0, 2, 3))
    assert torch.equal(logits(teacher.model), before)
    assert teacher.model.config.to_dict() == config
    assert len(decoder_layers(student.model)[2]) == student.model.config.num_hidden_layers == 3
    greedy = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    cached = student.model.generate(IDS, use_cache=True, **greedy)
    assert torch.equal(cached, student.model.generate(IDS, use_cache=False, **greedy))
    student.model.save_pretrained(tmp_path)
    student.tokenizer.save_pretrained(tmp_path)
    found = load(str(tmp_path), dtype="float32", device="cpu")
    torch.testing.assert_close(logits(found.model), logits(student.model))


def test_layer_types_go_with_their_layers() -> None:
    student = keep_layers(family("gemma3_text"), (1, 3))
    assert student.model.config.layer_types == ["sliding_attention", "full_attention"]


def test_all_layers_are_the_teacher() -> None:
    teacher = tiny_model(layers=4)
    assert torch.equal(logits(keep_layers(teacher, range(4)).model), logits(teacher.model))


def test_the_student_is_the_teacher_with_its_other_layers_passed_by() -> None:
    teacher = tiny_model(layers=4)
    student = keep_layers(teacher, (0, 3))
    scaled(teacher, {1: 0.0, 2: 0.0})
    torch.testing.assert_close(logits(student.model), logits(teacher.model))


def test_weights_are_trainable_float32_copies_and_ties_stay_tied() -> None:
    teacher = tiny_model(layers=3)
    teacher.model.to(torch.bfloat16).requires_grad_(False)
    student = keep_layers(teacher, (0, 2))
    assert {w.dtype for w in student.model.parameters()} == {torch.float32}
    assert all(w.requires_grad for w in student.model.parameters())
    assert not {w.data_ptr() for w in student.model.parameters()} & {w.data_ptr() for w in teacher.model.parameters()}
    assert student.model.lm_head.weight is student.model.model.embed_tokens.weight
    assert student.model.config.dtype == torch.float32
    assert {w.dtype for w in teacher.model.parameters()} == {torch.bfloat16}


def test_an_error_puts_the_layers_back() -> None:
    lm = tiny_model(layers=3)
    with pytest.raises(RuntimeError, match="inside"), arranged(lm.model, [1]):
        assert lm.model.config.num_hidden_layers == 1
        raise RuntimeError("inside")
    assert len(lm.model.model.layers) == lm.model.config.num_hidden_layers == 3


def test_a_model_without_a_list_of_layers_is_told() -> None:
    lm = tiny_model(layers=3)
    lm.model.config.num_hidden_layers = 2
    with pytest.raises(ModelError, match="no list of 2 decoder layers in a LlamaForCausalLM"):
        select_layers(lm, "uniform", 1)


def test_block_influence_is_the_mean_over_real_tokens() -> None:
    lm = tiny_model(layers=3)
    expected = torch.zeros(3, dtype=torch.float64)
    for row in ROWS:
        with torch.no_grad():
            out = lm.model.model(torch.tensor([row.ids]), output_hidden_states=True)
        layers = [h[0].double() for h in out.hidden_states]
        with torch.no_grad():  # the last entry is after the norm; the last layer's own output is computed here
            inputs = layers[2][None].float()
            positions = torch.arange(len(row.ids))[None]
            rope = lm.model.model.rotary_emb(inputs, positions)
            layers[3] = lm.model.model.layers[2](inputs, position_embeddings=rope)[0].double()
        for i in range(3):
            a, b = layers[i], layers[i + 1]
            expected[i] += (1 - (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))).sum()
    expected /= sum(len(row.ids) for row in ROWS)
    torch.testing.assert_close(torch.tensor(block_influence(lm, ROWS)), expected.float(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_importance_and_greedy_work_for_every_family(model_type: str) -> None:
    lm = family(model_type)
    for select in ("importance", "greedy"):
        found = select_layers(lm, select, 2, ROWS)
        assert len(found.layers) == 2
        assert list(found.layers) == sorted(set(found.layers))
        assert all(score == score for score in found.scores)
    assert len(decoder_layers(lm.model)[2]) == 4


def kl_to_teacher(lm: LanguageModel, layers: tuple[int, ...]) -> float:
    """KL(p || q) per answer token in float64, one row at a time."""
    student, total, count = keep_layers(lm, layers).model, 0.0, 0
    for row in ROWS:
        ids = torch.tensor([row.ids])
        with torch.no_grad():
            p = lm.model(ids).logits[0, row.start - 1 : -1].double().log_softmax(-1)
            q = student(ids).logits[0, row.start - 1 : -1].double().log_softmax(-1)
        total += (p.exp() * (p - q)).sum().item()
        count += len(p)
    return total / count


@pytest.mark.parametrize("model_type", ["llama", "gemma3_text", "gpt2"])
def test_the_cost_of_a_removal_is_the_kl_of_what_is_left(model_type: str) -> None:
    lm = family(model_type)
    with torch.no_grad():
        removal = Removal(lm, ROWS)
        for layer in range(4):
            left = tuple(i for i in range(4) if i != layer)
            assert removal.cost(layer) == pytest.approx(kl_to_teacher(lm, left), rel=1e-3, abs=1e-5)
        removal.remove(1)
        assert removal.cost(0) == pytest.approx(kl_to_teacher(lm, (2, 3)), rel=1e-3, abs=1e-5)
        assert removal.cost(3) == pytest.approx(kl_to_teacher(lm, (0, 2)), rel=1e-3, abs=1e-5)


def test_greedy_removes_the_cheapest_each_time() -> None:
    lm = scaled(family("llama"), {0: 1.0, 1: 0.05, 2: 0.5, 3: 0.01})
    layers, costs = greedy_by_kl(lm, ROWS, 2)
    assert layers == (0, 2)
    assert costs[0] == pytest.approx(kl_to_teacher(lm, (0, 1, 2)), rel=1e-2, abs=1e-5)
    assert costs[1] == pytest.approx(kl_to_teacher(lm, (0, 2)), rel=1e-2, abs=1e-5)


def test_importance_keeps_what_turns_the_stream_most() -> None:
    lm = scaled(family("llama"), {0: 1.0, 1: 0.05, 2: 0.5, 3: 0.01})
    found = select_layers(lm, "importance", 2, ROWS)
    assert found.layers == (0, 2)
    assert found.scores[0] > found.scores[2] > found.scores[1] > found.scores[3]


@pytest.mark.parametrize(
    ("select", "keep", "layers"),
    [
        ("uniform", 1, (0,)),
        ("uniform", 4, (0, 2, 5, 7)),
        ("uniform", 8, tuple(range(8))),
        ("last", 3, (5, 6, 7)),
        ((1, 4, 6), None, (1, 4, 6)),
        ((1, 4, 6), 3, (1, 4, 6)),
    ],
)
def test_choices_without_data(select: str | tuple[int, ...], keep: int | None, layers: tuple[int, ...]) -> None:
    assert select_layers(tiny_model(layers=8), select, keep).layers == layers


@pytest.mark.parametrize(
    ("select", "keep", "told"),
    [
        ("uniform", 9, "keep_layers = 9, but 'tiny-0' has 8 layers"),
        ("importance", None, "keep_layers = None"),
        ("importance", 4, "needs prompts with answers"),
        ((3, 1), None, "in rising order"),
        ((3, 3), None, "each once"),
        ((0, 8), None, "0 to 7"),
        ((), None, "must name layers"),
        ((0, 1), 3, "names 2 layers, but keep_layers = 3"),
    ],
)
def test_an_impossible_choice_is_told(select: str | tuple[int, ...], keep: int | None, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        select_layers(tiny_model(layers=8), select, keep)


def test_few_rows_are_short_and_spread() -> None:
    rows = [Encoded(tuple(range(200)), start) for start in range(100, 0, -1)]
    found = few(rows)
    assert [row.start for row in found] == [1, 7, 13, 19, 26, 32, 38, 44]
    assert {len(row.ids) - row.start for row in found} == {32}
    assert few(rows[:3]) == [Encoded(row.ids[: row.start + 32], row.start) for row in rows[2::-1]]


@pytest.mark.slow
def test_greedy_is_closer_to_the_embedded_teacher_than_evenly_spaced_layers() -> None:
    lm = load("embedded", device="cpu")
    turns = lm.tokenizer.encode("<|im_start|>user\nWhy is the sky blue?<|im_end|>\n<|im_start|>assistant\n")
    answer = lm.tokenizer.encode("Air scatters blue light more than red light, so blue reaches us from all sides.")
    rows = [Encoded((*turns, *answer), len(turns))]
    layers, costs = greedy_by_kl(lm, rows, 25)
    assert {0, 1, 29} <= set(layers)
    with torch.no_grad():
        spaced = Removal(lm, rows)
        *others, last = set(range(30)) - set(select_layers(lm, "uniform", 25).layers)
        for layer in others:
            spaced.remove(layer)
        assert costs[-1] < 0.8 * spaced.cost(last)
