"""The frozen run as a type: a design bound to a model, data, packs and code. Its digest is ``run_sha256``."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from pydantic import Field

from auditor.hashed import Hashed
from auditor.mappings import NOT_STATED
from auditor.model_manifest import ModelIdentity
from auditor.plan import Plan, plan_from


class BoundModel(Hashed):
    """The model of a run: the source it was asked for by, its digest, and what it is."""

    source: str
    sha256: str
    manifest: ModelIdentity

    @property
    def name(self) -> str:
        """What people call it: the name in its manifest, else its source."""
        return self.manifest.name or self.source


class MappedField(Hashed):
    """One field of the mapping a run was made with; :class:`auditor.mappings.Field` says what the keys mean."""

    name: str
    label: str
    role: str
    type: str
    unit: str = ""
    column: str | None = None
    ratio: tuple[str, str] | None = None
    scale: float = 1.0
    one_of: dict[str, str] = Field(default_factory=dict)
    form: dict[str, str | float] | None = None
    missing: tuple[float | str, ...] = ()
    missing_from: float | None = None
    missing_words: str = NOT_STATED
    words: dict[str, str] = Field(default_factory=dict)
    prefix: str = ""
    suffix: str = ""
    decimals: int = 0
    favourable: str | tuple[str, ...] | None = None
    adverse: str | tuple[str, ...] | None = None
    repeats: str = "refuse"
    empty: str = "refuse"


class RunMapping(Hashed):
    """The mapping a run was made with.

    ``reading`` says how its file is read, where that is not as files are; ``decisions`` which fields of a decision file
    play which part.
    """

    name: str
    title: str = ""
    citation: str = ""
    population: str = ""
    fields: tuple[MappedField, ...]
    excluded: dict[str, str] = Field(default_factory=dict)
    reading: dict[str, Any] = Field(default_factory=dict)
    decisions: dict[str, Any] = Field(default_factory=dict)

    @property
    def keeps_rows_apart(self) -> bool:
        """Whether rows whose id repeats are records of their own."""
        return any(item.role == "id" and item.repeats == "separate" for item in self.fields)


class RowCounts(Hashed):
    """What became of the rows of a file, as :class:`auditor.applications.Counts` says."""

    records: int = 0
    left_out: dict[str, int] = Field(default_factory=dict)
    outcome: str = ""
    favourable: int = 0
    adverse: int = 0
    no_outcome: dict[str, int] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()


class BoundData(Hashed):
    """The data of a run.

    Attributes
    ----------
    source, name, title, citation, population
        Where it is from and what it is called.
    fingerprint, file_sha256
        Hashes of records and mapping together, and of the file.
    mapping
        What its columns mean.
    rows, selected
        How many records it has, and the ids of those that the run asks about.
    audited
        How many records are looked at; ``None`` in runs from before it was kept. Those of a decision file are not
        ``selected`` by id: nobody would read a million, and the file's hash names them.
    left_out
        How many records were not asked about, by reason.
    training_rows_known
        How many of its records the model's own training record lists.
    observed_rate
        The share of favourable outcomes among all records; ``None`` where none are recorded.
    counts
        What became of the rows of its file; ``None`` in runs from before they were counted.
    """

    source: str
    name: str
    title: str = ""
    citation: str = ""
    population: str = ""
    fingerprint: str = ""
    file_sha256: str = ""
    mapping: RunMapping
    rows: int = 0
    selected: tuple[str, ...]
    audited: int | None = None
    left_out: dict[str, int] = Field(default_factory=dict)
    training_rows_known: int | None = None
    observed_rate: float | None = None
    counts: RowCounts | None = None

    @property
    def applications(self) -> int:
        """How many applications the run is about."""
        return len(self.selected) if self.audited is None else self.audited


class PromptFigures(Hashed):
    """Figures of a run's prompts, both ``None`` in runs from before they were kept.

    ``longest_tokens`` counts the tokens of the longest with its answer, ``alike`` the applications whose prompt is word
    for word another's.
    """

    longest_tokens: int | None = None
    alike: int | None = None


class PackPin(Hashed):
    """A policy pack as a run is read under it."""

    id: str
    version: str
    sha256: str


class Code(Hashed):
    """What computes a run: the engine's version, the hash of its code, the libraries that numbers go through."""

    version: str
    sha256: str
    libraries: dict[str, str] = Field(default_factory=dict)


class HowRead(Hashed):
    """How the answers of a system are asked for and read: the plan's ``[reading]`` with what the system can do.

    Attributes
    ----------
    readout
        ``log_odds``, ``choice``, ``amount`` or ``reasons``.
    scored
        Whether whole answers are scored; else log-odds are read from the likeliest tokens.
    form
        ``text``, ``json_schema`` or ``tool``; ``fields`` of a service, which takes no prompt.
    temperature, seed, max_tokens, top
        As they are sent; ``None`` where they are not.
    deterministic
        Whether identical questions of the probe got identical answers.
    replicates
        How often every case is asked; once where whole answers are scored or nothing varies.
    requests
        How many are asked for, re-asks of the control among them.
    """

    readout: str
    scored: bool = False
    form: str = "text"
    temperature: float | None = None
    seed: int | None = None
    max_tokens: int = 16
    top: int = 0
    deterministic: bool | None = None
    replicates: int = 1
    requests: int = 0


class HowGenerated(Hashed):
    """How texts of weights are generated and read: the plan's ``[reading]``, settled.

    Attributes
    ----------
    readout
        ``choice``, ``amount`` or ``reasons``.
    temperature, seed, max_tokens, stop
        How a text is generated.
    replicates
        How often every case is asked; once where nothing is sampled, since all texts of one prompt are then the same.
    """

    readout: str
    temperature: float = 0.0
    seed: int = 0
    max_tokens: int = 16
    stop: tuple[str, ...] = ()
    replicates: int = 1


class RunRecord(Hashed):
    """A frozen run: everything its numbers follow from.

    Attributes
    ----------
    design, design_sha256
        The design as it was frozen, and its hash; ``plan`` reads it.
    model, data, packs
        What the design is bound to.
    prompts
        Figures of its prompts.
    settings
        The settings of each test on internals, with defaults written out.
    code
        What computes it.
    device
        The kind of device it is scored on; ``cpu`` in runs from before it was kept.
    reading
        How answers are asked for and read, if a system is asked; ``None`` for weights.
    generated
        How texts are generated and read, if weights are read by their text; ``None`` where they give log-odds.
    """

    design: dict[str, Any]
    design_sha256: str
    model: BoundModel
    data: BoundData
    prompts: PromptFigures = PromptFigures()
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)
    packs: tuple[PackPin, ...] = ()
    code: Code
    device: str = "cpu"
    reading: HowRead | None = None
    generated: HowGenerated | None = None

    @property
    def asks(self) -> bool:
        """Whether a system was asked; False where decisions already taken are audited."""
        return not self.model.manifest.is_decision_file

    @cached_property
    def plan(self) -> Plan:
        """The design as a plan; PlanError where this version reads none in it."""
        return plan_from({**self.design, "run": {}}, where="run")

    @property
    def replicates(self) -> int:
        """How often every case is asked, each time as a cluster of its own (auditor/replicates.py)."""
        how = self.generated or self.reading
        return 1 if how is None else how.replicates

    @property
    def longest_prompt(self) -> int:
        """Tokens of the longest prompt with its answer; what the plan allows, in runs from before it was kept."""
        kept = self.prompts.longest_tokens
        return self.plan.budget.max_prompt_tokens if kept is None else kept
