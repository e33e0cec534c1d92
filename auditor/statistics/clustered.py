"""Rates and means where decisions belong together: several rows of one applicant, household or lender.

An interval and a test that take rows for people are too sure where rows of one cluster are decided alike. Both are
widened by linearisation: each row's part in the estimate is summed within its cluster, and the spread of those sums is
the error. The estimate itself stays. Where no two rows share a cluster, nothing changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from auditor.statistics.bootstrap import cluster_codes
from auditor.statistics.results import BoolArray, Estimate, FloatArray, IntArray, Interval, Significance

MIN_CLUSTERS = 20
"""Fewer clusters of equal size tell too little of how much they differ for an interval to stand on."""
Kind = Literal["difference", "ratio", "odds", "shortfall"]
SCORE_TEST = "cluster-robust score"
WIDENED = "widened for clusters"


@dataclass(frozen=True, eq=False)
class Together:
    """Which rows belong together.

    ``codes`` numbers each row's cluster, shape (n,), of ``clusters``. ``fewest`` is as how many clusters of equal size
    those of the part with the fewest count (a group, or a group's denials): (Σm)²/Σm² over its rows m. Its degrees of
    freedom are those of a test. ``grown`` is what leaving a row's cluster out does to what the row adds, shape (n,).
    """

    codes: IntArray
    clusters: int
    fewest: float
    grown: FloatArray

    @property
    def few(self) -> str:
        """Why there is no interval and no test; empty where there may be."""
        # Ten equal clusters are ten to the last digit of a division of whole numbers.
        if self.fewest >= MIN_CLUSTERS - 1e-9:
            return ""
        counted = f"{self.fewest:.1f}".removesuffix(".0")
        needed = f"at least {MIN_CLUSTERS} needed for an interval or a test"
        return f"the clusters of a group count as {counted} of equal size, {needed}"

    def error(self, influence: FloatArray) -> float:
        """The error of an estimate from what each row adds to it, shape (n,), rows of one cluster taken together.

        A jackknife over clusters: a cluster with a large share of its group has drawn the group's rate towards its own,
        so that its residuals are too small by that share.
        """
        sums = np.bincount(self.codes, weights=influence * self.grown, minlength=self.clusters)
        return math.sqrt((self.clusters - 1) / self.clusters * float(sums @ sums))

    def stretch(self, influence: FloatArray) -> float:
        """The error over that of rows that stand by themselves."""
        alone = math.sqrt(float(influence @ influence))
        if not alone:  # all of one outcome in both groups: clusters are all there is to count
            return math.sqrt(len(influence) / self.clusters)
        return self.error(influence) / alone

    def reach(self, level: float) -> float:
        """How many errors an interval reaches."""
        return float(stats.t.isf((1 - level) / 2, self.fewest - 1))

    def significance(self, z: float, method: str) -> Significance:
        """The test of a distance from nothing in errors, against Student's t."""
        return Significance(float(2 * stats.t.sf(abs(z), self.fewest - 1)), method, z, z)


def together(parts: npt.ArrayLike, clusters: npt.ArrayLike | None) -> Together | None:
    """How rows belong together; ``None`` where each stands by itself.

    Parameters
    ----------
    parts
        Shape (n,), whole numbers: which part of the estimate each row is in, such as its group.
    clusters
        Shape (n,), which rows belong together; by default each is its own.
    """
    part = np.asarray(parts).astype(np.int64)
    n = len(part)
    if clusters is None:
        return None
    codes, many = cluster_codes(clusters, n=n)
    if many == n:
        return None
    width = int(part.max()) + 1
    rows = np.bincount(codes * width + part, minlength=many * width).reshape(many, width)
    whole = rows.sum(axis=0)
    squares = (rows.astype(np.float64) ** 2).sum(axis=0)
    fewest = float((whole[whole > 0].astype(np.float64) ** 2 / squares[whole > 0]).min())
    with np.errstate(divide="ignore", invalid="ignore"):
        grown = 1 / (1 - rows / whole)
    grown[~np.isfinite(grown)] = 1.0  # one cluster is the whole part, which is too few for any error
    return Together(codes, many, fewest, grown[codes, part])


def widened(
    estimate: Estimate, belong: Together | None, influence: FloatArray, *, log: bool = False,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Estimate:  # fmt: skip
    """An estimate with the interval and the test that clusters leave it.

    Parameters
    ----------
    influence
        Shape (n,), what each row adds to the estimate (to its logarithm with ``log``), up to a common factor.
    bounds
        Between which the interval lies.

    Notes
    -----
    The interval keeps its form; its arms, or those of its logarithm, grow by the error of clusters over that of rows
    that stand by themselves, and by Student's quantile over the normal one. A test by z does alike.
    """
    if belong is None or (estimate.interval is None and estimate.test is None):
        return estimate
    counts = {**estimate.counts, "clusters": belong.clusters}
    if belong.few:
        return without(estimate, belong)
    stretch = belong.stretch(influence)
    made = [
        _stretched(estimate.value, each, belong, stretch, log=log, bounds=bounds)
        for each in (estimate.interval, estimate.tost_interval)
    ]
    test = estimate.test
    if test is not None and test.sd_units is not None and stretch:
        test = belong.significance(test.sd_units / stretch, f"{test.method}, {WIDENED}")
    return replace(estimate, interval=made[0], tost_interval=made[1], test=test, counts=counts)


def without(estimate: Estimate, belong: Together) -> Estimate:
    """The estimate without interval and test, for it has too few clusters."""
    counts = {**estimate.counts, "clusters": belong.clusters}
    reason = estimate.reason if estimate.value is None else belong.few
    return replace(estimate, interval=None, tost_interval=None, test=None, reason=reason, counts=counts)


def sure_enough(estimate: Estimate, belong: Together | None) -> Estimate:
    """An estimate whose interval is of resampled clusters: as it is, unless they are too few."""
    if belong is None or estimate.value is None:
        return estimate
    if belong.few:
        return without(estimate, belong)
    return replace(estimate, counts={**estimate.counts, "clusters": belong.clusters})


@dataclass(frozen=True, eq=False)
class ClusteredRows:
    """Rows of two groups, and which belong together.

    ``said`` are their outcomes, ``protected`` says whose they are, ``strata`` numbers the strata within which the
    groups are compared (one by default). All have shape (n,).
    """

    said: BoolArray
    protected: BoolArray
    clusters: npt.ArrayLike | None
    strata: IntArray | None = None

    def those(self, here: BoolArray) -> ClusteredRows:
        """Only those rows that are ``here``, shape (n,)."""
        clusters = None if self.clusters is None else np.asarray(self.clusters)[here]
        strata = None if self.strata is None else self.strata[here]
        return ClusteredRows(self.said[here], self.protected[here], clusters, strata)

    @cached_property
    def parts(self) -> ErrorParts | None:
        """What the error is made of; ``None`` where every row stands by itself."""
        belong = together(self.protected, self.clusters)
        if belong is None:
            return None
        n = len(self.said)
        strata = np.zeros(n, dtype=np.int64) if self.strata is None else self.strata
        side = self.protected.astype(np.int64)
        cell = strata * 2 + side
        width = 2 * (int(strata.max()) + 1)
        sizes = np.bincount(cell, minlength=width).reshape(-1, 2).astype(np.float64)
        good = np.bincount(cell, weights=self.said, minlength=width).reshape(-1, 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            rates, pooled = good / sizes, good.sum(axis=1) / sizes.sum(axis=1)
            share = sizes.prod(axis=1) / sizes.sum(axis=1)
            share = np.nan_to_num(share) / np.nan_to_num(share).sum()
            weights = share[:, None] / sizes * np.array([-1.0, 1.0])
        weights = np.nan_to_num(weights, posinf=0.0, neginf=0.0)
        y = self.said.astype(np.float64)
        row_rates = np.nan_to_num(rates)[strata, side]
        return ErrorParts(
            belong=belong,
            weights=weights[strata, side],
            own=y - row_rates,
            null=y - np.nan_to_num(pooled)[strata],
            rates=row_rates,
        )


@dataclass(frozen=True, eq=False)
class ErrorParts:
    """Residuals of rows about their own rate and about the pooled one, their weights, and how they belong together."""

    belong: Together
    weights: FloatArray
    own: FloatArray
    null: FloatArray
    rates: FloatArray

    def influence(self, kind: Kind) -> FloatArray:
        """What each row adds to a gap of this kind, to its logarithm where it is a ratio."""
        scale = {"ratio": self.rates, "odds": self.rates * (1 - self.rates)}.get(kind)
        found = self.weights * self.own
        # Where the rate of a group is 0 or 1 every residual is 0.
        return found if scale is None else np.divide(found, scale, out=np.zeros_like(found), where=scale > 0)


def widened_gap(estimate: Estimate, rows: ClusteredRows, *, kind: Kind) -> Estimate:
    """A gap of two groups' rates with the interval and the test that clusters leave it.

    Parameters
    ----------
    estimate
        As `rates` or `segmented` gives it of the same rows.
    kind
        What it is: the arms of the interval of differences and shortfalls grow, of ratios and odds those of its
        logarithm.

    Notes
    -----
    The test is one for all kinds, on the residuals about the pooled rate (a score test), against Student's t with one
    degree of freedom fewer than the group of fewer clusters has. Where the table alone would call for Fisher's test,
    the larger of both p-values stands.
    """
    if estimate.value is None and estimate.test is None:
        return estimate
    parts = rows.parts
    if parts is None:
        return estimate
    if parts.belong.few:
        return without(estimate, parts.belong)
    bounds = {"difference": (-1.0, 1.0), "shortfall": (-math.inf, math.inf)}.get(kind, (0.0, math.inf))
    found = widened(estimate, parts.belong, parts.influence(kind), log=kind in ("ratio", "odds"), bounds=bounds)
    counts = {**estimate.counts, "clusters": parts.belong.clusters}
    return replace(found, test=_score_test(estimate.test, parts), counts=counts)


def widened_rate(estimate: Estimate, said: BoolArray, clusters: npt.ArrayLike | None) -> Estimate:
    """The rate of one group with the interval that clusters leave it."""
    belong = together(np.zeros(len(said)), clusters)
    if belong is None or estimate.interval is None or estimate.value is None:
        return estimate
    return widened(estimate, belong, said.astype(np.float64) - estimate.value, bounds=(0.0, 1.0))


@dataclass(frozen=True, slots=True)
class MeanError:
    """The error of a difference of means where rows belong together, and how they do."""

    error: float
    belong: Together


def mean_error(values: FloatArray, protected: BoolArray, clusters: npt.ArrayLike | None) -> MeanError | None:
    """The error of a difference of means; ``None`` where each row stands by itself."""
    if protected.all() or not protected.any():
        return None
    belong = together(protected, clusters)
    if belong is None:
        return None
    means = np.where(protected, values[protected].mean(), values[~protected].mean())
    weights = np.where(protected, 1 / protected.sum(), -1 / (~protected).sum())
    return MeanError(belong.error(weights * (values - means)), belong)


def mean_test(
    values: FloatArray, protected: BoolArray, clusters: npt.ArrayLike | None, *, alone: Significance | None
) -> Significance | None:
    """The test of a difference of means: ``alone`` where rows stand by themselves; none of too few clusters."""
    found = mean_error(values, protected, clusters)
    if found is None or alone is None:
        return alone
    if found.belong.few or not found.error > 0:
        return None
    t = float(values[protected].mean() - values[~protected].mean()) / found.error
    return found.belong.significance(t, "t, cluster-robust")


@dataclass(frozen=True, slots=True)
class JackknifeSample:
    """A statistic of sums over clusters, and its error from leaving out one cluster after another.

    Of few clusters its interval holds the truth as often as it says, where percentiles of resampled clusters do not.
    """

    value: float
    error: float
    belong: Together
    log: bool = False

    def interval(self, level: float) -> Interval | None:
        """By Student's t; ``None`` of too few clusters, and where there is no error, or none without one of them."""
        if self.belong.few or not 0 < self.error < math.inf:
            return None
        reach = self.belong.reach(level) * self.error
        method = "jackknife of clusters, t"
        if self.log:
            return Interval(self.value * math.exp(-reach), self.value * math.exp(reach), level, f"{method} of the log")
        return Interval(self.value - reach, self.value + reach, level, method)


def jackknifed(
    totals: FloatArray, statistic: Callable[[FloatArray], FloatArray], belong: Together, *, log: bool = False
) -> JackknifeSample:
    """The jackknife of a statistic of sums.

    Parameters
    ----------
    totals
        Sums of each cluster, shape (clusters, m).
    statistic
        Maps sums, shape (k, m), to values, shape (k,); not finite where it has none.
    log
        Whether the interval is one of the logarithm.
    """
    whole = totals.sum(axis=0, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, without_one = statistic(whole)[0], statistic(whole - totals)
        apart = np.log(without_one / value) if log else without_one - value
    error = (
        math.sqrt((belong.clusters - 1) / belong.clusters * float(apart @ apart))
        if np.isfinite(apart).all()
        else math.inf
    )
    return JackknifeSample(float(value), error, belong, log)


def _score_test(alone: Significance | None, parts: ErrorParts) -> Significance | None:
    error = parts.belong.error(parts.weights * parts.null)
    if alone is None or not error > 0:
        return None
    found = parts.belong.significance(float(parts.weights @ parts.null) / error, SCORE_TEST)
    if alone.method.startswith("Fisher") and alone.p_value > found.p_value:
        method = f"{alone.method}, larger than by {SCORE_TEST}"
        return replace(found, p_value=alone.p_value, method=method)
    return found


def _stretched(
    value: float | None,
    interval: Interval | None,
    belong: Together,
    stretch: float,
    *,
    log: bool,
    bounds: tuple[float, float],
) -> Interval | None:
    if interval is None or value is None or (log and not value):
        return None
    by = stretch * belong.reach(interval.level) / float(stats.norm.isf((1 - interval.level) / 2))
    if log:
        low, high = value * (interval.low / value) ** by, value * (interval.high / value) ** by
    else:
        low, high = value - by * (value - interval.low), value + by * (interval.high - value)
    return Interval(max(bounds[0], low), min(bounds[1], high), interval.level, f"{interval.method}, {WIDENED}")
