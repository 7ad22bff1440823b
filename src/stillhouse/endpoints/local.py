"""A language model in this process as an endpoint."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence

import torch

from stillhouse.endpoints.base import Answer, Sampling, cut, seeds_from
from stillhouse.models.choice import Choice, Ending
from stillhouse.models.load import LanguageModel
from stillhouse.models.sample import generate
from stillhouse.models.token_logp import token_logp
from stillhouse.models.tokenise import Encoded, decode, encode_answer, encode_pair, encode_prompt
from stillhouse.records.types import Message


class Local:
    """Answers with a transformers model."""

    gives = frozenset({"text", "token_logp", "hidden", "logits"})

    def __init__(self, lm: LanguageModel) -> None:
        self.lm = lm

    @property
    def identity(self) -> str:
        """Name, dtype, and a hash of configuration, chat template and a few numbers of every weight tensor."""
        return f"{self.lm.name} {str(self.lm.model.dtype).removeprefix('torch.')} {_fingerprint(self.lm)}"

    def refuses(self, prompt: tuple[Message, ...], sampling: Sampling) -> str:
        if not _readable(*(message.content for message in prompt)):
            return "it has half a character (a lone surrogate), which no tokenizer reads"
        tokens, window = len(encode_prompt(self.lm.tokenizer, prompt)), self.lm.window
        if window is None or tokens + sampling.max_new_tokens <= window:
            return ""
        return f"its {tokens} tokens and {sampling.max_new_tokens} new ones are more than the window of {window}"

    def generate(
        self,
        prompts: Sequence[tuple[Message, ...]],
        sampling: Sampling,
        *,
        seeds: Sequence[int] = (),
        halt: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[int, Answer]]:
        tokenizer = self.lm.tokenizer
        encoded = [encode_prompt(tokenizer, prompt) for prompt in prompts]
        stop = [text for text in sampling.stop if text]
        answers = generate(
            self.lm.model,
            encoded,
            Choice(sampling.temperature, sampling.top_p, sampling.top_k, self.lm.vocabulary),
            Ending(sampling.max_new_tokens, self.lm.stop_ids, stop, tokenizer),
            pad_id=self.lm.pad_id,
            seeds=seeds or seeds_from(sampling, len(prompts)),
            batch_size=sampling.batch_size,
            halt=halt,
        )
        for index, ids, finish in answers:
            text = cut(decode(tokenizer, ids), sampling.stop).strip()
            yield index, Answer(text, finish, prompt_tokens=len(encoded[index]), tokens=len(ids))

    def score(
        self, prompts: Sequence[tuple[Message, ...]], texts: Sequence[str]
    ) -> Iterator[tuple[int, tuple[float, ...]]]:
        """log p of every token of each text, from one forward pass; none for a text that is longer than the window."""
        scored: dict[int, Encoded] = {}
        for index, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
            encoded = self._encoded(prompt, text)
            if encoded is None:
                yield index, ()
            else:
                scored[index] = encoded
        indices = list(scored)
        for place, values in token_logp(self.lm.model, list(scored.values()), vocabulary=self.lm.vocabulary):
            yield indices[place], values

    def _encoded(self, prompt: tuple[Message, ...], text: str) -> Encoded | None:
        if not _readable(*(message.content for message in prompt), text):
            return None
        tokenizer, window = self.lm.tokenizer, self.lm.window
        begin, answer = encode_prompt(tokenizer, prompt), encode_answer(tokenizer, text, finished=False)
        length = len(begin) + len(answer)
        encoded = encode_pair(begin, answer, max_tokens=length)
        return None if encoded.counted < 1 or (window is not None and length > window) else encoded


def _readable(*texts: str) -> bool:
    """Whether no text has half a character (a lone surrogate)."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True


@torch.no_grad()
def _fingerprint(lm: LanguageModel) -> str:
    config = lm.model.config.to_dict()
    for name in ("transformers_version", "_name_or_path"):
        config.pop(name, None)
    digest = hashlib.sha256(json.dumps([config, lm.tokenizer.chat_template], sort_keys=True, default=str).encode())
    for name, weight in lm.model.named_parameters():
        flat = weight.detach().reshape(-1)
        some = flat[:: max(1, flat.numel() // 32)][:32]
        digest.update(name.encode() + some.float().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]
