"""The one configuration schema: a recipe is one TOML file. Unknown keys are refused, with the nearest legal name."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[int, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
SetName = Annotated[str, Field(pattern=r"^(\w[\w -]*)?$")]
Source = Annotated[str, Field(min_length=1)]
Select = Literal["importance", "greedy", "uniform", "last"]


class Section(BaseModel):
    """Base of every part of a recipe: frozen, and no key that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Lora(Section):
    """Train low-rank adapters instead of all weights (needs the `peft` extra)."""

    rank: Positive = 16
    alpha: Positive = 32
    dropout: Fraction = 0.0
    target: str | tuple[str, ...] = "all-linear"


class Model(Section):
    """Who answers: "embedded" (SmolLM2-135M-Instruct), a Hugging Face id, a folder, or a .gguf file.

    With a `url`, an OpenAI-compatible server answers, and `model` is its name there; `key` names the environment
    variable that holds the key. `price` is what a million tokens cost, read and written. `logprobs` says what the
    server can tell of them: "none", of short "options" (top_logprobs), or of whole "texts" (echo, as vLLM).
    """

    model: str = "embedded"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    url: str = ""
    key: str = "OPENAI_API_KEY"
    concurrency: Positive = 8
    price: tuple[NonNegative, NonNegative] | None = None
    logprobs: Literal["none", "options", "texts"] = "none"


class Student(Section):
    """Who learns. Exactly one of: layers of the teacher (`keep_layers`), a `model`, or a `config` (random weights).

    `refit_tokens`: before any training, the kept layers' last projections are fitted by least squares on that many
    tokens of the training answers, so that they make up for the layers that went; 0 leaves the layers as they are. It
    changes nothing for a `model` or a `config`. `tokenizer` is whose tokens a `config` speaks: a model by name, or the
    teacher where nothing is said.
    """

    keep_layers: Positive | None = None
    select: Select | tuple[int, ...] = "importance"
    model: str | None = None
    config: dict[str, Any] | None = None
    tokenizer: str = ""
    refit_tokens: Annotated[int, Field(ge=0)] = 0
    lora: Lora | None = None

    @model_validator(mode="after")
    def one_origin(self) -> "Student":
        given = [k for k in ("keep_layers", "model", "config") if getattr(self, k) is not None]
        if len(given) != 1 and not (not given and isinstance(self.select, tuple)):
            found = ", ".join(given) or "none of them"
            raise ValueError(f"give exactly one of keep_layers, model, config; found {found}")
        if self.tokenizer and self.config is None:
            raise ValueError("tokenizer goes with a config; another student has its own, leave it out")
        return self


class Data(Section):
    """Where prompts come from: "builtin" seed tasks, "builtin:NAME" (other seeds), a .jsonl path, or "hf:NAME".

    Rows without a `split` of their own are split by a hash of the prompt: `held_out` and `valid` are fractions.
    `sets` are more data, by the names by which steps read them; their rows may be anything.
    `text` is plain text for the language-modelling term: "builtin", a .txt or .jsonl path, or "hf:NAME".
    """

    seeds: str = "builtin"
    sets: dict[SetName, str] = Field(default_factory=dict)
    text: str = "builtin"
    valid: Fraction = 0.1
    held_out: Fraction = 0.1
    limit: Positive | None = None
    max_prompt_tokens: Positive = 384
    max_tokens: Positive = 512


class Step(BaseModel):
    """One elicitation step: an operator from `stillhouse.elicit.catalogue.OPERATORS` (or "package.module:function").

    It reads the set `input` (several are joined) and replaces the set `output`, by default the input; with `add`, it is
    added to it. What it drops goes to the set `dropped`, where one is named. Records for which `when` is false, or
    whose split is not in `splits`, are left as they are. `role` answers, sampled as the settings say; their `seed` is
    the step's own, so that runs that differ in the recipe's `seed` learn from the same answers. Every other key is the
    operator's own setting; a text "@NAME" stands for that one of the recipe's `templates`.
    """

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    use: str = "label"
    name: str = ""
    input: SetName | Annotated[tuple[SetName, ...], Field(min_length=1)] = "records"
    output: SetName = ""
    add: bool = False
    dropped: SetName = ""
    when: str = ""
    splits: tuple[str, ...] = ("", "train", "test")
    role: str = "teacher"
    max_new_tokens: Positive = 128
    temperature: NonNegative = 1.0
    top_p: Fraction = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    stop: tuple[str, ...] = ()
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    batch_size: Positive = 64

    @property
    def title(self) -> str:
        return self.name or self.use

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,) if isinstance(self.input, str) else self.input

    @property
    def target(self) -> str:
        return self.output or self.inputs[0]

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Interpolation(Section):
    """How t of the objective `taid` moves while training (arXiv 2501.16937): at least along the line from `start` to
    `end`, and ahead of it by `rate` while the loss falls."""

    start: Fraction = 0.4
    end: Fraction = 1.0
    rate: NonNegative = 5e-4
    decay: Fraction = 0.99


class ObjectiveUse(BaseModel):
    """One term of the loss: a name from `stillhouse.objectives.OBJECTIVES` (or "package.module:function").

    `on` says whose text it sees: the data set's "reference" answers, "teacher" answers, those of any other source that
    a step wrote, fresh "student" samples, or plain "text". A preference objective sees pairs instead (see
    `Train.pair`), one that ranks answers, or compares those that end alike, several of that source (see
    `Train.candidates`). `layers` is for objectives that compare inner states: which layers of the student go with which
    of the teacher's, as [student, teacher] pairs (0 is the embedding) or by the name of a map, "uniform" where nothing
    is said. `interpolation` is for `taid` alone. Every other key is the objective's own setting.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    use: str
    on: Source = "reference"
    weight: NonNegative = 1.0
    layers: Literal["uniform", "skip", "last", "interval"] | tuple[tuple[int, int], ...] | None = None
    interpolation: Interpolation | None = None

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Rollout(Section):
    """How the student is sampled while it learns (for `on = "student"` and for pairs).

    `refresh`: y_s is sampled anew every that many steps, for the prompts of all those steps.
    """

    refresh: Positive = 1
    max_new_tokens: Positive = 128
    temperature: NonNegative = 1.0
    top_p: Fraction = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0


class Train(Section):
    """The training of one stage. A step's loss is the weighted sum of the objectives over `batch_size` prompts.

    `pair` names the sources of the chosen and the rejected answer of a preference objective. An objective of several
    answers to a prompt sees up to `candidates` of them at once, and the others when the prompt comes back.

    `growth`: from round to round of the stage, `steps` is multiplied by it. `moments`: AdamW's two are "float32",
    or with "auto" in 8 and 16 bits where there is compiled code for that: on a CPU with bfloat16 products.
    """

    objective: tuple[ObjectiveUse, ...] = ()
    steps: Positive = 50
    growth: Annotated[float, Field(gt=0)] = 1.0
    batch_size: Positive = 8
    lr: NonNegative = 5e-4
    warmup: Fraction = 0.1
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    final_lr: Fraction = 0.1
    weight_decay: NonNegative = 0.01
    betas: tuple[Fraction, Fraction] = (0.9, 0.95)
    moments: Literal["auto", "float32"] = "auto"
    clip: NonNegative = 1.0
    dropout: bool = False
    reduction: Literal["token", "sequence"] = "token"
    pair: tuple[Source, Source] = ("teacher", "student")
    candidates: Annotated[int, Field(ge=2)] = 4
    reference: Literal["teacher", "initial"] = "teacher"
    rollout: Rollout = Rollout()
    packing: bool = True
    micro_tokens: Positive = 4096
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    cache_teacher: bool = True
    checkpoint_every: Positive = 50
    keep_checkpoints: Positive = 2
    probe_every: Positive = 10
    probe_prompts: Positive = 16


class Eval(Section):
    """One evaluation task: prompts with references, answered by the student and scored.

    `data`: "held_out" (this run's own test split), "builtin:NAME", a .jsonl path, or "hf:NAME". `exact` says what an
    exact match compares: the whole text, or the final answer of that kind in it, so that it is the accuracy.
    """

    name: str = "held_out"
    data: str = "held_out"
    limit: Positive | None = None
    max_new_tokens: Positive = 128
    temperature: NonNegative = 0.0
    seeds: tuple[int, ...] = (0,)
    batch_size: Positive = 64
    bands: tuple[int, int] = (30, 70)
    exact: Literal["text", "number", "choice", "label", "yes_no", "math"] = "text"


class Stage(Section):
    """Elicit, then train, then evaluate; a recipe is one or more stages, each starting from the last one's student.

    A stage is repeated `rounds` times, or until the guard `until` is true after a round: an expression over `round`,
    `size` (records in each set, as in `size.pool >= 300`) and `was` (the sizes before the round). All sets live on from
    round to round. `start` says from which student each training starts: the "last" one or the untrained "base".
    `train_on` is the set that is learnt from.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = "main"
    rounds: Positive = 1
    until: str = ""
    start: Literal["last", "base"] = "last"
    train_on: SetName = "records"
    step: tuple[Step, ...] = ()
    train: Train | None = None
    eval: tuple[Eval, ...] = ()


class Recipe(Section):
    """A published system, or your own, as one file.

    `roles` are the models that steps ask by name, besides "teacher", "student" (as it is by then) and "untrained"; a
    role that is not there is played by the teacher. `full` are the changes that make it as large as published, which
    `stillhouse run --full` applies: dotted keys, as on the command line.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    about: str = ""
    paper: str = ""
    differs: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    teacher: Model = Model()
    roles: dict[str, Model] = Field(default_factory=dict)
    student: Student = Student(keep_layers=20)
    data: Data = Data()
    templates: dict[str, str] = Field(default_factory=dict)
    full: dict[str, Any] = Field(default_factory=dict)
    stage: Annotated[tuple[Stage, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def names_differ(self) -> "Recipe":
        names = [s.name for s in self.stage]
        if len(set(names)) != len(names):
            raise ValueError(f"stages need different names, found {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def names_are_free(self) -> "Recipe":
        if taken := self.data.sets.keys() & {"", "records", "seeds"}:
            raise ValueError(
                f"data.sets has '{min(taken)}', which a run makes itself from data.seeds; name it otherwise"
            )
        if taken := self.roles.keys() & {"", "teacher", "student", "untrained"}:
            raise ValueError(
                f"roles has '{min(taken)}', which every run has; give [{min(taken) or 'roles.NAME'}] instead"
            )
        return self

    @model_validator(mode="after")
    def student_needs_no_distant_weights(self) -> "Recipe":
        own = self.student.model is not None or (self.student.config is not None and self.student.tokenizer)
        if self.teacher.url and not own and any(stage.train for stage in self.stage):
            raise ValueError(
                "the teacher answers at a url, so the student cannot have its layers or its tokenizer; "
                "give student.model, or student.config with student.tokenizer"
            )
        return self
