"""A decoder's norms and gated MLPs as compiled rows that keep for the backward pass only what it needs."""

from stillhouse.models.layers.fuse import fused_layers

__all__ = ["fused_layers"]
