"""Changes that make any recipe a toy: seconds on a tiny model."""

TOY = (
    "data.limit=24",
    "data.max_tokens=600",
    "data.max_prompt_tokens=500",
    "train.steps=2",
    "train.batch_size=2",
    "eval.max_new_tokens=4",
    "eval.limit=3",
)
