"""Marginal applicants, as fair-lending examiners compare them: those near the line, and denials better than approvals.

After the interagency fair lending examination procedures: denied applicants of the protected group who look best are
set beside approved ones of the reference group who look worse. How an application looks is an index of its legitimate
factors, fitted to the decisions on the reference group alone; every reference application gets its index from the half
that it is not in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from auditor.statistics.bootstrap import cluster_codes
from auditor.statistics.clustered import MIN_CLUSTERS, ClusteredRows, together, widened, widened_gap, widened_rate
from auditor.statistics.designs import Control, make_design
from auditor.statistics.logit import fit_logit
from auditor.statistics.rates import Tally, selection_rate
from auditor.statistics.results import (
    BoolArray,
    Estimate,
    FloatArray,
    IntArray,
    Interval,
    Significance,
    check_level,
    missing,
    tost_level,
)
from auditor.statistics.segmented import segmented_impact

SLICES = 5
MIN_DENIED, MIN_APPROVED = 5, 20
"""Denials of the protected group and approvals of the reference below which examiners do not compare files this way."""


@dataclass(frozen=True, slots=True)
class Comparator:
    """One denied application of the protected group and an approved one of the reference that looks worse."""

    denied: int
    approved: int
    denied_index: float
    approved_index: float


@dataclass(frozen=True, slots=True)
class MarginalApplicants:
    """The comparison of marginal applicants.

    ``near`` are the tallies (protected, reference) of applications in the band around the line, by slices of equal
    look, and ``near_gap`` the difference of their rates at an equal look (Mantel–Haenszel over the slices).
    ``gap`` is how much likelier a denied protected applicant is to look better than an approved reference one than a
    denied reference applicant is: 0 where denials of both groups look alike. It describes and does not judge: a group
    whose applications look better or worse as a whole moves it under equal treatment too. ``outranking`` counts the
    protected denials that look better than at least ``MIN_APPROVED`` reference approvals, and ``outranking_rate`` is
    their share.
    """

    near: dict[str, tuple[Tally, Tally]]
    near_gap: Estimate
    gap: Estimate
    outranking: Tally
    outranking_rate: Estimate
    comparators: tuple[Comparator, ...]


def marginal_applicants(
    *,
    index: FloatArray,
    favourable: BoolArray,
    group: BoolArray,
    clusters: npt.ArrayLike | None = None,
    width: float = 0.10,
    shown: int = 20,
    level: float,
) -> MarginalApplicants:
    """Compare applications of two groups near the line.

    Parameters
    ----------
    index
        Shape (n,), how good each application looks by its legitimate factors; higher is better.
    favourable, group
        Shape (n,): the decision, and who is protected.
    clusters
        Shape (n,), which applications belong together; by default each is its own.
    width
        Share of the reference group on either side of the line that counts as near. The line is the index at which
        as many reference applications lie below as the reference group had denied.
    shown
        How many comparators are named, the best-looking denials first, each with the approval that looks worst.

    Notes
    -----
    The gap is the difference of two areas under the ROC curve with the approvals in common, with DeLong's variance;
    where applications belong together, with that of Obuchowski (1997), who sums DeLong's parts within clusters.
    """
    approved, denied = favourable & ~group, ~favourable & ~group
    refused = ~favourable & group
    slices = _slices(index, favourable, group, width)
    near = _near(slices, favourable, group)
    together_by = None if clusters is None else np.asarray(clusters)
    if near:
        here = slices >= 0
        rows = ClusteredRows(
            favourable[here], group[here], None if together_by is None else together_by[here], slices[here]
        )
        near_gap = segmented_impact(strata=near, level=level).difference
        near_gap = widened_gap(near_gap, _of_both(rows), kind="difference")
    else:
        near_gap = missing(method="difference near the line", reason="the reference group has no cases", n=0)
    rivals = np.sort(index[approved])
    # The twentieth worst approval: who looks better than it looks better than twenty.
    bar = rivals[MIN_APPROVED - 1] if len(rivals) >= MIN_APPROVED else np.inf
    above = index[refused] > bar
    outranking = Tally.of(above)
    return MarginalApplicants(
        near=near,
        near_gap=near_gap,
        gap=_gap(index, refused, denied, approved, together_by, level=level),
        outranking=outranking,
        outranking_rate=widened_rate(
            selection_rate(outranking, level=level), above, None if together_by is None else together_by[refused]
        ),
        comparators=_comparators(index, refused, approved, shown),
    )


def qualification_index(
    *,
    favourable: BoolArray,
    rows: IntArray,
    group: BoolArray,
    controls: Sequence[Control],
    clusters: npt.ArrayLike | None = None,
    seed: int = 0,
) -> FloatArray | str:
    """How good every application looks: log-odds of approval by its legitimate factors, as the reference is decided.

    Parameters
    ----------
    favourable, rows, group, controls
        As `adjusted.adjusted_rates` takes them.
    clusters
        Shape (n,), which applications belong together: they are in one half, where there are enough of them.
    seed
        Of the halves of the reference group.

    Returns
    -------
    array or str
        Shape (n,), or in words why there is none. Every application is judged by the fit to the half of the reference
        group that it is not in, those of the protected group being in halves too: none is judged by a fit to its own
        decision, and all by fits of one kind. The mean of both fits would be less noisy; who is judged by it looks, at
        one index, worse than who is judged by one of them, for a noisier index lies farther from what it stands for.
    """
    y = favourable.astype(np.float64)
    design = make_design(rows=rows, group=group, controls=controls, outcome=y)
    if isinstance(design, str):
        return design
    if design.width < 3:
        return "no legitimate factor tells applications apart"
    codes, many = cluster_codes(clusters, n=len(y))
    if many < MIN_CLUSTERS:  # one half might be empty, and no interval stands on so few
        codes, many = cluster_codes(None, n=len(y))
    half = (np.random.default_rng(seed).random(many) < 0.5)[codes]
    fits = [
        fit_logit(y, design, width=design.width - 1, weights=(~group & part).astype(float)) for part in (half, ~half)
    ]
    if fits[0] is None or fits[1] is None:
        return "the controls separate the reference group's decisions perfectly or the fit does not converge"
    index = np.empty(len(y))
    for here, matrix in design.blocks():
        by_half, by_other = (matrix[:, :-1] @ fit.coefficients for fit in fits if fit is not None)
        index[here] = np.where(half[here], by_other, by_half)
    return index


def _slices(index: FloatArray, favourable: BoolArray, group: BoolArray, width: float) -> IntArray:
    """Which slice near the line each application is in, −1 elsewhere; they hold equal shares of the reference group."""
    if not 0 < width < 0.5:
        raise ValueError(f"width must lie in (0, 0.5), got {width}")
    reference = index[~group]
    if not len(reference):
        return np.full(len(index), -1, dtype=np.int64)
    line = 1 - float(favourable[~group].mean())
    shares = np.linspace(max(0.0, line - width), min(1.0, line + width), SLICES + 1)
    edges = np.quantile(reference, shares)
    slices = np.clip(np.searchsorted(edges, index, side="right") - 1, 0, SLICES - 1)
    return np.where((index >= edges[0]) & (index <= edges[-1]), slices, -1)


def _near(slices: IntArray, favourable: BoolArray, group: BoolArray) -> dict[str, tuple[Tally, Tally]]:
    """Tallies of both groups by slice; nothing where the reference group has no application."""
    if group.all():
        return {}
    cell = (slices * 2 + group) * 2 + favourable
    counts = np.bincount(cell[slices >= 0], minlength=4 * SLICES).reshape(SLICES, 2, 2)
    return {
        f"slice {at + 1}": (Tally(int(both[1, 1]), int(both[1].sum())), Tally(int(both[0, 1]), int(both[0].sum())))
        for at, both in enumerate(counts)
    }


def _of_both(rows: ClusteredRows) -> ClusteredRows:
    """Rows of slices that hold both groups: others say nothing of a difference."""
    assert rows.strata is not None  # noqa: S101 - every application near the line is in a slice
    counts = np.bincount(rows.strata * 2 + rows.protected, minlength=2 * SLICES).reshape(-1, 2)
    both: BoolArray = np.all(counts > 0, axis=1)
    return rows.those(both[rows.strata])


def _gap(
    index: FloatArray,
    of_protected: BoolArray,
    of_reference: BoolArray,
    favoured: BoolArray,
    clusters: npt.NDArray[Any] | None,
    *,
    level: float,
) -> Estimate:
    method = "overlap of denials with approvals, protected less reference"
    refused, denied, approved = index[of_protected], index[of_reference], index[favoured]
    n = len(refused) + len(denied) + len(approved)
    counts: dict[str, int | float | str] = {
        "denied_p": len(refused), "denied_0": len(denied), "approved_0": len(approved),
    }  # fmt: skip
    for found, least, what in (
        (len(refused), MIN_DENIED, "denials in the protected group"),
        (len(denied), MIN_DENIED, "denials in the reference group"),
        (len(approved), MIN_APPROVED, "approvals in the reference group"),
    ):
        if found < least:
            return missing(method=method, reason=f"{found} {what}, at least {least} needed", n=n, **counts)
    of_refused, by_refused = _placements(refused, approved)
    of_denied, by_denied = _placements(denied, approved)
    value = float(of_refused.mean() - of_denied.mean())
    counts |= {"overlap_p": float(of_refused.mean()), "overlap_0": float(of_denied.mean())}
    variance = (
        float(of_refused.var(ddof=1)) / len(refused)
        + float(of_denied.var(ddof=1)) / len(denied)
        + float((by_refused - by_denied).var(ddof=1)) / len(approved)
    )
    if not variance > 1e-15:
        return Estimate(value=value, n=n, method=method, reason="no interval: nothing varies", counts=counts)
    error = math.sqrt(variance)

    def interval(wanted: float) -> Interval:
        reach = float(stats.norm.isf((1 - check_level(wanted)) / 2)) * error
        return Interval(max(-1.0, value - reach), min(1.0, value + reach), wanted, "DeLong")

    z = value / error
    plain = Estimate(
        value=value,
        n=n,
        method=method,
        interval=interval(level),
        tost_interval=interval(tost_level(level)),
        test=Significance(float(2 * stats.norm.sf(abs(z))), "DeLong z of two areas", z, z),
        counts=counts,
    )
    if clusters is None:
        return plain
    both = by_refused - by_denied
    influence = np.concatenate(
        [
            (of_refused - of_refused.mean()) / len(refused),
            (of_denied.mean() - of_denied) / len(denied),
            (both - both.mean()) / len(approved),
        ]
    )
    parts = np.repeat([0, 1, 2], [len(refused), len(denied), len(approved)])
    whose = np.concatenate([clusters[here] for here in (of_protected, of_reference, favoured)])
    return widened(plain, together(parts, whose), influence, bounds=(-1.0, 1.0))


def _placements(above: FloatArray, below: FloatArray) -> tuple[FloatArray, FloatArray]:
    """For each of ``above`` the share of ``below`` it exceeds, and for each of ``below`` the share that exceeds it."""
    return _share_below(above, below), 1 - _share_below(below, above)


def _share_below(values: FloatArray, others: FloatArray) -> FloatArray:
    """For each of ``values`` the share of ``others`` below it, ties one half."""
    # Sought in rising order: a million places in random order are a million misses of the cache.
    order = np.argsort(values)
    rising, among = values[order], np.sort(others)
    places = np.searchsorted(among, rising, side="left") + np.searchsorted(among, rising, side="right")
    found = np.empty(len(values))
    found[order] = places / (2 * len(among))
    return found


def _comparators(index: FloatArray, refused: BoolArray, approved: BoolArray, shown: int) -> tuple[Comparator, ...]:
    best: IntArray = np.flatnonzero(refused)
    best = best[np.argsort(-index[best], kind="stable")][:shown]
    worst: IntArray = np.flatnonzero(approved)
    worst = worst[np.argsort(index[worst], kind="stable")][:shown]
    return tuple(
        Comparator(int(d), int(a), float(index[d]), float(index[a]))
        for d, a in zip(best, worst, strict=False)
        if index[a] < index[d]
    )
