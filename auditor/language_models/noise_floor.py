"""What rounding does to a number of a model, as rows of results keep it. Needs no torch; noise.py measures it."""

from __future__ import annotations

import math
from dataclasses import dataclass

MARGIN = 5.0
"""A bound is so many times the root mean square difference: of tens of thousands of comparisons none goes beyond it."""
MEAN = 3.0
"""A mean within so many of its standard errors by rounding alone may be rounding."""


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """What rounding does to one number that a model gives, in one arithmetic.

    Attributes
    ----------
    logit
        Root mean square difference of the number over positions and ways, in nats; at least the spacing of numbers as
        large as the largest logit that enters it.
    state
        Largest difference of the last state, as a share of its length; at least the precision's own.
    precision
        The spacing of numbers at 1 in this precision.
    arithmetic
        Precision, device, kernel and threads in words.
    """

    logit: float
    state: float
    precision: float
    arithmetic: str

    @property
    def bound(self) -> float:
        """The most by which two ways to one such number may differ, in nats."""
        return MARGIN * self.logit

    @property
    def state_bound(self) -> float:
        """The most by which two ways to one state may differ, as a share of its length."""
        return MARGIN * self.state

    def of_mean(self, n: int) -> float:
        """How far rounding may set the mean of a difference of ``n`` such numbers off, in nats."""
        return float(MEAN * self.logit / math.sqrt(n))

    @property
    def words(self) -> str:
        """Where the bound comes from, for a check's note."""
        return (
            f"the bound is {MARGIN:g} times the root mean square difference that other rounding makes, "
            f"{self.logit:.1e} nats ({self.arithmetic})"
        )

    def tells(self, difference: float) -> bool:
        """Whether a difference, in nats, of two such numbers is more than rounding could make it."""
        return abs(difference) > self.bound
