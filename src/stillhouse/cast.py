"""Who plays which role in a run: endpoints by name, each made when it is first asked."""

import os
from collections.abc import Mapping
from pathlib import Path

from stillhouse.endpoints.base import Endpoint
from stillhouse.endpoints.local import Local
from stillhouse.endpoints.server import Server
from stillhouse.errors import ConfigError
from stillhouse.models.load import load
from stillhouse.party import Party, in_compute_dtype
from stillhouse.recipe import Model


class Cast:
    """The roles of a recipe, "teacher", "untrained", and "student": as it is now, in the folder `student` if trained.

    Any other role is played by the teacher. `given` endpoints take the place of those of the recipe.
    """

    def __init__(self, party: Party, student: Path | None, given: Mapping[str, Endpoint]) -> None:
        self._party = party
        self._student = student
        self._made: dict[str, Endpoint] = dict(given)

    def __getitem__(self, role: str) -> Endpoint:
        recipe = self._party.run.recipe
        if role not in self._made:
            if role in ("student", "untrained"):
                self._made[role] = self._learner(role)
            elif role in recipe.roles:
                self._made[role] = endpoint(recipe.roles[role])
            elif role == "teacher":
                self._made[role] = endpoint(recipe.teacher) if recipe.teacher.url else Local(self._party.teacher)
            else:
                self._made[role] = self["teacher"]
        return self._made[role]

    def _learner(self, role: str) -> Endpoint:
        if role == "student" and self._student is not None:
            return Local(load(str(self._student)))
        return Local(in_compute_dtype(self._party.untrained()))


def endpoint(model: Model) -> Endpoint:
    """The endpoint of a model: a server where it has a url, else the model in this process.

    Raises ConfigError when the server's key is not in the environment (a server without one takes any key).
    """
    if not model.url:
        return Local(load(model.model, dtype=model.dtype))
    key = os.environ.get(model.key, "")
    if not key and "api.openai.com" in model.url:
        raise ConfigError(f"{model.url} wants a key: put it into the environment variable {model.key}")
    return Server(model.url, model.model, api_key=key, concurrency=model.concurrency, logprobs=model.logprobs)
