"""Rates as they may be shown: at the plan's level, without an interval on a handful of cases, or not at all."""

from __future__ import annotations

from dataclasses import replace

from auditor.measures.minimums import GROUP, unmet
from auditor.measures.rates import Tally, selection_rate
from auditor.measures.results import Estimate, missing


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
