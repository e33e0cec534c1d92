"""What a chunk of steering is given and gives. Needs no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from auditor.language_models.noise_floor import NoiseFloor
from auditor.mechanisms._shared.concept_rows import About, Concept, Untouched
from auditor.mechanisms._shared.controls import Strength
from auditor.mechanisms._shared.float_rows import Numbers, Table
from auditor.testing.rows import Row

#: ``towards``: the group's direction added to prompts that state the reference; ``away``: taken from the group's own.
Way = Literal["towards", "away"]
WAYS: tuple[Way, Way] = ("towards", "away")


class Payload(Row):
    """One attribute to steer by.

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

    concept: Concept
    full: bool
    family: int
    tested: tuple[str, ...]


class ByWay(Row):
    """Numbers of both ways."""

    towards: Numbers
    away: Numbers

    def of(self, way: Way) -> Numbers:
        """Those of one way."""
        return self.towards if way == "towards" else self.away


class TablesByWay(Row):
    """Tables of both ways."""

    towards: Table
    away: Table

    def of(self, way: Way) -> Table:
        """That of one way."""
        return self.towards if way == "towards" else self.away


class Drawn(Row):
    """Mean changes, one a draw.

    Attributes
    ----------
    controls
        By the directions of permuted labels.
    random
        By random directions as long as the true one.
    """

    controls: ByWay
    random: ByWay


class Point(Row):
    """One source, target and dose for one group.

    Attributes
    ----------
    group
        Its number.
    source, target
        Layers the direction was taken from and put into.
    dose
        How far.
    margins
        Of the steered applications' prompts: the reference's with the direction, the group's without.
    mass
        Mean probability on the answers of both.
    drawn
        Mean changes of the margin.
    chances
        The same of the probability of the favourable answers.
    declared
        At the declared point the margins behind ``drawn`` too, those of permuted labels first: by way [draws, steered
        applications].
    short
        Share of the distance between the groups of the steered applications, where the direction was not fitted, that
        one dose falls short of, as the model's precision takes it up.
    movement
        Length of the move that the states took up, as a share of the steered states' spread.
    """

    group: int
    source: int
    target: int
    dose: float
    margins: ByWay
    mass: float
    drawn: Drawn
    chances: Drawn
    declared: TablesByWay | None
    short: float
    movement: float


class Half(Row):
    """Half of the applications, steered by the direction of the other one.

    Attributes
    ----------
    clean
        Untouched margins, one a group, application by application.
    curve
        Every group, source, target and dose.
    """

    clean: Numbers
    curve: tuple[Point, ...]


class SteeredResult(About):
    """One attribute, steered by.

    Attributes
    ----------
    cases
        Applications that were steered.
    fitted
        Applications that gave the direction.
    untouched
        Margins of all of them.
    mass
        Mean probability on the answers, untouched.
    middle
        The declared layer.
    strength
        How many draws there had to be.
    steered
        As declared.
    exchanged
        With the halves exchanged, at the declared layer and dose.
    noise
        What rounding does to the margin.
    exact
        Whether the margin decides; otherwise it is that of the answers' first tokens, as ``note`` says.
    """

    kind: Literal["steered"] = "steered"
    cases: tuple[str, ...]
    fitted: int
    untouched: Untouched
    mass: float
    middle: int
    strength: Strength
    steered: Half
    exchanged: Half
    noise: NoiseFloor
    exact: bool
    note: str


class NotOpened(About):
    """Why nothing can be steered in this model; ``full`` as in the payload."""

    kind: Literal["not opened"] = "not opened"
    full: bool
    reason: str


Result = Annotated[SteeredResult | NotOpened, Field(discriminator="kind")]
