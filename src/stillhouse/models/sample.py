"""Sampling from a model in process: many answers at once, and where one ends, the next prompt takes its place."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from transformers import PreTrainedModel

from stillhouse.models.choice import Choice, Ending
from stillhouse.models.lanes import Kept, Lanes
from stillhouse.models.reading import Reader
from stillhouse.recipe import Rollout
from stillhouse.records.types import Finish

TOKENS_AT_ONCE = 2**15
"""Tokens under way at once, padding and answers to come included: what bounds the memory when prompts are long."""


@torch.inference_mode()
def generate(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    choice: Choice,
    ending: Ending,
    *,
    pad_id: int,
    seeds: Sequence[int],
    batch_size: int = 64,
    halt: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[int, list[int], Finish]]:
    """Answer prompts, the shortest first; yields (index, new ids without the stop token, how it ended) as they end.

    At most `batch_size` answers are under way, fewer where prompts are so long that they would pass TOKENS_AT_ONCE. The
    random numbers of an answer depend on its seed alone. Once `halt` says so, no further one is begun.
    Raises ModelError for a model that takes no cache.
    """
    waiting = deque(sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), tuple(prompts[i]), i)))
    table = _Table(Reader(model, prompts, pad_id), choice, ending)

    def fits(together: int) -> bool:
        tokens = together * (len(prompts[waiting[0]]) + ending.max_new_tokens)
        return together <= batch_size and (together == 1 or tokens <= TOKENS_AT_ONCE)

    while True:
        if halt():
            waiting.clear()
        if not waiting and not table.live:
            return
        if table.unsettled(bool(waiting)):
            new: list[_Answer] = []
            while waiting and fits(len(table.live) + len(new) + 1):
                index = waiting.popleft()
                uniform = np.random.default_rng(seeds[index]).random(ending.max_new_tokens, dtype=np.float32)
                new.append(_Answer(index, prompts[index], uniform.tolist()))
            table.seat(new)
        yield from table.choose()
        table.step()


def sample_answers(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    how: Rollout,
    *,
    stop_ids: Sequence[int],
    pad_id: int,
    seed: int,
    vocabulary: int | None = None,
) -> list[list[int]]:
    """One sampled answer per prompt, in order; `stop_ids[0]` is part of it where it ended by itself."""
    choice = Choice(how.temperature, how.top_p, how.top_k, vocabulary)
    ending, seeds = Ending(how.max_new_tokens, stop_ids), range(seed, seed + len(prompts))
    found = generate(model, prompts, choice, ending, pad_id=pad_id, seeds=seeds)
    ended = {i: [*ids, stop_ids[0]] if finish == "stop" else ids for i, ids, finish in found}
    return [ended[i] for i in range(len(prompts))]


@dataclass(slots=True)
class _Answer:
    """One answer under way, with a random number for every token that it may have."""

    index: int
    prompt: Sequence[int]
    uniform: Sequence[float]
    ids: list[int] = field(default_factory=list)
    ended: bool = False

    @property
    def draw(self) -> float:
        return 0.0 if self.ended else self.uniform[len(self.ids)]


class _Table:
    """The answers under way, a row each, and what the model remembers of them. Ended ones keep their row a while."""

    def __init__(self, reader: Reader, choice: Choice, ending: Ending) -> None:
        self._reader, self._choice, self._ending = reader, choice, ending
        self._answers: list[_Answer] = []
        self._held: Lanes | Kept | None = None
        self._logits = torch.empty(0)

    @property
    def live(self) -> list[int]:
        """Rows of the answers that go on."""
        return [row for row, answer in enumerate(self._answers) if not answer.ended]

    def unsettled(self, waiting: bool) -> bool:
        """Whether so many answers have ended that the rows are worth laying anew: to copy costs time as well."""
        ended = len(self._answers) - len(self.live)
        if not self._reader.joins:
            return ended == len(self._answers)
        return ended * (8 if waiting else 4) >= len(self._answers)

    def seat(self, new: Sequence[_Answer]) -> None:
        """Leave out what has ended, and begin `new`."""
        live = self.live
        kept = torch.tensor(live, dtype=torch.long, device=self._logits.device)
        logits = [self._logits[kept]] if live else []
        if not new:
            assert isinstance(self._held, Lanes)
            self._held.lay(kept)
        else:
            read, first = self._reader.read([answer.prompt for answer in new])
            logits.append(first)
            if not self._reader.joins:
                self._held = Kept(read)
            elif isinstance(self._held, Lanes):
                self._held.lay(kept, read)
            else:
                self._held = Lanes(read)
        self._logits = torch.cat(logits)
        self._answers = [*(self._answers[row] for row in live), *new]

    def choose(self) -> Iterator[tuple[int, list[int], Finish]]:
        """The next token of each answer; yields those that end with it."""
        uniform = torch.tensor([[answer.draw] for answer in self._answers], device=self._logits.device)
        tokens = self._choice(self._logits, uniform).tolist()
        for row in self.live:
            answer = self._answers[row]
            answer.ids.append(tokens[row])
            end = self._ending(answer.ids)
            if end is not None:
                answer.ended = True
                yield answer.index, answer.ids[: end[0]], end[1]

    def step(self) -> None:
        """Read the chosen tokens, where answers go on."""
        if self._held is None or not self.live:
            return
        device, answers = self._logits.device, self._answers
        ids = torch.tensor([[answer.ids[-1]] for answer in answers], device=device)
        positions = torch.tensor([[len(answer.prompt) + len(answer.ids) - 1] for answer in answers], device=device)
        self._logits = self._reader.step(ids, self._held.mask, positions, self._held.cache)
        self._held.step()
