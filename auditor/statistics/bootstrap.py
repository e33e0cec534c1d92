"""The clustered bootstrap: base profiles are resampled with all their pairs and replicates."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from auditor.statistics.many_cases import MANY, drawn_sums
from auditor.statistics.results import MIN_RESAMPLES, FloatArray, IntArray, Interval, check_level, floats, same_length

BLOCK_CELLS = 2_000_000  # weights held at once: 16 MB, whatever the number of clusters
NUMBERED = 8
"""How many times as large as their count whole numbers of clusters may be to be looked up and not sorted."""
MAX_UNDEFINED = 0.05  # share of resamples that may lack the statistic before the interval is withheld


EXPANDED = "clustered bootstrap, expanded percentile"


@dataclass(frozen=True, slots=True)
class BootstrapSample:
    """The resampled values of one statistic.

    ``values`` has one entry a resample; NaN marks a resample in which the statistic has no value. ``clusters`` is the
    number of base profiles drawn from. A percentile interval is too narrow for few of them: resampling k profiles
    gives (k − 1)/k of the variance, and normal instead of t tails. With ``clusters`` the percentiles are taken
    further out, at Φ(−t·√(k/(k − 1))) with t the quantile of k − 1 degrees of freedom (Hesterberg 2015, "expanded
    percentile"); for many clusters that is the plain percentile.
    """

    values: FloatArray
    clusters: int | None = None

    @property
    def undefined(self) -> float:
        """Share of resamples without a value."""
        return float(np.mean(np.isnan(self.values)))

    def interval(self, level: float) -> Interval | None:
        """Interval over the resamples that have a value; ``None`` if more than 5% have none."""
        check_level(level)
        if self.undefined > MAX_UNDEFINED:
            return None
        tail = self._expanded((1 - level) / 2)
        low, high = np.nanquantile(self.values, [tail, 1 - tail])
        return Interval(
            float(low), float(high), level, EXPANDED if self.clusters else "clustered bootstrap, percentile"
        )

    def one_sided_p(self, bound: float, *, above: bool) -> float | None:
        """The smallest α at which the one-sided interval excludes ``bound``; ``None`` where no interval is given.

        Parameters
        ----------
        bound
            The value tested, for example minus the equivalence margin.
        above
            Whether the claim is that the statistic lies above ``bound`` (otherwise below it).

        Notes
        -----
        The exact inverse of `interval`, at least 1/(resamples + 1): B resamples say nothing of rarer events.
        """
        if self.undefined > MAX_UNDEFINED:
            return None
        values = self.values[~np.isnan(self.values)]
        values = np.sort(values if above else -values)
        bound = bound if above else -bound
        passed = int(np.searchsorted(values, bound, side="right"))
        least = 1 / (len(values) + 1)
        if passed == len(values):
            return 1.0
        tail = 0.0
        if passed:
            step = values[passed] - values[passed - 1]
            tail = (passed - 1 + (bound - values[passed - 1]) / step) / (len(values) - 1)
        return max(self._contracted(max(tail, least)), least)

    def equivalence_p(self, margin: float) -> float | None:
        """The larger one-sided p against ±``margin``: the smallest α whose 1 − 2α interval lies inside."""
        low, high = self.one_sided_p(-margin, above=True), self.one_sided_p(margin, above=False)
        return None if low is None or high is None else max(low, high)

    def _expanded(self, tail: float) -> float:
        """The percentile that serves as the bound for ``tail``."""
        if self.clusters is None or self.clusters < 2:
            return tail
        stretch = math.sqrt(self.clusters / (self.clusters - 1))
        return float(stats.norm.sf(stretch * stats.t.isf(tail, self.clusters - 1)))

    def _contracted(self, percentile: float) -> float:
        """The inverse of `_expanded`."""
        if self.clusters is None or self.clusters < 2:
            return percentile
        stretch = math.sqrt(self.clusters / (self.clusters - 1))
        return float(stats.t.sf(stats.norm.isf(percentile) / stretch, self.clusters - 1))


def cluster_codes(clusters: npt.ArrayLike | None, *, n: int) -> tuple[IntArray, int]:
    """Number clusters 0, 1, … in sorted order; without ``clusters`` every row is its own.

    Returns
    -------
    tuple
        Codes, shape (n,), and the number of clusters.
    """
    if clusters is None:
        return np.arange(n, dtype=np.int64), n
    labels: npt.NDArray[Any] = np.asarray(clusters)
    if labels.shape != (n,):
        raise ValueError(f"clusters must have shape ({n},), got {labels.shape}")
    if labels.dtype.kind in "iu" and n and int(labels.min()) >= 0 and int(labels.max()) < NUMBERED * n:
        # The same numbers without sorting a million of them.
        seen = np.zeros(int(labels.max()) + 1, dtype=np.bool_)
        seen[labels] = True
        ranks = np.cumsum(seen) - 1
        return ranks[labels].astype(np.int64, copy=False), int(ranks[-1]) + 1
    names, codes = np.unique(labels, return_inverse=True)
    return codes.astype(np.int64), len(names)


def cluster_totals(columns: FloatArray, *, codes: IntArray, clusters: int) -> FloatArray:
    """Sum the rows of ``columns``, shape (n, m), within clusters: shape (clusters, m)."""
    if clusters == len(columns) and np.array_equal(codes, np.arange(clusters)):
        return columns  # every row is its own: a copy of a million of them says nothing more
    return np.column_stack([np.bincount(codes, weights=column, minlength=clusters) for column in columns.T])


def resample_weights(*, clusters: int, resamples: int, seed: int) -> Iterator[FloatArray]:
    """How often each cluster is drawn, in blocks of shape (block, clusters) that together hold all ``resamples``.

    Blocks bound the memory. Their size follows from ``clusters`` alone, so one seed gives one sequence. What fits into
    one block is kept: an audit asks for the same resamples for every contrast. The arrays must not be written to.
    """
    if clusters < 1:
        raise ValueError("at least one cluster is needed to resample")
    _check_resamples(resamples)
    if clusters * resamples <= BLOCK_CELLS:
        yield _kept_weights(clusters, resamples, seed)
        return
    generator = np.random.default_rng(seed)
    block = max(1, BLOCK_CELLS // clusters)
    for start in range(0, resamples, block):
        yield _drawn_weights(generator, clusters, min(block, resamples - start))


def _check_resamples(resamples: int) -> None:
    if resamples < MIN_RESAMPLES:
        raise ValueError(f"resamples must be at least {MIN_RESAMPLES}, got {resamples}")


@lru_cache(maxsize=2)
def _kept_weights(clusters: int, resamples: int, seed: int) -> FloatArray:
    weights = _drawn_weights(np.random.default_rng(seed), clusters, resamples)
    weights.setflags(write=False)
    return weights


def _drawn_weights(generator: np.random.Generator, clusters: int, rows: int) -> FloatArray:
    draws = generator.integers(0, clusters, size=(rows, clusters))
    draws += np.arange(rows)[:, None] * clusters
    weights = np.bincount(draws.ravel(), minlength=rows * clusters)
    return weights.reshape(rows, clusters).astype(np.float64)


def bootstrap_totals(
    *,
    totals: FloatArray,
    statistic: Callable[[FloatArray], FloatArray],
    resamples: int = MIN_RESAMPLES,
    seed: int = 0,
) -> BootstrapSample:
    """Bootstrap any statistic that is a function of sums over cases.

    Parameters
    ----------
    totals
        Per-cluster sums, shape (clusters, m).
    statistic
        Maps resampled sums, shape (block, m), to values, shape (block,); NaN where it has no value.
    resamples
        Number of resamples, at least 2,000.
    seed
        Fixes the resamples.

    Raises
    ------
    ValueError
        For no cluster or too few resamples.

    Notes
    -----
    From `many_cases.MANY` clusters on the sums of resamples are drawn directly.
    """
    if len(totals) > MANY:
        sums = resampled_sums(totals=totals, resamples=resamples, seed=seed)
        return sample_of(sums, statistic, clusters=len(totals))
    values: list[FloatArray] = []
    for weights in resample_weights(clusters=len(totals), resamples=resamples, seed=seed):
        with np.errstate(divide="ignore", invalid="ignore"):
            result = np.asarray(statistic(weights @ totals), dtype=np.float64)
        values.append(np.where(np.isfinite(result), result, np.nan))
    return BootstrapSample(np.concatenate(values), len(totals))


def resampled_sums(*, totals: FloatArray, resamples: int = MIN_RESAMPLES, seed: int = 0) -> FloatArray:
    """The sums of every resample, shape (resamples, m): drawn once for several statistics of the same totals."""
    if len(totals) > MANY:
        _check_resamples(resamples)
        return drawn_sums(totals, resamples=resamples, seed=seed)
    drawn = resample_weights(clusters=len(totals), resamples=resamples, seed=seed)
    return np.concatenate([weights @ totals for weights in drawn])


def sample_of(
    sums: FloatArray, statistic: Callable[[FloatArray], FloatArray], *, clusters: int | None
) -> BootstrapSample:
    """The values of one statistic over resampled ``sums``, shape (resamples, m); NaN where it has none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        result = np.asarray(statistic(sums), dtype=np.float64)
    return BootstrapSample(np.where(np.isfinite(result), result, np.nan), clusters)


@dataclass(frozen=True, slots=True)
class EffectiveSize:
    """How many independent rows clustered rows are worth.

    ``correlation`` is the intra-cluster correlation (one-way ANOVA estimator, may be negative), ``design_effect``
    1 + (m − 1)·max(correlation, 0) and ``effective_n`` n / design effect.
    """

    n: int
    clusters: int
    correlation: float | None
    design_effect: float
    effective_n: float
    reason: str | None = None


def effective_size(*, values: npt.ArrayLike, clusters: npt.ArrayLike) -> EffectiveSize:
    """Intra-cluster correlation and effective n (docs/statistics.md; Kish).

    Parameters
    ----------
    values
        Shape (n,), for example 0/1 outcomes or margins.
    clusters
        Shape (n,), the base profile of each row.

    Notes
    -----
    Unequal clusters: m = Σm²/n, which is the common size when they are equal. A negative correlation counts as 0, so
    clustering never adds information. Where the correlation cannot be estimated (no cluster has two rows, a single
    cluster, or values all alike) it is ``None`` with a reason; the design effect is then 1 without repeated rows and
    otherwise m, the worst case.
    """
    y = floats(values, name="values")
    n = len(y)
    if n == 0:
        raise ValueError("values must not be empty")
    codes, k = cluster_codes(clusters, n=n)
    same_length(values=y, clusters=codes)
    sizes = np.bincount(codes, minlength=k).astype(np.float64)
    m = float(np.sum(sizes**2) / n)
    if k == n:
        return EffectiveSize(n, k, None, 1.0, float(n), "no cluster has more than one row")
    if k == 1:
        return EffectiveSize(n, k, None, m, n / m, "all rows are in one cluster")
    means = np.bincount(codes, weights=y, minlength=k) / sizes
    between = float(np.sum(sizes * (means - y.mean()) ** 2) / (k - 1))
    within = float(np.sum((y - means[codes]) ** 2) / (n - k))
    typical = (n - float(np.sum(sizes**2)) / n) / (k - 1)
    spread = between + (typical - 1) * within
    if spread <= 1e-12 * max(1.0, float(np.max(np.abs(y))) ** 2):
        return EffectiveSize(n, k, None, m, n / m, "all values are alike")
    correlation = (between - within) / spread
    design = 1 + (m - 1) * max(correlation, 0.0)
    return EffectiveSize(n, k, correlation, design, n / design)
