"""What readers tell of the decision at every field's end, as rows of a result keep it. Needs no torch."""

from __future__ import annotations

from typing import Literal

from auditor.mechanisms._shared.float_rows import Numbers
from auditor.mechanisms._shared.ridge import Skill
from auditor.testing.rows import Row

#: What a logistic probe is asked for: the median of shuffled margins, the outcome, the irrelevant fact.
Label = Literal["shuffled", "outcome", "control"]


class Auroc(Row):
    """An AUROC with the ends of its interval."""

    value: float
    low: float
    high: float


class Told(Row):
    """What one set of columns tells on held-out applications.

    Attributes
    ----------
    margin, control
        Share of the spread of the margin, and of the irrelevant fact, that a ridge regression reads; ``None`` where it
        is the same for all applications, or there is no such fact.
    auroc
        Of logistic probes, by label; those without two labels, or unread, are left out.
    """

    margin: Skill | None
    control: Skill | None
    auroc: dict[Label, Auroc]


class Bag(Row):
    """The fields read so far, up to the end of a position, without any model; ``curved`` by a reader that bends."""

    position: str
    told: Told
    curved: Skill | None


class Site(Row):
    """The residual stream at a position and layer; ``gain`` is what it tells of the margin beyond those fields."""

    position: str
    layer: int
    told: Told
    gain: Skill | None


class Readings(Row):
    """What is read at every position and layer.

    Attributes
    ----------
    margins
        Of the applications, in nats.
    exact
        Whether they are the states' own; otherwise they were asked for.
    fields
        In the order of the prompt.
    layers
        That are read.
    control, control_reason
        The field with the irrelevant fact, or why there is none.
    favourable
        Applications that are decided so.
    bags, sites
        One a position; one a position and layer.
    smaller
        Applications with the rarer label.
    solved
        Whether all logistic probes reached their optimum.
    """

    margins: Numbers
    exact: bool
    fields: tuple[str, ...]
    layers: tuple[int, ...]
    control: str | None
    control_reason: str
    favourable: int
    bags: tuple[Bag, ...]
    sites: tuple[Site, ...]
    smaller: dict[Label, int]
    solved: bool
