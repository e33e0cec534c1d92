"""What chunks on counterfactual pairs are given and give, as rows. Needs no torch."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import Field

from auditor.language_models.noise_floor import NoiseFloor
from auditor.records import Check
from auditor.testing.rows import Row

Span = tuple[int, int]
"""First and last character of a field in a prompt, the last one not included."""


class ContrastRow(Row):
    """The ``field`` that is changed, from its ``reference`` to a ``group``."""

    field: str
    group: str
    reference: str


class PairOfPrompts(Row):
    """One application in both groups of a contrast, the reference's prompt first.

    Attributes
    ----------
    id
        The application.
    case
        The case that is asked in the other group.
    prompts
        Whole prompts.
    spans
        Where the changed field stands in each of them.
    later
        Where the fields behind it stand in the reference's prompt, by name.
    """

    id: str
    case: str = ""
    prompts: tuple[str, str]
    spans: tuple[Span, Span]
    later: dict[str, Span] = Field(default_factory=dict)


class PairsPayload(Row):
    """One contrast and the applications it is looked at in."""

    contrast: ContrastRow
    pairs: tuple[PairOfPrompts, ...]


class LookedAt(Row):
    """A pair whose tokens align.

    Attributes
    ----------
    id
        The application.
    gap
        What the change of group does to the margin, in nats.
    base
        Margin of the reference's prompt, in nats; ``None`` where it was not kept, and nothing is read by probability.
    checks
        Self-checks, of the pairs that they are computed on.
    """

    id: str
    gap: float
    base: float | None = None
    checks: tuple[Check, ...] = ()


EffectsT = TypeVar("EffectsT", bound=Row)


class Repeats(Row, Generic[EffectsT]):
    """What other corruptions than the declared one move margins by.

    Attributes
    ----------
    turned
        The reference's states put into the group's prompt: how its margin moves.
    halfway
        The mean of both states put into both prompts: how the reference's margin moves, and how the group's does.
    """

    turned: EffectsT
    halfway: tuple[EffectsT, EffectsT]


class Patched(LookedAt, Generic[EffectsT]):
    """A pair with states of the group's prompt put into the reference's.

    Attributes
    ----------
    effects
        How the reference's margin moves, in nats.
    again
        The same by other corruptions; ``None`` where the contrast has too few pairs to compare them.
    """

    effects: EffectsT
    again: Repeats[EffectsT] | None = None


PairT_co = TypeVar("PairT_co", bound=LookedAt, covariant=True)


class PairsResult(Row, Generic[PairT_co]):
    """What every chunk on pairs gives.

    Attributes
    ----------
    reason
        Why the test cannot be done on this model; ``None`` where it can.
    note
        How the answers were read, where that needs saying.
    left_out
        Pairs that were not looked at, counted by reason.
    noise
        What rounding does to the margin.
    """

    contrast: ContrastRow
    reason: str | None = None
    note: str = ""
    left_out: dict[str, int] = Field(default_factory=dict)
    noise: NoiseFloor
    pairs: tuple[PairT_co, ...] = ()
