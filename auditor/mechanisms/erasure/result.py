"""What a chunk of erasure is given and gives. Needs no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from auditor.language_models.noise_floor import NoiseFloor
from auditor.mechanisms._shared.concept_rows import About, Concept, Untouched
from auditor.mechanisms._shared.controls import Strength
from auditor.mechanisms._shared.float_rows import Numbers, Table
from auditor.mechanisms._shared.specifications import Specification
from auditor.testing.rows import Row

Part = Literal["attribute", "relevant"]


class AttributePayload(Row):
    """One attribute to erase.

    Attributes
    ----------
    concept
        The attribute and its applications.
    full
        Whether it gets as many draws as the level needs.
    family
        Contrasts that do.
    tested
        Attributes that do, by field.
    """

    part: Literal["attribute"] = "attribute"
    concept: Concept
    full: bool
    family: int
    tested: tuple[str, ...]


class RelevantPayload(Row):
    """The number that goes with the margin most, to erase in prompts that state the attribute's reference."""

    part: Literal["relevant"] = "relevant"
    concept: Concept


Payload = Annotated[AttributePayload | RelevantPayload, Field(discriminator="part")]


class Ran(Row):
    """What an erasure gives: with the true labels, and draw by draw with permuted ones.

    Attributes
    ----------
    clean, margins
        Untouched and erased, of the measured prompts in nats, application by application.
    controls, turned
        Erased with permuted labels, and with the same moves in random directions: [draws, prompts].
    mass
        Mean probability on the answers.
    movement, movement_control
        How far states moved, as a share of their spread, and the same by draw of permuted labels.
    left
        The most that a linear probe finds of it on applications the erasers were not fitted on, as a share of before.
    leftover
        The largest covariance that is left where they were fitted, as a share of before.
    readable, readable_control
        How well a linear reader tells the labels apart, and the same by draw of permuted labels.
    """

    clean: Numbers
    margins: Numbers
    controls: Table
    turned: Table
    mass: float
    movement: float
    movement_control: Numbers
    left: float
    leftover: float
    readable: float
    readable_control: Numbers


class Erasure(Row):
    """An erasure, and where and on which half it was made."""

    specification: Specification
    ran: Ran


class Relevant(Row):
    """The number that goes with the margin most, erased: margins in nats, one an application that was measured."""

    field: str
    clean: Numbers
    margins: Numbers
    leftover: float
    left: float
    mass: float
    exact: bool
    note: str


class AttributeResult(About):
    """One attribute, erased.

    Attributes
    ----------
    full
        Whether it got as many draws as the level needs.
    cases
        Applications that were measured.
    fitted
        Applications that erasers were fitted on.
    untouched
        Margins of all of them.
    mass
        Mean probability on the answers, untouched.
    strength
        How many draws there had to be.
    declared, repeats
        The declared window, and the ways in which it was repeated.
    whole
        From the field on at every layer.
    noise
        What rounding does to the margin.
    exact
        Whether the margin decides; otherwise it is that of the answers' first tokens, as ``note`` says.
    """

    kind: Literal["attribute"] = "attribute"
    cases: tuple[str, ...]
    fitted: int
    untouched: Untouched
    mass: float
    strength: Strength
    declared: Erasure
    whole: Ran
    repeats: tuple[Erasure, ...]
    noise: NoiseFloor
    exact: bool
    note: str


class RelevantResult(About):
    """The number that goes with the margin most, erased; ``None`` where none does."""

    kind: Literal["relevant"] = "relevant"
    cases: tuple[str, ...]
    relevant: Relevant | None
    noise: NoiseFloor


class NotOpened(About):
    """Why nothing can be erased in this model."""

    kind: Literal["not opened"] = "not opened"
    part: Part
    full: bool
    reason: str


Result = Annotated[AttributeResult | RelevantResult | NotOpened, Field(discriminator="kind")]
