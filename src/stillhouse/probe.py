"""What is measured on held-out prompts: the lines of the report's curves, and the columns against the teacher."""

from collections.abc import Callable, Sequence

from transformers import PreTrainedModel

from stillhouse.evaluate.answers import Reader
from stillhouse.evaluate.fidelity import fidelity
from stillhouse.evaluate.rewards import rewards
from stillhouse.evaluate.scores import Score
from stillhouse.party import Party
from stillhouse.recipe import Train
from stillhouse.records.read import sample_by_hash
from stillhouse.records.types import Record

DEFAULT_BETA = 0.1


class HeldOut:
    """Divergences from the teacher and implicit rewards of any student, on the same held-out prompts.

    y_t is the teacher's answer where the records have one, else the reference; y_s is sampled from the student at hand,
    for the first `sampled` prompts. An answer of which parts do not count, as a conversation has, has no y_s to go with
    it. The teacher reads each y_t once.
    """

    def __init__(
        self, party: Party, records: Sequence[Record], train: Train, vocabulary: int, *, sampled: int | None = None
    ) -> None:
        self._party, self._train, self._vocabulary, self._sampled = party, train, vocabulary, sampled
        self.answers = party.encoded(records)
        self._teacher = Reader.of(party.teacher.model, vocabulary, keep=self.answers)

    def scores(self, model: PreTrainedModel) -> dict[str, Score]:
        """The measures of a student, by the names of the report; none where there are no answers."""
        if not self.answers:
            return {}
        student = Reader.of(model, self._vocabulary, keep=self.answers)
        found = fidelity(self._teacher, student, self.answers)
        chosen = [answer for answer in self.answers if answer.whole][: self._sampled]
        rejected = self._party.sampled(model, chosen, self._train.rollout)
        if any(y.counted > 0 for y in rejected):
            found |= rewards(self._teacher, student, chosen, rejected, beta=beta_of(self._train))
        return found


class HeldOutProbe:
    """The same on a few prompts, while a student learns; nothing where there is no teacher to compare it with."""

    def __init__(self, party: Party, train: Train, vocabulary: int | None) -> None:
        records = sample_by_hash(party.split("valid") or party.split("test"), train.probe_prompts)
        self._held_out = None if vocabulary is None else HeldOut(party, records, train, vocabulary)

    def __call__(self, present: Callable[[], PreTrainedModel]) -> dict[str, float]:
        """The measures of the student that `present` gives, not asked for where there is nothing to measure."""
        if self._held_out is None or not self._held_out.answers:
            return {}
        return {name: score.value for name, score in self._held_out.scores(present()).items()}


def beta_of(train: Train | None) -> float:
    """The beta of the implicit reward: the first objective's own, else 0.1."""
    betas = [use.settings["beta"] for use in (train.objective if train else ()) if "beta" in use.settings]
    return float(betas[0]) if betas else DEFAULT_BETA
