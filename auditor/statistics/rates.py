"""Rates of favourable outcomes and what separates two groups' rates (docs/statistics.md).

Every denominator is all cases sent, refusals and unreadable answers included. Protected minus reference throughout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy.typing as npt
from scipy import stats

from auditor.statistics.results import (
    Estimate,
    Interval,
    Significance,
    booleans,
    check_level,
    missing,
    tost_level,
)

TestRule = Literal["by size", "fisher", "pooled z"]
FISHER_BELOW = 30
EXPECTED_CELL = 5
TWO_RATE_RULE = (
    f"Fisher's exact test where the two groups together hold fewer than {FISHER_BELOW} cases, an expected cell is "
    f"below {EXPECTED_CELL} or a cell is empty; otherwise the pooled z test"
)
"""The rule that chooses the test of a 2×2 table, in words: every card and document quotes it from here.

One table has one test: difference, ratio, odds and shortfall of the same two groups carry the same p-value.
"""


@dataclass(frozen=True, slots=True)
class Tally:
    """Favourable cases among all cases of one group."""

    favourable: int
    n: int

    def __post_init__(self) -> None:
        if isinstance(self.n, float) or isinstance(self.favourable, float):
            raise ValueError(f"counts must be whole numbers, got {self.favourable} of {self.n}")
        if not 0 <= self.favourable <= self.n:
            raise ValueError(f"favourable must lie between 0 and n, got {self.favourable} of {self.n}")

    @classmethod
    def of(cls, outcomes: npt.ArrayLike) -> Tally:
        """Count 0/1 outcomes, shape (n,)."""
        values = booleans(outcomes, name="outcomes")
        return cls(int(values.sum()), len(values))

    @property
    def rate(self) -> float:
        """favourable / n; ValueError for an empty group."""
        if self.n == 0:
            raise ValueError("an empty group has no rate")
        return self.favourable / self.n


def _counts(protected: Tally, reference: Tally) -> dict[str, int | float | str]:
    return {"k_p": protected.favourable, "n_p": protected.n, "k_0": reference.favourable, "n_0": reference.n}


def _empty(method: str, protected: Tally, reference: Tally) -> Estimate | None:
    if protected.n and reference.n:
        return None
    which = "protected" if not protected.n else "reference"
    return missing(
        method=method,
        reason=f"the {which} group has no cases",
        n=protected.n + reference.n,
        **_counts(protected, reference),
    )


def _confint(tally: Tally, *, level: float, method: Literal["wilson", "beta"]) -> tuple[float, float]:
    from statsmodels.stats.proportion import proportion_confint  # it loads pandas: the site starts without both

    low, high = proportion_confint(tally.favourable, tally.n, alpha=1 - check_level(level), method=method)
    return float(low), float(high)


def wilson(tally: Tally, *, level: float) -> Interval:
    """Wilson score interval of a rate (Wilson 1927). ValueError for an empty group."""
    if tally.n == 0:
        raise ValueError("an empty group has no interval")
    low, high = _confint(tally, level=level, method="wilson")
    # At 0 and n the bound is exactly 0 or 1; rounding would leave ±1e-17.
    return Interval(
        0.0 if tally.favourable == 0 else low,
        1.0 if tally.favourable == tally.n else high,
        level,
        "Wilson",
    )


def clopper_pearson(tally: Tally, *, level: float) -> Interval:
    """Exact (Clopper–Pearson) interval of a rate. ValueError for an empty group."""
    if tally.n == 0:
        raise ValueError("an empty group has no interval")
    low, high = _confint(tally, level=level, method="beta")
    return Interval(low, high, level, "Clopper–Pearson")


def selection_rate(tally: Tally, *, level: float, exact: bool = False) -> Estimate:
    """Share of favourable cases, k/n, with Wilson's interval (or Clopper–Pearson's when ``exact``)."""
    if tally.n == 0:
        return missing(method="selection rate", reason="the group has no cases", n=0)
    interval = clopper_pearson(tally, level=level) if exact else wilson(tally, level=level)
    return Estimate(
        value=tally.rate, n=tally.n, method="selection rate", interval=interval, counts={"k": tally.favourable}
    )


def pooled_z(*, protected: Tally, reference: Tally) -> float | None:
    """Two-proportion z with pooled variance, protected minus reference; ``None`` when all outcomes are alike."""
    n_p, n_0 = protected.n, reference.n
    if not n_p or not n_0:
        return None
    total = protected.favourable + reference.favourable
    if total in (0, n_p + n_0):
        return None
    pooled = total / (n_p + n_0)
    return (protected.rate - reference.rate) / math.sqrt(pooled * (1 - pooled) * (1 / n_p + 1 / n_0))


def two_rate_test(*, protected: Tally, reference: Tally, rule: TestRule = "by size") -> Significance | None:
    """Two-sided test that two rates are equal.

    Parameters
    ----------
    rule
        ``"by size"``: by `TWO_RATE_RULE` (after OFCCP practice). ``"fisher"`` and ``"pooled z"`` fix one test. Fix it
        in the plan.

    Returns
    -------
    Significance or None
        p, and z as SD units whichever test was chosen. ``None`` for an empty group, or where ``"pooled z"`` is fixed
        and has no variance.
    """
    n_p, n_0 = protected.n, reference.n
    if not n_p or not n_0:
        return None
    z = pooled_z(protected=protected, reference=reference)
    favourable = protected.favourable + reference.favourable
    n = n_p + n_0
    least_expected = min(n_p, n_0) * min(favourable, n - favourable) / n
    table = [
        [protected.favourable, n_p - protected.favourable],
        [reference.favourable, n_0 - reference.favourable],
    ]
    exact = n < FISHER_BELOW or least_expected < EXPECTED_CELL or min(min(row) for row in table) == 0
    if rule == "fisher" or (rule == "by size" and exact):
        p = float(stats.fisher_exact(table).pvalue)
        return Significance(p_value=min(1.0, p), method="Fisher exact", sd_units=z)
    if z is None:
        return None
    return Significance(
        p_value=float(2 * stats.norm.sf(abs(z))), method="pooled two-proportion z", statistic=z, sd_units=z
    )


def risk_difference(
    *,
    protected: Tally,
    reference: Tally,
    level: float,
    interval: Literal["newcombe", "wald"] = "newcombe",
    rule: TestRule = "by size",
) -> Estimate:
    """Difference of rates, r_p − r_0, with Newcombe's hybrid score interval (1998, method 10).

    ``interval="wald"`` gives the simple normal interval; it is for checks, not for reports.
    """
    method = "risk difference"
    if empty := _empty(method, protected, reference):
        return empty
    make = newcombe_interval if interval == "newcombe" else _wald
    return Estimate(
        value=protected.rate - reference.rate,
        n=protected.n + reference.n,
        method=method,
        interval=make(protected=protected, reference=reference, level=level),
        tost_interval=make(protected=protected, reference=reference, level=tost_level(level)),
        test=two_rate_test(protected=protected, reference=reference, rule=rule),
        counts=_counts(protected, reference),
    )


def newcombe_interval(*, protected: Tally, reference: Tally, level: float) -> Interval:
    """Newcombe's hybrid score interval for r_p − r_0 (1998, method 10). ValueError for an empty group."""
    difference = protected.rate - reference.rate
    p, r = wilson(protected, level=level), wilson(reference, level=level)
    low = difference - math.hypot(protected.rate - p.low, r.high - reference.rate)
    high = difference + math.hypot(p.high - protected.rate, reference.rate - r.low)
    return Interval(max(-1.0, low), min(1.0, high), level, "Newcombe hybrid score")


def _wald(*, protected: Tally, reference: Tally, level: float) -> Interval:
    difference = protected.rate - reference.rate
    variance = sum(tally.rate * (1 - tally.rate) / tally.n for tally in (protected, reference))
    reach = float(stats.norm.isf((1 - level) / 2)) * math.sqrt(variance)
    return Interval(difference - reach, difference + reach, level, "Wald")


def adverse_impact_ratio(*, protected: Tally, reference: Tally, level: float, rule: TestRule = "by size") -> Estimate:
    """Adverse impact ratio (AIR), r_p / r_0, with the interval on the log scale (Katz 1978).

    No favourable case in the protected group: AIR is 0 and has no log interval (the exact test and the risk difference
    speak); nor has it one where all of both groups are favourable. None in the reference group: AIR is undefined.
    Nothing is ever added to the counts.
    """
    method = "adverse impact ratio"
    if empty := _empty(method, protected, reference):
        return empty
    counts, n = _counts(protected, reference), protected.n + reference.n
    test = two_rate_test(protected=protected, reference=reference, rule=rule)
    if reference.favourable == 0:
        reason = "the reference group has no favourable case, so the ratio is undefined"
        return Estimate(value=None, n=n, method=method, test=test, reason=reason, counts=counts)
    if protected.favourable == 0:
        reason = "no interval on the log scale: the protected group has no favourable case"
        return Estimate(value=0.0, n=n, method=method, test=test, reason=reason, counts=counts)
    ratio = protected.rate / reference.rate
    spread = math.sqrt(
        1 / protected.favourable - 1 / protected.n + 1 / reference.favourable - 1 / reference.n,
    )
    if not spread:  # 5 of 5 beside 5 of 5 would be a ratio of exactly 1, with no room on either side
        reason = "no interval on the log scale: every case of both groups is favourable"
        return Estimate(value=ratio, n=n, method=method, test=test, reason=reason, counts=counts)
    return Estimate(
        value=ratio,
        n=n,
        method=method,
        interval=log_interval(ratio, spread, level),
        tost_interval=log_interval(ratio, spread, tost_level(level)),
        test=test,
        counts=counts,
    )


def log_interval(value: float, spread: float, level: float) -> Interval:
    """The interval of a ratio whose logarithm has the error ``spread``."""
    factor = math.exp(float(stats.norm.isf((1 - check_level(level)) / 2)) * spread)
    return Interval(value / factor, value * factor, level, "log normal")


def denial_odds_ratio(*, protected: Tally, reference: Tally, level: float, rule: TestRule = "by size") -> Estimate:
    """Odds of denial in the protected group over those in the reference group, with the test of the same 2×2 table.

    The estimate is the sample odds ratio ad/bc, not Fisher's conditional maximum-likelihood one. The interval is
    Woolf's (log normal), which is the Wald interval of a logistic regression on the group alone. For the ratio at equal
    legitimate factors see `auditor.statistics.regression`; both are printed. With an empty cell in the denominator the
    ratio is undefined; with one in the numerator it is 0 without an interval.
    """
    method = "denial odds ratio"
    if empty := _empty(method, protected, reference):
        return empty
    counts, n = _counts(protected, reference), protected.n + reference.n
    test = two_rate_test(protected=protected, reference=reference, rule=rule)
    denied_p, denied_0 = protected.n - protected.favourable, reference.n - reference.favourable
    if protected.favourable == 0 or denied_0 == 0:
        what = "nobody in the protected group was favoured" if denied_0 else "nobody in the reference group was denied"
        reason = f"{what}, so the odds ratio is undefined"
        return Estimate(value=None, n=n, method=method, test=test, reason=reason, counts=counts)
    ratio = (denied_p * reference.favourable) / (protected.favourable * denied_0)
    if ratio == 0:
        reason = "no interval on the log scale: a cell of the table is empty"
        return Estimate(value=0.0, n=n, method=method, test=test, reason=reason, counts=counts)
    cells = (denied_p, protected.favourable, denied_0, reference.favourable)
    spread = math.sqrt(sum(1 / cell for cell in cells))
    return Estimate(
        value=ratio, n=n, method=method, interval=log_interval(ratio, spread, level), test=test, counts=counts
    )


def shortfall(*, protected: Tally, reference: Tally, level: float, rule: TestRule = "by size") -> Estimate:
    """Favourable outcomes the protected group lacks at the reference rate, n_p·r_0 − k_p, in people.

    Positive is adverse. The interval is minus the risk difference's times n_p. A version with the pooled rate would be
    smaller; this is not it.
    """
    method = "shortfall at the reference rate"
    if empty := _empty(method, protected, reference):
        return empty
    difference = risk_difference(protected=protected, reference=reference, level=level, rule=rule)
    bounds = difference.interval
    assert bounds is not None  # noqa: S101 - both groups have cases, so Newcombe's interval exists
    return Estimate(
        value=protected.n * reference.rate - protected.favourable,
        n=difference.n,
        method=method,
        interval=Interval(-bounds.high * protected.n, -bounds.low * protected.n, level, bounds.method),
        test=difference.test,
        counts=difference.counts,
    )
