"""Two groups of one attribute in a decision file: which rows they are, and what they were given."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from auditor.observed.columns import OTHER, Levels, Numbers, Observed
from auditor.statistics.rates import Tally
from auditor.statistics.results import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class ObservedContrast:
    """A group beside its reference.

    ``rows`` are the applications of either that were decided, shape (n,), in file order, and ``protected`` says which
    of them are the group's. ``everybody`` and ``everybody_protected`` are the same with those decided neither way.
    """

    observed: Observed
    field: str
    group: str
    reference: str
    everybody: IntArray
    everybody_protected: BoolArray

    @cached_property
    def rows(self) -> IntArray:
        """Decided applications of either group."""
        return self.everybody[self.observed.decided[self.everybody]]

    @cached_property
    def protected(self) -> BoolArray:
        """Which of ``rows`` are the group's."""
        return self.everybody_protected[self.observed.decided[self.everybody]]

    @cached_property
    def favourable(self) -> BoolArray:
        """Which of ``rows`` were decided favourably."""
        return self.observed.favourable[self.rows]

    def tallies(self, said: BoolArray, *, among: BoolArray | None = None) -> tuple[Tally, Tally]:
        """Tallies of ``said``, shape of ``rows``, in the group and the reference; of those ``among`` alone if given."""
        here = np.ones(len(said), dtype=np.bool_) if among is None else among
        return Tally.of(said[self.protected & here]), Tally.of(said[~self.protected & here])

    @cached_property
    def decisions(self) -> tuple[Tally, Tally]:
        """Favourable decisions of all decided applications."""
        return self.tallies(self.favourable)

    @cached_property
    def neither(self) -> tuple[Tally, Tally]:
        """Applications decided neither way, of all there are."""
        other = self.observed.outcome[self.everybody] == OTHER
        return Tally.of(other[self.everybody_protected]), Tally.of(other[~self.everybody_protected])

    def clusters(self, rows: IntArray) -> IntArray | None:
        """What decisions in these rows have in common."""
        return self.observed.clusters(rows)

    def numbers(self, part: Numbers, *, among: BoolArray | None = None) -> tuple[IntArray, BoolArray, FloatArray]:
        """Where a number is stated: the rows, who of them is protected, and the numbers.

        ``among``, shape of ``rows``, says who counts.
        """
        known = part.stated[self.rows]
        if among is not None:
            known = known & among
        rows = self.rows[known]
        return rows, self.protected[known], part.values[rows]


def contrast_of(observed: Observed, levels: Levels, *, group: str, reference: str) -> ObservedContrast:
    """The contrast of two levels; of a level that does not occur it has no rows."""
    protected, other = levels.mask(group), levels.mask(reference)
    rows = np.flatnonzero(protected | other).astype(np.int64)
    return ObservedContrast(observed, levels.name, group, reference, rows, protected[rows])
