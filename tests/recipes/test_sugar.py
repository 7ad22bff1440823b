"""Short forms: one unnamed stage, and defaults for all stages."""

from stillhouse.recipes.sugar import expand

SFT, KL = {"use": "sft"}, {"use": "forward_kl"}


def test_without_stages_the_parts_are_one_stage() -> None:
    assert expand({"name": "x", "train": {"lr": 1}, "eval": []}) == {
        "name": "x",
        "stage": [{"name": "main", "train": {"lr": 1}, "eval": []}],
    }


def test_with_stages_the_parts_are_defaults() -> None:
    raw = {
        "train": {"lr": 1, "steps": 2, "objective": [SFT], "rollout": {"refresh": 3, "top_k": 4}},
        "step": [{"use": "generate"}],
        "eval": [{"name": "a"}],
        "stage": [
            {"name": "one"},
            {
                "name": "two",
                "step": [],
                "eval": [{"name": "b"}],
                "train": {"lr": 5, "objective": [KL], "rollout": {"top_k": 6}},
            },
        ],
    }
    one, two = expand(raw)["stage"]
    assert one == {"name": "one", "train": raw["train"], "step": raw["step"], "eval": raw["eval"]}
    assert two["train"] == {"lr": 5, "steps": 2, "objective": [KL], "rollout": {"refresh": 3, "top_k": 6}}
    assert (two["step"], two["eval"]) == ([], [{"name": "b"}])


def test_malformed_parts_are_left_for_the_schema() -> None:
    assert expand({"stage": 3, "train": 4})["stage"] == 3
    assert expand({"stage": [3]})["stage"] == [3]
    assert expand({"name": "x"}) == {"name": "x"}
