"""Calibration gap between two groups, with a permutation null (docs/statistics.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from auditor.statistics.bootstrap import BootstrapSample, cluster_codes, resampled_sums, sample_of
from auditor.statistics.clustered import JackknifeSample, Together, jackknifed, sure_enough, together
from auditor.statistics.many_cases import MANY, drawn_counts
from auditor.statistics.rates import Tally
from auditor.statistics.results import (
    MIN_RESAMPLES,
    SMALL_CELL,
    Estimate,
    FloatArray,
    IntArray,
    Interval,
    Significance,
    booleans,
    floats,
    missing,
    same_length,
)

BLOCK = 100_000
EMPTIED: Final = "too many resamples leave a bin empty, so no interval is given"


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Outcomes of both groups in one score bin [low, high); the first and last are open-ended."""

    protected: Tally
    reference: Tally
    skipped: bool


@dataclass(frozen=True, slots=True)
class CalibrationGap:
    """The largest gap over bins, and every bin, skipped ones included."""

    gap: Estimate
    bins: tuple[CalibrationBin, ...]


def quantile_edges(scores: npt.ArrayLike, *, bins: int) -> FloatArray:
    """Inner bin edges at the quantiles of the pooled scores, shape (≤ bins − 1,); fix them before the run."""
    values = floats(scores, name="scores")
    if bins < 1 or not len(values):
        raise ValueError("bins must be at least 1 and scores must not be empty")
    return np.unique(np.quantile(values, np.arange(1, bins) / bins))


def calibration_gap(
    *,
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    protected: npt.ArrayLike,
    edges: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    min_cell: int = SMALL_CELL,
    level: float,
    resamples: int = MIN_RESAMPLES,
    permutations: int = 10_000,
    seed: int = 0,
) -> CalibrationGap:
    """Largest |E[y | bin, protected] − E[y | bin, reference]| over score bins.

    Parameters
    ----------
    scores, labels, protected
        Shape (n,): score, 0/1 truth, and who is protected; everybody else is the reference.
    edges
        Inner bin edges, increasing; a score equal to an edge falls in the bin above it.
    clusters
        Which rows belong together; by default each is its own.
    min_cell
        Bins where either group has fewer cases are skipped and marked.

    Notes
    -----
    A maximum is biased upward, also under no difference: percentiles of it never hold a gap of 0. The interval is
    projected from those of the bins' gaps, as that of equalised odds is: the upper bound is the largest at the level,
    the lower bound the largest at the error shared among the bins. The p-value comes from permuting the group within
    bins: the protected favourable count in a bin is then hypergeometric and is drawn as such; p = (1 + #{≥ observed})/
    (R + 1). Rows that belong together are not exchangeable: under no difference the gaps of the bins then have the
    covariance of the residuals about the pooled shares, summed within clusters, and p comes from the largest of so many
    correlated t. Under 20 clusters of a group there is neither interval nor p.
    """
    y = floats(scores, name="scores")
    truth, in_p = booleans(labels, name="labels"), booleans(protected, name="protected")
    n = same_length(scores=y, labels=truth, protected=in_p)
    cuts = floats(edges, name="edges")
    if (np.diff(cuts) <= 0).any():
        raise ValueError("edges must increase")
    if min_cell < 1 or permutations < 1:
        raise ValueError("min_cell and permutations must be at least 1")
    where = np.searchsorted(cuts, y, side="right")
    bins: list[CalibrationBin] = []
    for index in range(len(cuts) + 1):
        here = where == index
        tally_p, tally_0 = Tally.of(truth[here & in_p]), Tally.of(truth[here & ~in_p])
        bins.append(CalibrationBin(tally_p, tally_0, min(tally_p.n, tally_0.n) < min_cell))
    kept = [index for index, item in enumerate(bins) if not item.skipped]
    method = "calibration gap, largest over bins"
    counts: dict[str, int | float | str] = {"bins": len(bins), "bins_skipped": len(bins) - len(kept)}
    if not kept:
        reason = f"no bin holds at least {min_cell} cases of both groups"
        return CalibrationGap(missing(method=method, reason=reason, n=n, **counts), tuple(bins))

    tallies = [tally for index in kept for tally in (bins[index].protected, bins[index].reference)]
    seen = np.array([number for tally in tallies for number in (tally.favourable, tally.n)], dtype=np.float64)
    value = float(np.abs(_gaps(seen[None, :])).max())
    codes, k = cluster_codes(clusters, n=n)
    belong = together(in_p, clusters)
    samples: Sequence[BootstrapSample | JackknifeSample]
    if k == n > MANY:
        samples = _resampled(_drawn(tallies, n=n, resamples=resamples, seed=seed), clusters=k)
    else:
        totals = _totals(codes, where, in_p, truth, clusters=k, bins=len(bins))[:, kept].reshape(k, -1)
        if belong is None:
            samples = _resampled(resampled_sums(totals=totals, resamples=resamples, seed=seed), clusters=k)
        else:
            samples = [jackknifed(totals, _GapOf(at), belong) for at in range(len(kept))]
    interval = _projected(samples, level=level)
    why = None if interval else EMPTIED
    if belong is None:
        test: Significance | None = _permutation([bins[index] for index in kept], value, permutations, seed)
    else:
        shown = [(where == index, bins[index]) for index in kept]
        test = None if belong.few else _largest_t(shown, truth, in_p, belong, value, draws=permutations, seed=seed)
    gap = Estimate(value=value, n=n, method=method, interval=interval, test=test, reason=why, counts=counts)
    return CalibrationGap(sure_enough(gap, belong), tuple(bins))


def _gaps(sums: FloatArray) -> FloatArray:
    """The gap of every bin, shape (resamples, bins); not finite where a resample empties the bin."""
    means = sums[:, 0::2] / sums[:, 1::2]
    gaps: FloatArray = means[:, 0::2] - means[:, 1::2]
    return gaps


@dataclass(frozen=True, slots=True)
class _GapOf:
    """The gap of one bin, as a statistic of sums."""

    at: int

    def __call__(self, sums: FloatArray) -> FloatArray:
        return _gaps(sums[:, 4 * self.at : 4 * self.at + 4])[:, 0]


def _resampled(sums: FloatArray, *, clusters: int) -> list[BootstrapSample]:
    """Every bin's gap over resampled sums."""
    return [sample_of(sums, _GapOf(at), clusters=clusters) for at in range(sums.shape[1] // 4)]


def _projected(samples: Sequence[BootstrapSample | JackknifeSample], *, level: float) -> Interval | None:
    """Bounds of the largest absolute gap from the intervals of every bin's."""
    bins = len(samples)
    outer = [sample.interval(level) for sample in samples]
    inner = [sample.interval(1 - (1 - level) / bins) for sample in samples]
    wide, sure = [one for one in outer if one], [one for one in inner if one]
    if len(wide) < bins or len(sure) < bins:
        return None
    low = max(max(0.0, one.low, -one.high) for one in sure)
    high = max(max(one.high, -one.low) for one in wide)
    return Interval(min(low, high), high, level, "projected from the intervals of every bin")


def _largest_t(
    bins: list[tuple[npt.NDArray[np.bool_], CalibrationBin]],
    truth: npt.NDArray[np.bool_],
    in_p: npt.NDArray[np.bool_],
    belong: Together,
    observed: float,
    *,
    draws: int,
    seed: int,
) -> Significance:
    sums = np.empty((belong.clusters, len(bins)))
    for at, (here, item) in enumerate(bins):
        pooled = (item.protected.favourable + item.reference.favourable) / (item.protected.n + item.reference.n)
        weights = np.where(in_p, 1 / item.protected.n, -1 / item.reference.n) * belong.grown * here
        sums[:, at] = np.bincount(belong.codes, weights=weights * (truth - pooled), minlength=belong.clusters)
    # The draws' covariance is that of the bins' gaps, whose root is taken where some of them do not vary.
    values, vectors = np.linalg.eigh(sums.T @ sums * (belong.clusters - 1) / belong.clusters)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    generator = np.random.default_rng(seed)
    freedom = belong.fewest - 1
    shrunk = np.sqrt(generator.chisquare(freedom, size=draws) / freedom)
    largest = np.abs(generator.normal(size=(draws, len(bins))) @ root.T).max(axis=1) / shrunk
    reached = int(np.sum(largest >= observed - 1e-12))
    return Significance(p_value=(1 + reached) / (draws + 1), method="largest of correlated t, cluster-robust")


def _totals(
    codes: IntArray,
    where: IntArray,
    in_p: npt.NDArray[np.bool_],
    truth: npt.NDArray[np.bool_],
    *,
    clusters: int,
    bins: int,
) -> FloatArray:
    """Favourable and all rows of either group (the protected first) by cluster and bin: (clusters, bins, 4)."""
    cell = ((codes * bins + where) * 2 + ~in_p) * 2 + ~truth
    counts = np.bincount(cell, minlength=clusters * bins * 4).reshape(clusters, bins, 2, 2).astype(np.float64)
    counts[..., 1] += counts[..., 0]
    return counts.reshape(clusters, bins, 4)


def _drawn(tallies: list[Tally], *, n: int, resamples: int, seed: int) -> FloatArray:
    """Resampled sums of the tallies, as their columns: favourable and adverse cells are drawn as counts."""
    cells = [count for tally in tallies for count in (tally.favourable, tally.n - tally.favourable)]
    counts = np.array([*cells, n - sum(cells)], dtype=np.int64)  # the last are in bins that are skipped
    drawn = drawn_counts(counts, resamples=resamples, seed=seed)[:, :-1]
    drawn[:, 1::2] += drawn[:, 0::2]
    return drawn


def _permutation(bins: list[CalibrationBin], observed: float, permutations: int, seed: int) -> Significance:
    generator = np.random.default_rng(seed)
    reached = 0
    for start in range(0, permutations, BLOCK):
        rows = min(BLOCK, permutations - start)
        largest = np.zeros(rows)
        for item in bins:
            favourable = item.protected.favourable + item.reference.favourable
            n_p, n_0 = item.protected.n, item.reference.n
            drawn = generator.hypergeometric(favourable, n_p + n_0 - favourable, n_p, size=rows)
            np.maximum(largest, np.abs(drawn / n_p - (favourable - drawn) / n_0), out=largest)
        reached += int(np.sum(largest >= observed - 1e-12))
    return Significance(p_value=(1 + reached) / (permutations + 1), method="permutation of groups within bins")
