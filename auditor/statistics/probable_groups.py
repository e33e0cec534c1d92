"""Two groups known only by probability: weighted and thresholded rates, and the gaps between them (docs/statistics.md).

Weighting generally understates a disparity and thresholding overstates it (arXiv 1811.11154): both are given, always.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from auditor.statistics.bootstrap import BootstrapSample, cluster_codes, cluster_totals, resampled_sums, sample_of
from auditor.statistics.clustered import (
    ClusteredRows,
    JackknifeSample,
    jackknifed,
    sure_enough,
    together,
    widened_gap,
)
from auditor.statistics.groups import thresholded_tally
from auditor.statistics.rates import Tally, adverse_impact_ratio, risk_difference
from auditor.statistics.results import (
    MIN_RESAMPLES,
    Estimate,
    FloatArray,
    Significance,
    booleans,
    floats,
    missing,
    same_length,
    tost_level,
)

WHOLE = 1e-6
MIN_EFFECTIVE = 30.0
"""Effective people below which a weighted rate carries no interval: the least group of a rate."""

MIN_OF_EACH = 10.0
"""Effective people of either outcome below which it carries none: with 5 to 8 intervals at 95 % held .90 of truths."""


@dataclass(frozen=True, slots=True)
class ProbableGap:
    """Both readings of one gap: by weights over everybody, and by a threshold over those who pass it.

    ``left_out`` are people whose probability reaches the threshold for neither group: thresholding says nothing of
    them.
    """

    weighted_difference: Estimate
    weighted_ratio: Estimate
    thresholded_difference: Estimate
    thresholded_ratio: Estimate
    protected: Tally
    reference: Tally
    left_out: int


def probable_gap(
    *,
    protected: npt.ArrayLike,
    reference: npt.ArrayLike,
    outcomes: npt.ArrayLike,
    cut: float,
    level: float,
    clusters: npt.ArrayLike | None = None,
    resamples: int = MIN_RESAMPLES,
    seed: int = 0,
) -> ProbableGap:
    """Difference and ratio of two groups' rates from each person's probabilities of belonging to them.

    Parameters
    ----------
    protected, reference
        Shape (n,): probabilities; their sum is at most 1 for everybody.
    outcomes
        Shape (n,), 0/1.
    cut
        Least probability at which thresholding counts somebody as a member, above one half, so that nobody is in both.

    clusters
        Shape (n,), which rows belong together; by default each is its own.

    Notes
    -----
    Weighted: intervals from resampling people, and p from the difference over its resampled error (normal); where rows
    belong together both from leaving out one cluster after another, with Student's t. People belong to both groups in
    part, so no test of two independent groups applies.
    Thresholded: Newcombe's and Katz's intervals and the table's own test, which take membership for known, widened
    where rows belong together.
    """
    p, r = floats(protected, name="protected"), floats(reference, name="reference")
    y = booleans(outcomes, name="outcomes")
    n = same_length(protected=p, reference=r, outcomes=y)
    if n and (min(p.min(), r.min()) < 0 or (p + r).max() > 1 + WHOLE):
        raise ValueError("probabilities must lie in [0, 1] and sum to at most 1 over both groups")
    if not 0.5 < cut <= 1:
        raise ValueError(f"cut must lie in (0.5, 1], got {cut}")
    in_p = thresholded_tally(probabilities=p, outcomes=y, cut=cut)
    in_0 = thresholded_tally(probabilities=r, outcomes=y, cut=cut)
    difference, ratio = _weighted(p, r, y, clusters, level=level, resamples=resamples, seed=seed)
    sure = (p >= cut) | (r >= cut)
    known = ClusteredRows(y[sure], p[sure] >= cut, None if clusters is None else np.asarray(clusters)[sure])
    thresholded = risk_difference(protected=in_p, reference=in_0, level=level)
    thresholded_ratio = adverse_impact_ratio(protected=in_p, reference=in_0, level=level)
    return ProbableGap(
        weighted_difference=difference,
        weighted_ratio=ratio,
        thresholded_difference=widened_gap(thresholded, known, kind="difference"),
        thresholded_ratio=widened_gap(thresholded_ratio, known, kind="ratio"),
        protected=in_p,
        reference=in_0,
        left_out=n - in_p.n - in_0.n,
    )


def _weighted(
    p: FloatArray,
    r: FloatArray,
    y: npt.NDArray[np.bool_],
    clusters: npt.ArrayLike | None,
    *,
    level: float,
    resamples: int,
    seed: int,
) -> tuple[Estimate, Estimate]:
    methods = ("probability-weighted difference", "probability-weighted ratio")
    n, masses = len(y), (float(p.sum()), float(r.sum()))
    for name, mass in zip(("protected", "reference"), masses, strict=True):
        if mass == 0:
            nobody = f"nobody has any probability of belonging to the {name} group"
            return missing(method=methods[0], reason=nobody, n=n), missing(method=methods[1], reason=nobody, n=n)
    effective = [mass**2 / float(each @ each) for mass, each in zip(masses, (p, r), strict=True)]
    counts: dict[str, int | float | str] = {"effective_n_p": effective[0], "effective_n_0": effective[1]}
    rates = [float(each @ y) / mass for each, mass in zip((p, r), masses, strict=True)]
    few = min(effective) < MIN_EFFECTIVE
    reason = f"fewer than {MIN_EFFECTIVE:g} effective people in a group" if few else None
    if not few and (few := min(_effective(each[y == side]) for each in (p, r) for side in (False, True)) < MIN_OF_EACH):
        reason = f"fewer than {MIN_OF_EACH:g} effective people of one outcome in a group"
    value = rates[0] - rates[1]
    if few:
        plain = Estimate(value=value, n=n, method=methods[0], reason=reason, counts=counts)
        if not rates[1]:
            return plain, missing(method=methods[1], reason="the reference rate is 0", n=n, **counts)
        return plain, Estimate(value=rates[0] / rates[1], n=n, method=methods[1], reason=reason, counts=counts)
    codes, many = cluster_codes(clusters, n=n)
    totals = cluster_totals(np.column_stack([p * y, p, r * y, r]), codes=codes, clusters=many)
    belong = together(np.zeros(n), clusters)
    sample: BootstrapSample | JackknifeSample
    shares: BootstrapSample | JackknifeSample
    if belong is None:
        sums = resampled_sums(totals=totals, resamples=resamples, seed=seed)
        sample, shares = (sample_of(sums, each, clusters=many) for each in (_gap, _ratio))
        error = float(np.nanstd(sample.values, ddof=1))
    else:
        sample, shares = jackknifed(totals, _gap, belong), jackknifed(totals, _ratio, belong, log=True)
        error = sample.error
    test = None
    if 0 < error < np.inf:
        z = value / error
        test = (
            Significance(float(2 * stats.norm.sf(abs(z))), "z of the resampled error", z, z)
            if belong is None
            else belong.significance(z, "t of clusters left out")
        )
    interval = sample.interval(level)
    difference = Estimate(
        value=value,
        n=n,
        method=methods[0],
        interval=interval,
        tost_interval=sample.interval(tost_level(level)),
        test=test,
        reason=None if interval else "too many resamples hold nobody of a group",
        counts=counts,
    )
    difference = sure_enough(difference, belong)
    if rates[1] <= 0:
        return difference, missing(method=methods[1], reason="the reference rate is 0", n=n, **counts)
    bounds = shares.interval(level)
    ratio = Estimate(
        value=rates[0] / rates[1],
        n=n,
        method=methods[1],
        interval=bounds,
        tost_interval=shares.interval(tost_level(level)),
        test=test,
        reason=None if bounds else "too many resamples hold nobody of a group",
        counts=counts,
    )
    return difference, sure_enough(ratio, belong)


def _effective(weights: FloatArray) -> float:
    """People of equal weight that so many unequal ones are worth; 0 of nobody."""
    squares = float(weights @ weights)
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def _gap(sums: FloatArray) -> FloatArray:
    found: FloatArray = sums[:, 0] / sums[:, 1] - sums[:, 2] / sums[:, 3]
    return found


def _ratio(sums: FloatArray) -> FloatArray:
    found: FloatArray = (sums[:, 0] / sums[:, 1]) / (sums[:, 2] / sums[:, 3])
    return found
