"""A group's difference to the reference, and what an erasure leaves of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from auditor.mechanisms._shared.step_bounds import SMALLEST_GAP
from auditor.statistics.results import FloatArray


@dataclass(frozen=True)
class Gap:
    """A group's difference to the reference by measured application in nats, clean and erased, shape (n,)."""

    column: int
    clean: FloatArray
    erased: FloatArray

    @classmethod
    def of(cls, clean: FloatArray, erased: FloatArray, column: int, reference: int) -> Gap:
        """From margins [applications, groups]."""
        return cls(column, clean[:, column] - clean[:, reference], erased[:, column] - erased[:, reference])

    @cached_property
    def before(self) -> float:
        """Mean difference, untouched."""
        return float(self.clean.mean())

    @cached_property
    def after(self) -> float:
        """Mean difference, erased."""
        return float(self.erased.mean())

    @property
    def nothing(self) -> bool:
        """Whether there is none to take away."""
        return abs(self.before) <= SMALLEST_GAP

    @property
    def share(self) -> float:
        """Share of it that is taken off."""
        return 1 - self.after / self.before

    @property
    def shrank(self) -> bool:
        """Whether part of it was taken off, and no more than all of it again in the other direction."""
        return (self.before - self.after) * self.before > 0 and abs(self.after) <= abs(self.before)

    @property
    def widened(self) -> bool:
        """Whether there is more of it than before."""
        return abs(self.after) > abs(self.before) and not self.nothing
