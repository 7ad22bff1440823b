"""Evaluation of a run: teacher, untrained and trained student on the same tasks, prompts and settings."""

from collections.abc import Sequence

from stillhouse.endpoints.base import Sampling
from stillhouse.endpoints.local import Local
from stillhouse.evaluate.fidelity import fidelity
from stillhouse.evaluate.measure import measure
from stillhouse.evaluate.rewards import rewards
from stillhouse.evaluate.scores import ModelScores, Score, Scores
from stillhouse.evaluate.speed import tokens_per_second
from stillhouse.evaluate.tasks import Task, load_tasks
from stillhouse.models.load import LanguageModel
from stillhouse.models.tokenise import encode_prompt
from stillhouse.models.vocabulary import compatible
from stillhouse.party import Party, in_compute_dtype
from stillhouse.probe import beta_of
from stillhouse.progress import progress, say
from stillhouse.recipe import Eval, Train
from stillhouse.records.read import sample_by_hash
from stillhouse.records.types import Record

SPEED_PROMPTS = 8
FIDELITY_ROWS = 100
"""Held-out answers on which divergences are measured; a fixed sample where there are more."""


class Judge:
    """Measures the three models of a run."""

    def __init__(self, party: Party) -> None:
        self.party, self.run = party, party.run
        held_out = party.split("test") or party.split("valid")
        self.held_out = sample_by_hash(held_out, FIDELITY_ROWS)
        evals = [e for stage in self.run.recipe.stage for e in stage.eval]
        self.tasks = load_tasks(evals, party.records)

    def scores(self) -> Scores:
        """Everything that scores.json holds. The teacher's own scores are taken from another run where they were put."""
        models = {
            "teacher": self.party.teacher,
            "untrained": in_compute_dtype(self.party.untrained()),
            "student": self.party.trained(),
        }
        speeds = self._speeds(models)
        found = {role: self._model(role, lm, speeds[role]) for role, lm in models.items()}
        return Scores(found)

    def _model(self, role: str, lm: LanguageModel, speed: float) -> ModelScores:
        known = self.run.teacher_scores_file
        if role == "teacher" and known.exists():
            return Scores.read(known).models["teacher"]
        divergences = {} if role == "teacher" else self._fidelity(lm)
        return measure(
            lm.model,
            self.tasks,
            lambda records, settings: self._answers(role, lm, records, settings),
            label=f"{role}: {lm.name}",
            fidelity=divergences,
            tokens_per_second=speed,
        )

    def _answers(self, role: str, lm: LanguageModel, records: Sequence[Record], settings: Eval) -> list[str]:
        sampling = Sampling(settings.max_new_tokens, settings.temperature, seed=settings.seeds[0])
        texts = [""] * len(records)
        with progress(f"{role}: {settings.name}", len(records)) as advance:
            answers = Local(lm, batch_size=settings.batch_size).generate([r.messages for r in records], sampling)
            for done, (index, answer) in enumerate(answers, start=1):
                texts[index] = answer.text
                advance(done, "")
        return texts

    def _fidelity(self, student: LanguageModel) -> dict[str, Score]:
        measured = self.party.encoded(self.held_out)
        if not measured:
            say("[yellow]evaluate: no held-out answers; divergences from the teacher are not measured[/]")
            return {}
        teacher, vocabulary = self.party.teacher, compatible(self.party.teacher, student)
        found = fidelity(teacher.model, student.model, measured, vocabulary=vocabulary)
        train = self.run.recipe.stage[-1].train or Train()
        chosen = self.party.encoded(self.held_out, "teacher", "reference")
        rejected = self.party.sampled(student.model, chosen, train.rollout)
        if any(y.counted > 0 for y in rejected):
            beta = beta_of(train)
            found |= rewards(teacher.model, student.model, chosen, rejected, vocabulary=vocabulary, beta=beta)
        return found

    def _speeds(self, models: dict[str, LanguageModel]) -> dict[str, float]:
        prompts = [encode_prompt(self.party.teacher.tokenizer, r.messages) for r in self.held_out[:SPEED_PROMPTS]]
        if not prompts:
            prompts = [encode_prompt(self.party.teacher.tokenizer, t.messages) for t in self.tasks[0].records[:8]]
        pad = self.party.teacher.pad_id
        found = tokens_per_second({r: models[r].model for r in ("teacher", "student")}, prompts, pad_id=pad)
        return found | {"untrained": found["student"]}
