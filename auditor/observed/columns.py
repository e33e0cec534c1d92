"""The columnar form of a decision file, a row an application: what was decided, on whom, and what came of it.

Everything is an array: outcomes and groups are whole numbers, numbers are floats with NaN where nothing is stated. A
million applications with a dozen fields take some 100 MB.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from auditor.statistics.designs import Control
from auditor.statistics.rates import Tally
from auditor.statistics.results import BoolArray, FloatArray, IntArray

FAVOURABLE, ADVERSE, OTHER = 1, 0, -1
SHOWN = 5
Codes = npt.NDArray[Any]
"""Whole numbers, −1 where nothing is stated."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Levels:
    """A field of words: the names of its levels, and the number of each application's level, −1 where not stated."""

    name: str
    label: str
    names: tuple[str, ...]
    codes: Codes

    def mask(self, level: str) -> BoolArray:
        """Which applications have this level; none for a level that does not occur."""
        if level not in self.names:
            return np.zeros(len(self.codes), dtype=np.bool_)
        found: BoolArray = self.codes == self.names.index(level)
        return found


@dataclass(frozen=True, eq=False, kw_only=True)
class Numbers:
    """A field of numbers, NaN where not stated, with its unit."""

    name: str
    label: str
    unit: str
    values: FloatArray

    @cached_property
    def stated(self) -> BoolArray:
        """Which applications state it."""
        return ~np.isnan(self.values)


@dataclass(frozen=True, eq=False, kw_only=True)
class Probabilities:
    """Each application's probabilities of the groups of one attribute, NaN where there are none, and their source.

    ``values`` has shape (n, groups).
    """

    attribute: str
    names: tuple[str, ...]
    values: npt.NDArray[np.float32]
    source: str
    cut: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Observed:
    """Decisions already taken, in file order.

    Attributes
    ----------
    ids
        Of the applications, as text; of rows that share an id kept apart, each with its own.
    outcome
        Shape (n,): `FAVOURABLE`, `ADVERSE` or `OTHER`. What is neither (withdrawn, incomplete) is counted by value in
        ``others`` and is an outcome of its own: no rate of decisions has it in its denominator, and its share in each
        group is measured.
    groups
        Every protected field.
    score
        The system's own, higher is better; ``score_is_probability`` of a good outcome.
    later, human
        Shape (n,), as ``outcome``: what became of the application, and what a person decided on it.
    applicants
        Shape (n,): numbers of the applicants where some have several rows, else ``None``. They are the unit then.
    cluster
        What decisions have in common beside that, for errors of regressions.
    file_sha256, fingerprint
        Hash of the file, and of it together with its mapping.
    notes, left_out
        How the file was read, a line each, and rows that are no application, by reason.
    """

    ids: pl.Series
    outcome: Codes
    groups: tuple[Levels, ...]
    others: Mapping[str, int] = field(default_factory=dict)
    score: Numbers | None = None
    score_is_probability: bool = False
    prices: tuple[Numbers, ...] = ()
    amounts: tuple[Numbers, ...] = ()
    reasons: tuple[Levels, ...] = ()
    decided_at: npt.NDArray[np.datetime64] | None = None
    decided_by: Levels | None = None
    later: Codes | None = None
    human: Codes | None = None
    controls: tuple[Numbers | Levels, ...] = ()
    segments: tuple[Levels, ...] = ()
    cluster: Levels | None = None
    probabilities: tuple[Probabilities, ...] = ()
    applicants: IntArray | None = None
    source: str = ""
    file_sha256: str = ""
    fingerprint: str = ""
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {len(part) for part in self._arrays()}
        if len(lengths) != 1:
            raise ValueError(f"columns of a decision file differ in length: {sorted(lengths)}")

    def _arrays(self) -> Iterable[Any]:
        yield from (self.ids, self.outcome)
        yield from (part.codes for part in (*self.groups, *self.reasons, *self.segments))
        yield from (part.values for part in (*self.prices, *self.amounts))
        yield from (part.values for part in self.probabilities)
        yield from (_array(part) for part in self.controls)
        yield from (_array(part) for part in (self.score, self.decided_by, self.cluster) if part)
        yield from (part for part in (self.decided_at, self.later, self.human, self.applicants) if part is not None)

    @property
    def facts(self) -> tuple[str, ...]:
        """What there is to say of how the file was read and of what it holds, a line each."""
        lines = [*self.notes, *(f"{count:,} left out: {what}" for what, count in self.left_out.items())]
        for part, of in self.repeated:
            lines.append(f"{part.label} rises and falls with {of.label} exactly: compared and counted once")
        if self.others:
            shown = ", ".join(f"{name[:60]} {count:,}" for name, count in list(self.others.items())[:SHOWN])
            many = sum(self.others.values())
            were = "applications were" if many > 1 else "application was"
            lines.append(f"{many:,} {were} decided neither way: {shown}")
        return tuple(lines)

    @property
    def n(self) -> int:
        """Applications."""
        return len(self.outcome)

    @cached_property
    def decided(self) -> BoolArray:
        """Which applications were decided either way."""
        found: BoolArray = self.outcome != OTHER
        return found

    @cached_property
    def favourable(self) -> BoolArray:
        """Which applications were decided favourably."""
        found: BoolArray = self.outcome == FAVOURABLE
        return found

    def attribute(self, name: str) -> Levels | None:
        """The protected field called ``name``; ``None`` where the file has none."""
        return next((item for item in self.groups if item.name == name), None)

    @cached_property
    def repeated(self) -> tuple[tuple[Numbers, Numbers], ...]:
        """Prices and amounts that say the same as an earlier one of their kind, each with that one.

        A rate and its spread over a fixed index differ by a constant: gaps of both, in SDs, are one gap, and to test
        them twice would count it twice.
        """
        found = []
        favoured = self.favourable & self.decided
        for parts in (self.prices, self.amounts):
            kept: list[Numbers] = []
            for part in parts:
                of = next((each for each in kept if _in_step(part, each, favoured)), None)
                if of is None:
                    kept.append(part)
                else:
                    found.append((part, of))
        return tuple(found)

    def held_equal(self, *, but: Sequence[str] = ()) -> tuple[Control, ...]:
        """The legitimate factors as a regression takes them; those named in ``but`` are left out."""
        return tuple(
            Control(name=item.label, values=_array(item), levels=item.names if isinstance(item, Levels) else ())
            for item in self.controls
            if item.name not in but
        )

    def clusters(self, rows: IntArray) -> IntArray | None:
        """What decisions in these rows have in common, applicants first; ``None`` where each stands by itself."""
        if self.applicants is not None:
            return self.applicants[rows]
        # What all decisions have in common tells none of them apart: the file is of that one lender or branch.
        if self.cluster is None or len(self.cluster.names) < 2:
            return None
        codes = self.cluster.codes[rows].astype(np.int64)
        # Where it is not stated, a decision stands by itself.
        unknown = codes < 0
        codes[unknown] = len(self.cluster.names) + np.arange(int(unknown.sum()))
        return codes


IN_STEP = 1e-9
"""How far a residual may lie from a straight line, against the spread of the numbers, and still be rounding."""


def _in_step(one: Numbers, other: Numbers, rows: BoolArray) -> bool:
    """Whether one number is the other, shifted and scaled upwards, wherever either is stated in these rows."""
    if not np.array_equal(one.stated[rows], other.stated[rows]):
        return False
    here = rows & one.stated
    if here.sum() < 3:
        return False
    x, y = other.values[here] - other.values[here].mean(), one.values[here] - one.values[here].mean()
    spread = float(x @ x)
    if not spread or not float(y @ y):
        return False
    slope = float(x @ y) / spread
    return slope > 0 and float(np.abs(y - slope * x).max()) <= IN_STEP * max(float(np.abs(y).max()), 1e-300)


def _array(part: Numbers | Levels) -> npt.NDArray[Any]:
    return part.values if isinstance(part, Numbers) else part.codes


def tallies_by(levels: Levels, said: BoolArray, *, among: BoolArray | None = None) -> dict[str, Tally]:
    """How many of each level there are, and of how many of them something is said; by the level's name.

    Parameters
    ----------
    said
        Shape (n,), for example which applications were decided favourably.
    among
        Shape (n,): who counts at all; everybody by default.
    """
    counts = [np.bincount(_shifted(levels, among), minlength=len(levels.names) + 1)]
    counts.append(
        np.bincount(_shifted(levels, said if among is None else said & among), minlength=len(levels.names) + 1)
    )
    return {
        name: Tally(int(counts[1][at]), int(counts[0][at])) for at, name in enumerate(levels.names, start=1)
    }  # fmt: skip


def _shifted(levels: Levels, among: BoolArray | None) -> IntArray:
    codes = levels.codes if among is None else levels.codes[among]
    return codes.astype(np.int64) + 1


def crossed(first: Levels, second: Levels) -> Levels:
    """Both attributes at once: a level for each pair of levels, −1 where either is not stated."""
    width = len(second.names)
    codes = first.codes.astype(np.int64) * width + second.codes
    codes[(first.codes < 0) | (second.codes < 0)] = -1
    names = tuple(f"{one}, {other}" for one in first.names for other in second.names)
    return Levels(
        name=f"{first.name} × {second.name}", label=f"{first.label}, {second.label}", names=names, codes=codes
    )
