"""The check of one gradient, as a ledger keeps it, and its words. No torch; slope_checks.py makes it."""

from __future__ import annotations

from auditor.records import Check
from auditor.testing.rows import Row


class Slope(Row):
    """What a gradient ``foretold`` of a small step and how far the margin ``moved``, in nats, with the ``bound``."""

    foretold: float
    moved: float
    bound: float


def as_a_small_step(slope: Slope | None) -> tuple[Check, ...]:
    """The check of the gradient that features, coordinates and components are chosen by; none where none could tell."""
    if slope is None:
        return ()
    apart = abs(slope.moved - slope.foretold)
    note = (
        "nats between what the gradient of the margin with respect to the states foretells of a small step, "
        f"{slope.foretold:.2g}, and what the margin does; the bound is what rounding and its own bend can do"
    )
    return (Check("gradient as a small step", apart <= slope.bound, apart, slope.bound, note),)
