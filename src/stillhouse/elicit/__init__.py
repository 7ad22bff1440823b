"""Elicitation: operators plan what to ask and read the answers; `collect` is the one loop that asks."""
