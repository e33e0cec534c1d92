"""Rates and means where decisions belong together: several rows of one applicant, household or lender.

An interval and a test that take rows for people are too sure where rows of one cluster are decided alike. Both are
widened by linearisation: each row's part in the estimate is summed within its cluster, and the spread of those sums is
the error. The estimate itself stays. Where no two rows share a cluster, nothing changes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from auditor.statistics.adjusted import MIN_CLUSTERS
from auditor.statistics.bootstrap import cluster_codes
from auditor.statistics.results import BoolArray, Estimate, FloatArray, IntArray, Interval, Significance

Kind = Literal["difference", "ratio", "odds", "shortfall"]
SCORE_TEST = "cluster-robust score"
WIDENED = "widened for clusters"


@dataclass(frozen=True, eq=False)
class ClusteredRows:
    """ClusteredRows of two groups, and which belong together.

    ``said`` are their outcomes, ``protected`` says whose they are, ``strata`` numbers the strata within which the
    groups are compared (one by default). All have shape (n,).
    """

    said: BoolArray
    protected: BoolArray
    clusters: npt.ArrayLike | None
    strata: IntArray | None = None

    def parts(self) -> ErrorParts | None:
        """What the error is made of; ``None`` where every row stands by itself."""
        n = len(self.said)
        codes, many = cluster_codes(self.clusters, n=n)
        if many == n:
            return None
        strata = np.zeros(n, dtype=np.int64) if self.strata is None else self.strata
        cell = strata * 2 + self.protected
        width = 2 * (int(strata.max()) + 1) if n else 2
        sizes = np.bincount(cell, minlength=width).reshape(-1, 2).astype(np.float64)
        good = np.bincount(cell, weights=self.said, minlength=width).reshape(-1, 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            rates, pooled = good / sizes, good.sum(axis=1) / sizes.sum(axis=1)
            share = sizes.prod(axis=1) / sizes.sum(axis=1)
            share = np.nan_to_num(share) / np.nan_to_num(share).sum()
            weights = share[:, None] / sizes * np.array([-1.0, 1.0])
        weights = np.nan_to_num(weights, posinf=0.0, neginf=0.0)
        y = self.said.astype(np.float64)
        row_rates = np.nan_to_num(rates)[strata, self.protected.astype(np.int64)]
        fewest = min(len(np.unique(codes[self.protected])), len(np.unique(codes[~self.protected])))
        return ErrorParts(
            codes=codes,
            clusters=many,
            fewest=fewest,
            weights=weights[strata, self.protected.astype(np.int64)],
            own=y - row_rates,
            null=y - np.nan_to_num(pooled)[strata],
            rates=row_rates,
        )


@dataclass(frozen=True, eq=False)
class ErrorParts:
    """Residuals of rows about their own rate and about the pooled one, their weights, and their clusters.

    ``fewest`` is how many clusters the group with fewer of them has: its degrees of freedom are those of a test.
    """

    codes: IntArray
    clusters: int
    fewest: int
    weights: FloatArray
    own: FloatArray
    null: FloatArray
    rates: FloatArray

    def error(self, residuals: FloatArray) -> float:
        """The error of Σ weight · residual, with rows of one cluster taken together."""
        sums = np.bincount(self.codes, weights=self.weights * residuals, minlength=self.clusters)
        return math.sqrt(self.clusters / (self.clusters - 1) * float(sums @ sums))

    def stretch(self) -> float:
        """The error over that of rows that stand by themselves."""
        alone = math.sqrt(float(((self.weights * self.own) ** 2).sum()))
        if not alone:  # all of one outcome in both groups: clusters are all there is to count
            return math.sqrt(len(self.own) / self.clusters)
        return self.error(self.own) / alone

    def reach(self, level: float) -> float:
        """How many errors an interval reaches."""
        return float(stats.t.isf((1 - level) / 2, self.fewest - 1))


def widened_gap(estimate: Estimate, rows: ClusteredRows, *, kind: Kind) -> Estimate:
    """A gap of two groups' rates with the interval and the test that clusters leave it.

    Parameters
    ----------
    estimate
        As `rates` or `segmented` gives it of the same rows.
    kind
        What it is: differences and shortfalls keep the form of their interval, whose arms grow; ratios and odds get a
        log interval with the error of clusters.

    Notes
    -----
    The test is one for all kinds, on the residuals about the pooled rate (a score test), against Student's t with one
    degree of freedom fewer than the group of fewer clusters has. Where the table alone would call for Fisher's test,
    the larger of both p-values stands.
    """
    if estimate.value is None and estimate.test is None:
        return estimate
    parts = rows.parts()
    if parts is None:
        return estimate
    counts = {**estimate.counts, "clusters": parts.clusters}
    if parts.fewest < MIN_CLUSTERS:
        return _none(estimate, parts.fewest, counts)
    test = _test(estimate.test, parts)
    if kind in ("difference", "shortfall"):
        bounds = (-1.0, 1.0) if kind == "difference" else (-math.inf, math.inf)
        made = [_stretched(estimate.value, each, parts, bounds) for each in (estimate.interval, estimate.tost_interval)]
    else:
        made = [_logged(estimate.value, each, parts, kind) for each in (estimate.interval, estimate.tost_interval)]
    return replace(estimate, interval=made[0], tost_interval=made[1], test=test, counts=counts)


def widened_rate(estimate: Estimate, said: BoolArray, clusters: npt.ArrayLike | None) -> Estimate:
    """The rate of one group with the interval that clusters leave it."""
    n = len(said)
    codes, many = cluster_codes(clusters, n=n)
    if many == n or estimate.interval is None or estimate.value is None:
        return estimate
    counts = {**estimate.counts, "clusters": many}
    if many < MIN_CLUSTERS:
        return _none(estimate, many, counts)
    own = said.astype(np.float64) - estimate.value
    everybody = np.full(n, 1 / n)
    parts = ErrorParts(codes, many, many, everybody, own, own, np.full(n, estimate.value))
    made = _stretched(estimate.value, estimate.interval, parts, (0.0, 1.0))
    return replace(estimate, interval=made, counts=counts)


def mean_error(values: FloatArray, protected: BoolArray, clusters: npt.ArrayLike | None) -> tuple[float, int] | None:
    """The error of a difference of means and its degrees of freedom; ``None`` where each row stands by itself."""
    codes, many = cluster_codes(clusters, n=len(values))
    if many == len(values) or protected.all() or not protected.any():
        return None
    means = np.where(protected, values[protected].mean(), values[~protected].mean())
    weights = np.where(protected, 1 / protected.sum(), -1 / (~protected).sum())
    fewest = min(len(np.unique(codes[protected])), len(np.unique(codes[~protected])))
    own = values - means
    return ErrorParts(codes, many, fewest, weights, own, own, means).error(own), fewest - 1


def mean_test(
    values: FloatArray, protected: BoolArray, clusters: npt.ArrayLike | None, *, alone: Significance | None
) -> Significance | None:
    """The test of a difference of means: ``alone`` where rows stand by themselves; none of too few clusters."""
    found = mean_error(values, protected, clusters)
    if found is None or alone is None:
        return alone
    error, freedom = found
    if freedom + 1 < MIN_CLUSTERS or not error > 0:
        return None
    t = float(values[protected].mean() - values[~protected].mean()) / error
    p = float(2 * stats.t.sf(abs(t), freedom))
    return Significance(p_value=p, method="t, cluster-robust", statistic=t, sd_units=t)


def too_few(clusters: int) -> str:
    """Why there is no interval and no test."""
    return f"a group has {clusters} clusters, at least {MIN_CLUSTERS} needed for an interval or a test"


def _none(estimate: Estimate, clusters: int, counts: dict[str, int | float | str]) -> Estimate:
    why = estimate.reason or too_few(clusters)
    return replace(estimate, interval=None, tost_interval=None, test=None, reason=why, counts=counts)


def _test(alone: Significance | None, parts: ErrorParts) -> Significance | None:
    error = parts.error(parts.null)
    if alone is None or not error > 0:
        return None
    z = float(parts.weights @ parts.null) / error
    p, method = float(2 * stats.t.sf(abs(z), parts.fewest - 1)), SCORE_TEST
    if alone.method.startswith("Fisher") and alone.p_value > p:
        p, method = alone.p_value, f"{alone.method}, larger than by {SCORE_TEST}"
    return Significance(p_value=p, method=method, statistic=z, sd_units=z)


def _stretched(
    value: float | None, interval: Interval | None, parts: ErrorParts, bounds: tuple[float, float]
) -> Interval | None:
    if interval is None or value is None:
        return None
    by = parts.stretch() * parts.reach(interval.level) / float(stats.norm.isf((1 - interval.level) / 2))
    low, high = value - by * (value - interval.low), value + by * (interval.high - value)
    return Interval(max(bounds[0], low), min(bounds[1], high), interval.level, f"{interval.method}, {WIDENED}")


def _logged(value: float | None, interval: Interval | None, parts: ErrorParts, kind: Kind) -> Interval | None:
    if interval is None or not value:
        return None
    scale = parts.rates if kind == "ratio" else parts.rates * (1 - parts.rates)
    factor = math.exp(parts.reach(interval.level) * parts.error(parts.own / scale))
    return Interval(value / factor, value * factor, interval.level, f"{interval.method}, {WIDENED}")
