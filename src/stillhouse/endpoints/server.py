"""An OpenAI-compatible server as an endpoint: an answer or an error for every prompt, and scores where it has them."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, Literal

from stillhouse.endpoints.base import Answer, Sampling, cut, seeds_from
from stillhouse.endpoints.client import Client, Reply
from stillhouse.endpoints.logprobs import BAD_REPLY, first_words, given_tokens, parsed, token_ids
from stillhouse.errors import ConfigError, StillhouseError
from stillhouse.records.types import Finish, Message

TOP = 20
"""Tokens whose log-probabilities are asked for at a position: the most that servers give."""

_FINISH: dict[Any, Finish] = {"stop": "stop", "length": "length"}
_UNSUPPORTED = (404, 405, 422, 501)

Scores = tuple[tuple[int, tuple[float, ...]], ...]
"""(index of the text, log-probabilities of its tokens)."""


class Server:
    """Answers through POST {base_url}/chat/completions, `concurrency` prompts at a time, each tried `tries` times.

    A prompt that the server refuses (400, 404, 422, ...), or whose tries are used up, gets an answer with
    finish = "error". Raises as `Client` does.

    logprobs: what else the server gives. "options": the likeliest first tokens of an answer (chat completions with
    top_logprobs: OpenAI, vLLM, SGLang, llama.cpp), so short options can be scored. "texts": every token of any given
    text (vLLM, SGLang: the server's own /tokenize, then {base_url}/completions with `echo`). Scoring raises ConfigError
    where the server does not keep to that.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        logprobs: Literal["none", "options", "texts"] = "none",
        api_key: str = "",
        timeout: float = 120.0,
        tries: int = 5,
        concurrency: int = 8,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """`timeout`: seconds for one try as a whole. `sleep` replaces the waiting between tries (for tests)."""
        signals = {"none": (), "options": ("option_logp",), "texts": ("token_logp",)}
        self.gives = frozenset({"text", *signals[logprobs]})
        self._model = model
        self._client = Client(
            base_url, api_key=api_key, timeout=timeout, tries=tries, concurrency=concurrency, sleep=sleep
        )

    @property
    def identity(self) -> str:
        return f"{self._model} at {self._client.place}"

    def refuses(self, prompt: tuple[Message, ...], sampling: Sampling) -> str:
        return ""

    def generate(
        self,
        prompts: Sequence[tuple[Message, ...]],
        sampling: Sampling,
        *,
        seeds: Sequence[int] = (),
        halt: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[int, Answer]]:
        """Whatever ends the run, Ctrl+C included, the answers under way are still yielded: they are paid for."""
        drawn = zip(prompts, seeds or seeds_from(sampling, len(prompts)), strict=True)
        return self._client.each(self._ask, (self._body(prompt, sampling, seed) for prompt, seed in drawn), halt)

    def score(
        self, prompts: Sequence[tuple[Message, ...]], texts: Sequence[str]
    ) -> Iterator[tuple[int, tuple[float, ...]]]:
        """Given texts token by token, or options (one question for all of a prompt) as the answer's first token.

        An option that is none of the TOP likeliest tokens has no values.
        """
        if "token_logp" in self.gives:
            yield from self._client.each(self._score, list(zip(prompts, texts, strict=True)))
        elif "option_logp" in self.gives:
            options: dict[tuple[Message, ...], list[tuple[int, str]]] = {}
            for index, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
                options.setdefault(prompt, []).append((index, text))
            for _, scores in self._client.each(self._first_words, list(options.items())):
                yield from scores
        else:
            raise ConfigError(f"{self.identity} was not said to give log-probabilities: say which in `logprobs`.")

    def _body(self, prompt: tuple[Message, ...], sampling: Sampling, seed: int) -> dict[str, Any]:
        body = {
            "model": self._model,
            "messages": [asdict(m) for m in prompt],
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
        }
        if sampling.temperature > 0:
            body |= {"top_p": sampling.top_p, "seed": seed % 2**31}
        if any(sampling.stop):
            body["stop"] = [text for text in sampling.stop if text]
        return body | ({"top_k": sampling.top_k} if sampling.top_k else {})

    def _ask(self, body: dict[str, Any]) -> Answer | None:
        reply = self._client.post("chat/completions", body)
        if reply is None:
            return None
        answer = read_reply(reply)
        return replace(answer, text=cut(answer.text, tuple(body.get("stop", ()))))  # `transformers serve` leaves it in

    def _score(self, job: tuple[tuple[Message, ...], str]) -> tuple[float, ...] | None:
        prompt, text = job
        asked = {"messages": [asdict(m) for m in prompt], "add_generation_prompt": True}
        before = self._values("/tokenize", asked, token_ids)
        answer = self._values("/tokenize", {"prompt": text, "add_special_tokens": False}, token_ids)
        if before is None or answer is None:
            return None
        if not before or not answer:
            return ()
        # one new token, since some servers refuse none, and at temperature 1, since some scale by it
        body = {"prompt": [*before, *answer], "echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 1.0}
        return self._values("completions", body, lambda reply: given_tokens(reply, len(before), len(answer)))

    def _first_words(self, job: tuple[tuple[Message, ...], list[tuple[int, str]]]) -> Scores | None:
        prompt, options = job
        asked = {"messages": [asdict(m) for m in prompt], "max_tokens": 1, "temperature": 1.0}
        body = asked | {"logprobs": True, "top_logprobs": TOP}
        values = self._values("chat/completions", body, lambda r: first_words(r, [text for _, text in options]))
        if values is None:
            return None
        return tuple((index, logp) for (index, _), logp in zip(options, values or [()] * len(options), strict=True))

    def _values(self, path: str, body: dict[str, Any], read: Callable[[Any], tuple[Any, ...]]) -> Any:
        """What `read` finds in the reply, () where this one request failed, None where it is still owed."""
        reply = self._client.post(path, {"model": self._model} | body)
        if reply is None:
            return None
        if reply.status in _UNSUPPORTED or (reply.status == 400 and "logprob" in reply.error):
            raise self._unable(path, reply.error)
        whole = None if reply.error else parsed(reply.body)
        if whole is None:
            return ()
        try:
            return read(whole)
        except BAD_REPLY as error:
            raise self._unable(path, f"{type(error).__name__}: {error}") from None

    def _unable(self, path: str, why: str) -> StillhouseError:
        said = f"{self.identity} does not give the log-probabilities that its `logprobs` promises, at {path}: {why}"
        return self._client.stop(ConfigError(f"{said}. Set it to what the server has, or to none."))


def read_reply(reply: Reply) -> Answer:
    """The answer in a chat completion; finish = "error" for a reply that is none, is too long, or was filtered."""
    raw = reply.body[:2000].decode(errors="replace")
    if reply.error:
        return Answer(raw, "error", error=reply.error)
    try:
        whole = json.loads(reply.body)
        choice = whole["choices"][0]
        text, reason = choice["message"]["content"], choice.get("finish_reason")
    except BAD_REPLY as error:
        return Answer(
            raw, "error", error=f"no chat completion in the reply ({type(error).__name__}: {str(error)[:90]})"
        )
    if not isinstance(text, str):
        return Answer(raw, "error", error="the reply has no text")
    usage = whole.get("usage") if isinstance(whole.get("usage"), dict) else {}
    counts = {name: usage.get(name) for name in ("prompt_tokens", "completion_tokens")}
    spent = {name: count if isinstance(count, int) else 0 for name, count in counts.items()}
    finish = _FINISH.get(reason if isinstance(reason, str) else None, "error")
    error = f"finish_reason is {reason!r}" if finish == "error" else ""
    return Answer(text, finish, spent["prompt_tokens"], spent["completion_tokens"], error)
