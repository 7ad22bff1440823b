"""What is measured on held-out prompts while a student learns: the lines of the report's curves."""

from collections.abc import Callable

from transformers import PreTrainedModel

from stillhouse.evaluate.answers import Reader
from stillhouse.evaluate.fidelity import fidelity
from stillhouse.evaluate.rewards import rewards
from stillhouse.party import Party
from stillhouse.recipe import Train
from stillhouse.records.read import sample_by_hash

DEFAULT_BETA = 0.1


class HeldOutProbe:
    """Divergences from the teacher and implicit rewards, on a few held-out prompts.

    y_t is the teacher's answer where the records have one, else the reference; y_s is sampled from the student at hand.
    """

    def __init__(self, party: Party, train: Train, vocabulary: int) -> None:
        held_out = party.split("valid") or party.split("test")
        records = sample_by_hash(held_out, train.probe_prompts)
        self._party, self._train, self._vocabulary = party, train, vocabulary
        self._answers = party.encoded(records)
        self._teacher = Reader.of(party.teacher.model, vocabulary, keep=self._answers)

    def __call__(self, present: Callable[[], PreTrainedModel]) -> dict[str, float]:
        """The measures of the student that `present` gives, by the names of the report."""
        if not self._answers:
            return {}
        model = present()
        student = Reader.of(model, self._vocabulary, keep=self._answers)
        found = fidelity(self._teacher, student, self._answers)
        rejected = self._party.sampled(model, self._answers, self._train.rollout)
        if any(y.counted > 0 for y in rejected):
            found |= rewards(self._teacher, student, self._answers, rejected, beta=beta_of(self._train))
        return {name: score.value for name, score in found.items()}


def beta_of(train: Train | None) -> float:
    """The beta of the implicit reward: the first objective's own, else 0.1."""
    betas = [use.settings["beta"] for use in (train.objective if train else ()) if "beta" in use.settings]
    return float(betas[0]) if betas else DEFAULT_BETA
