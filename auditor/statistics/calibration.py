"""Calibration gap between two groups, with a permutation null (docs/statistics.md)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from auditor.statistics.bootstrap import bootstrap_totals, cluster_codes, cluster_totals, sample_of
from auditor.statistics.many_cases import MANY, drawn_counts
from auditor.statistics.rates import Tally
from auditor.statistics.results import (
    MIN_RESAMPLES,
    SMALL_CELL,
    Estimate,
    FloatArray,
    Significance,
    booleans,
    floats,
    missing,
    same_length,
)

BLOCK = 100_000


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
        Base profile of each row, for the interval. With repeated profiles rows are not exchangeable and the p-value is
        withheld.
    min_cell
        Bins where either group has fewer cases are skipped and marked.

    Notes
    -----
    A maximum is biased upward, also under no difference, so the p-value comes from permuting the group within bins:
    the protected favourable count in a bin is then hypergeometric and is drawn as such.
    p = (1 + #{≥ observed})/(R + 1).
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

    def statistic(sums: FloatArray) -> FloatArray:
        means = sums[:, 0::2] / sums[:, 1::2]
        # A resample that empties a kept bin has no gap there; NaN marks it as undefined.
        gaps: FloatArray = np.max(np.abs(means[:, 0::2] - means[:, 1::2]), axis=1)
        return gaps

    tallies = [tally for index in kept for tally in (bins[index].protected, bins[index].reference)]
    seen = np.array([number for tally in tallies for number in (tally.favourable, tally.n)], dtype=np.float64)
    value = float(statistic(seen[None, :])[0])
    codes, k = cluster_codes(clusters, n=n)
    if k == n > MANY:
        sample = sample_of(_drawn(tallies, n=n, resamples=resamples, seed=seed), statistic, clusters=k)
    else:
        columns = np.column_stack(
            [part for index in kept for group in (in_p, ~in_p) for part in _columns((where == index) & group, truth)]
        )
        sample = bootstrap_totals(
            totals=cluster_totals(columns, codes=codes, clusters=k), statistic=statistic, resamples=resamples, seed=seed
        )
    reasons: list[str] = []
    interval = sample.interval(level)
    if interval is None:
        reasons.append("too many resamples leave a bin empty, so no interval is given")
    test = None
    if k == n:
        test = _permutation([bins[index] for index in kept], value, permutations, seed)
    else:
        reasons.append("profiles repeat, so rows are not exchangeable and no p-value is given")
    gap = Estimate(
        value=value, n=n, method=method, interval=interval, test=test, reason="; ".join(reasons) or None, counts=counts
    )
    return CalibrationGap(gap, tuple(bins))


def _columns(here: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    return (here & truth).astype(np.float64), here.astype(np.float64)


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
