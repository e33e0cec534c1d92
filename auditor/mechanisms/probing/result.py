"""What a chunk of probes is given and gives. Needs no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from auditor.mechanisms._shared.concept_rows import Concept
from auditor.mechanisms._shared.probe_readings import ProbeReading
from auditor.mechanisms.probing.selectivity import Selectivity
from auditor.testing.rows import Row

#: Whether the attribute stands in the prompt, or a neutral word in its place.
Setting = Literal["stated", "withheld"]
STATED: Setting = "stated"
WITHHELD: Setting = "withheld"


class TrainedPayload(Row):
    """One attribute, read from the model as it is.

    Attributes
    ----------
    concept
        The attribute and its applications.
    contrasts
        Contrasts of the run: the size of the family.
    controls
        By group, words without a meaning that are as long as its own.
    """

    part: Literal["trained"] = "trained"
    concept: Concept
    contrasts: int
    controls: dict[str, tuple[str, ...]]


class UntrainedPayload(Row):
    """The same attribute, read from the same architecture with random weights."""

    part: Literal["untrained"] = "untrained"
    concept: Concept
    contrasts: int


Payload = Annotated[TrainedPayload | UntrainedPayload, Field(discriminator="part")]


class At(Row):
    """Where a probe reads: for which group, in which setting, at which position of the prompt, and before which layer.

    ``layer`` counts residual streams: 0 is the embedding.
    """

    group: str
    setting: Setting
    site: str
    layer: int


class LargestOfAll(Row):
    """A withheld reading against the best layer and position of every draw of permuted labels: p-value and draws."""

    p_value: float
    draws: int


class Probe(Row):
    """One probe of the model as it is.

    Attributes
    ----------
    at
        Where.
    reading
        What it reads on held-out applications.
    smaller
        Rows of the rarer label.
    solved
        Whether it reached its optimum.
    permuted
        Mean balanced accuracy on labels without a meaning.
    numbers
        Balanced accuracy of a probe of the application's numbers alone; ``None`` where stated, or without numbers.
    largest
        Over all layers and positions; ``None`` where stated.
    """

    at: At
    reading: ProbeReading
    smaller: int
    solved: bool
    permuted: float
    numbers: float | None
    largest: LargestOfAll | None


class UntrainedProbe(Row):
    """One probe of random weights: where, and its balanced accuracy."""

    at: At
    accuracy: float


class Compared(Row):
    """A group's word against pairs of words without a meaning.

    Attributes
    ----------
    group
        The group.
    found
        The comparison.
    ceiling
        Whether not even perfect reading could stand out.
    words
        Control words behind it.
    """

    compared: Literal[True] = True
    group: str
    found: Selectivity
    ceiling: bool
    words: int


class NotCompared(Row):
    """Why a group's word has no control pairs."""

    compared: Literal[False] = False
    group: str
    reason: str


class TrainedResult(Row):
    """What probes of the model read of one attribute.

    Attributes
    ----------
    field, reference, proxies
        The attribute.
    withheld_words
        What stood in its place where it was withheld.
    applications, contrasts
        Applications of the chunk, and contrasts of the run.
    declared_layer
        The layer at which selectivity was declared.
    probes
        One a layer, position, group and setting.
    selectivity
        One a group.
    """

    part: Literal["trained"] = "trained"
    field: str
    reference: str
    proxies: tuple[str, ...]
    withheld_words: str
    applications: int
    contrasts: int
    declared_layer: int
    probes: tuple[Probe, ...]
    selectivity: tuple[Annotated[Compared | NotCompared, Field(discriminator="compared")], ...]


class UntrainedResult(Row):
    """What probes of random weights read of one attribute, at the declared place."""

    part: Literal["untrained"] = "untrained"
    field: str
    probes: tuple[UntrainedProbe, ...]


Result = Annotated[TrainedResult | UntrainedResult, Field(discriminator="part")]
