"""What a test gives: measurements that are not adjusted yet, with what their conclusions will be drawn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from auditor.records import Measurement
from auditor.statistics.equivalence import Equivalence
from auditor.statistics.results import Interval
from auditor.statistics.verdict import Evidence


@dataclass(frozen=True)
class AbsenceBar:
    """Why numbers of these metrics, of the same field, group and reference, show no absence of a difference."""

    metrics: frozenset[str]
    why: str


@dataclass(frozen=True)
class UnadjustedMeasurement:
    """A measurement before its family is adjusted, with what its conclusion will be drawn from.

    Attributes
    ----------
    outcome
        Whether it speaks of outcomes or margins of one attribute: while answers of that attribute's arms are
        unreadable, its absence of a difference is no evidence.
    at_cut_off
        Whether it holds at one cut-off alone, so that a difference elsewhere in the plan's range bears on it.
    equivalence
        The equivalence claim, whose p-value is adjusted over its family like any other; the interval that decides is
        then read from it, or from ``deciding``, at the level the family leaves.
    family_size
        How many tests the plan declares in the measurement's family, those included that this run turned out not to
        carry. Without it the drafts of the family are all that was declared.
    bars
        What it says against reading others as the absence of a difference, if anything.
    run_doubt
        Why nothing of the whole run may be called equivalent; empty for most.
    """

    measurement: Measurement
    evidence: Evidence | None = None
    outcome: bool = False
    at_cut_off: bool = False
    equivalence: Equivalence | None = None
    deciding: Callable[[float], Interval | None] | None = None
    family_size: int | None = None
    bars: AbsenceBar | None = None
    run_doubt: str = ""
