"""Evaluation of a run: teacher, untrained and trained student on the same tasks, prompts and settings.

A teacher behind a url is measured by its answers alone. Where a url or another tokenizer stands between, there are no
divergences.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from stillhouse.cast import endpoint
from stillhouse.elicit.ask import Ask
from stillhouse.elicit.funnel import Funnel
from stillhouse.elicit.notebook import Notebook
from stillhouse.endpoints.base import Endpoint, Sampling
from stillhouse.endpoints.local import Local
from stillhouse.endpoints.price import Price
from stillhouse.errors import ModelError, Resumable, StillhouseError
from stillhouse.evaluate.measure import measure
from stillhouse.evaluate.scores import ModelScores, Score, Scores
from stillhouse.evaluate.speed import tokens_per_second
from stillhouse.evaluate.tasks import load_tasks
from stillhouse.models.load import LanguageModel
from stillhouse.models.tokenise import encode_prompt
from stillhouse.party import Party, in_compute_dtype
from stillhouse.probe import HeldOut
from stillhouse.progress import progress, say
from stillhouse.recipe import Eval, Train
from stillhouse.records.read import sample_by_hash
from stillhouse.records.types import Record
from stillhouse.stopping import stop_signal

ROLES = ("teacher", "untrained", "student")
SPEED_PROMPTS, SPEED_TOKENS = 8, 16
FIDELITY_ROWS = 64
"""Held-out answers on which divergences are measured; a fixed sample where there are more."""
REWARD_ROWS = 16
"""Of these, prompts that the student answers anew for the implicit rewards."""


class Judge:
    """Measures the models of a run."""

    def __init__(self, party: Party, endpoints: Mapping[str, Endpoint] | None = None) -> None:
        """`endpoints` answer in place of a teacher behind a url."""
        self.party, self.run, self._endpoints = party, party.run, endpoints or {}
        held_out = party.split("test") or party.split("valid")
        self.held_out = sample_by_hash(held_out, FIDELITY_ROWS)
        evals = [e for stage in self.run.recipe.stage for e in stage.eval]
        self.tasks = load_tasks(evals, party.records)

    def scores(self) -> Scores:
        """Everything that scores.json holds; what another run of a comparison has measured is taken from there."""
        path = self.run.known_scores_file
        known = dict(Scores.read(path).models) if path.exists() else {}
        owed = {role: lm for role, lm in self._models.items() if role not in known}
        speeds = self._speeds(owed, known)
        found = known | {role: self._model(role, lm, speeds[role]) for role, lm in owed.items()}
        distant = self.run.recipe.teacher.url and self.tasks and "teacher" not in found
        if distant and (served := self._served()):
            found["teacher"] = served
        return Scores({role: found[role] for role in ROLES if role in found})

    @cached_property
    def _models(self) -> dict[str, LanguageModel]:
        party = self.party
        teacher = {} if party.local_teacher is None else {"teacher": party.local_teacher}
        return teacher | {"untrained": in_compute_dtype(party.untrained()), "student": party.trained()}

    def _model(self, role: str, lm: LanguageModel, speed: float | None) -> ModelScores:
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
        sampling = Sampling(
            settings.max_new_tokens, settings.temperature, seed=settings.seeds[0], batch_size=settings.batch_size
        )
        texts = [""] * len(records)
        with progress(f"{role}: {settings.name}", len(records)) as advance:
            answers = Local(lm).generate([r.messages for r in records], sampling)
            for done, (index, answer) in enumerate(answers, start=1):
                texts[index] = answer.text
                advance(done, "")
        return texts

    def _served(self) -> ModelScores | None:
        """What a teacher behind a url answers, which the journal keeps; None, and said, where it did not answer all."""
        teacher, funnel = self.run.recipe.teacher, Funnel()
        try:
            with Notebook(self.run.journal) as notebook, stop_signal() as stopped:
                roles = {"teacher": self._endpoints.get("teacher") or endpoint(teacher)}
                prices = {"teacher": Price(*(teacher.price or (0.0, 0.0)))}
                ask = Ask("teacher", roles, Sampling(), notebook, funnel, prices=prices, stop=stopped)
                label = f"teacher: {teacher.model}"
                found = measure(None, self.tasks, lambda *what: _asked(ask, *what), label=label)
        except Resumable:
            raise
        except StillhouseError as error:
            say(f"[yellow]evaluate: the teacher is not measured: {error}[/]")
            return None
        cost = f", for {funnel.cost:.2f}" if funnel.cost else ""
        say(f"evaluate: the teacher answered {funnel.asked} prompts in {funnel.tokens} tokens{cost}")
        if missing := funnel.failed + funnel.refused:
            say(f"[yellow]evaluate: the teacher is not measured: {missing} answers are missing. {funnel.notes[0]}[/]")
        return None if missing else found

    def _fidelity(self, student: LanguageModel) -> dict[str, Score]:
        return self._measured.scores(student.model) if self._measured is not None else {}

    @cached_property
    def _measured(self) -> HeldOut | None:
        """What divergences are measured on; None, and said once, where they cannot be."""
        if not self._same_tokens:
            return None
        train = self.run.recipe.stage[-1].train or Train()
        found = HeldOut(self.party, self.held_out, train, self.party.teacher.vocabulary, sampled=REWARD_ROWS)
        if not found.answers:
            say("[yellow]evaluate: no held-out answers; divergences from the teacher are not measured[/]")
        return found

    @cached_property
    def _same_tokens(self) -> bool:
        try:
            self.party.compared(self._models["student"])
        except ModelError as error:
            say(f"[yellow]evaluate: divergences from the teacher are not measured: {error}[/]")
            return False
        return True

    def _speeds(self, owed: dict[str, LanguageModel], known: dict[str, ModelScores]) -> dict[str, float | None]:
        """Tokens a second, teacher and student in turn; training does not change it, so one student stands for both.

        Two that read other tokens are measured one after the other.
        """
        if "untrained" in known:
            return {"student": known["untrained"].tokens_per_second, "teacher": None}
        records = self.held_out or [record for task in self.tasks for record in task.records]
        if not records:
            return dict.fromkeys(ROLES)
        pair = {role: self._models[role] for role in ("teacher", "student") if role in self._models}
        turns = [pair] if self._same_tokens else [{role: lm} for role, lm in pair.items()]
        found: dict[str, float | None] = {}
        for lms in turns:
            reader, models = next(iter(lms.values())), {role: lm.model for role, lm in lms.items()}
            prompts = [encode_prompt(reader.tokenizer, r.messages) for r in records[:SPEED_PROMPTS]]
            found |= tokens_per_second(models, prompts, pad_id=reader.pad_id, new_tokens=SPEED_TOKENS)
        return found | {"untrained": found["student"]}


def _asked(ask: Ask, records: Sequence[Record], settings: Eval) -> list[str]:
    """The answers to one task; "" where there is none."""
    how = {name: getattr(settings, name) for name in ("max_new_tokens", "temperature", "batch_size")}
    before = ask.funnel.asked
    with progress(f"teacher: {settings.name}", len(records)) as advance:
        told = replace(ask, progress=lambda funnel: advance(funnel.asked - before, ""))
        answers = told.how(**how, seed=settings.seeds[0])([record.messages for record in records])
    return [answer.text for (answer,) in answers]
