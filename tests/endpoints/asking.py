"""Asking an endpoint as a step does, with a journal."""

from stillhouse.elicit.ask import Ask
from stillhouse.elicit.notebook import Notebook
from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message


def prompts_of(*texts):
    return [(Message("user", text),) for text in texts]


def asked(prompts, endpoint, path, *, samples=1, **sampling):
    """The answers to each prompt, and the account of having asked."""
    with Notebook(path) as notebook:
        ask = Ask("teacher", {"teacher": endpoint}, Sampling(**sampling), notebook)
        return ask(prompts, samples=samples), ask.funnel
