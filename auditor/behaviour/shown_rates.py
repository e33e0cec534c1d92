"""Rates as they may be shown: at the plan's level, without an interval on a handful of cases, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from auditor.statistics.minimums import GROUP, unmet
from auditor.statistics.rates import Tally, selection_rate
from auditor.statistics.results import Estimate, missing
from auditor.testing.context import Context

SEVERAL_ROWS = "some applicants have several rows, which this interval or test would count as several people"
REPLICATES = "every application was asked several times, which this interval or test would count as several people"


def of_people(estimate: Estimate, clusters: Sequence[str], *, context: Context) -> Estimate:
    """The estimate as it may be shown: without interval or test where rows of one applicant would count as people.

    ``clusters`` are the applications it is taken from.
    """
    if not context.repeats(clusters) or (estimate.interval is None and estimate.test is None):
        return estimate
    why = dependence(context)
    method = f"{estimate.method}, without interval or test: {why.partition(',')[0]}"
    reason = estimate.reason or why
    return replace(estimate, method=method, interval=None, tost_interval=None, test=None, reason=reason)


def dependence(context: Context) -> str:
    """Why rows of a run in which applicants repeat are not so many people."""
    return REPLICATES if context.replicates > 1 else SEVERAL_ROWS


def shown_rate(tally: Tally, *, level: float, hidden: str | None = None, exact: bool = False) -> Estimate:
    """Share of cases with Wilson's interval, or the exact one.

    Parameters
    ----------
    level
        Of the interval. Below the minimum of a group it is not given.
    hidden
        Why the rate is not shown; the number of cases goes with it, since the others' numbers would give it back.
    """
    if hidden is not None:
        return missing(method="selection rate", reason=hidden, n=0)
    rate = selection_rate(tally, level=level, exact=exact)
    short = unmet({GROUP: tally.n})
    if not short or rate.interval is None:
        return rate
    return replace(rate, interval=None, tost_interval=None, reason=f"no interval: {short[0]}")
