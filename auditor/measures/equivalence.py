"""Equivalence by two one-sided tests (TOST; docs/statistics.md)."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.measures.pairs import PairCounts, tango_interval, zero_event_bound
from auditor.measures.results import Interval, tost_level

MIN_DISCORDANT = 10


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Whether a difference lies within ``margin``, and the interval that says so; ``None`` with a reason if unknown."""

    established: bool | None
    margin: float
    interval: Interval | None
    reason: str | None = None


def tost(*, interval: Interval | None, margin: float, alpha: float = 0.05) -> Equivalence:
    """Equivalent if the 1 − 2α interval lies strictly inside (−margin, +margin): both one-sided tests reject at α.

    Parameters
    ----------
    interval
        At level 1 − 2α (90% for α = .05); ``None`` where there is none.
    margin
        Positive, in the unit of the interval, fixed before the run.

    Raises
    ------
    ValueError
        For a margin that is not positive or an interval at another level.
    """
    if not margin > 0:
        raise ValueError(f"margin must be positive, got {margin}")
    level = tost_level(1 - alpha)
    if interval is None:
        return Equivalence(None, margin, None, "there is no interval to test")
    if abs(interval.level - level) > 1e-9:
        raise ValueError(f"the interval must have level {level:g}, got {interval.level:g}")
    return Equivalence(interval.inside(margin), margin, interval)


def tost_pairs(
    *, counts: PairCounts, margin: float, clustered: Interval | None = None, alpha: float = 0.05
) -> Equivalence:
    """Equivalence of a net effect.

    Parameters
    ----------
    counts
        The pairs behind the effect.
    clustered
        Clustered bootstrap interval at level 1 − 2α. It is used with 10 or more discordant pairs. With fewer, Tango's
        interval takes its place, and with none the zero-event bound: a bootstrap of no flips is [0, 0] and would call
        any mute model equivalent.
    """
    if counts.n == 0:
        return Equivalence(None, margin, None, "there are no pairs")
    if counts.discordant >= MIN_DISCORDANT:
        return tost(interval=clustered, margin=margin, alpha=alpha)
    level = tost_level(1 - alpha)
    if counts.discordant:
        return tost(interval=tango_interval(counts, level=level), margin=margin, alpha=alpha)
    bound = zero_event_bound(counts.n, confidence=1 - alpha)
    return tost(interval=Interval(-bound, bound, level, "zero-event bound"), margin=margin, alpha=alpha)
