"""What a service takes for its tokens."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens cost, read (`input`) and written (`output`), in whatever currency the bill is in."""

    input: float = 0.0
    output: float = 0.0

    def cost(self, prompt_tokens: int, tokens: int) -> float:
        """The price of one or many requests: all tokens of the prompts, all tokens of the answers."""
        return (self.input * prompt_tokens + self.output * tokens) / 1_000_000
