"""What is left of a difference between two groups at equal legitimate factors, with clustered errors.

For decisions a logistic regression: the conditional odds ratio, and the mean difference of the probability that each
case would have as a member of either group (average marginal effect). For amounts and prices a linear regression. Rows
are read in blocks, so that a million of them need no more memory than their own columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from auditor.rounding import significant
from auditor.statistics.clustered import Together, together
from auditor.statistics.designs import AdjustedDesign, Control, make_design
from auditor.statistics.logit import fit_logit
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

LEFT_OUT = 5_000
"""Clusters up to which each is left out in turn; of more a single one moves little, and the sandwich says the same."""
LEAST_ERROR = 1e-10
"""What rounding leaves of an error that is 0, in probability or slope: of clusters that are copies of one another."""
ALIKE = "no interval: nothing is left to vary"


@dataclass(frozen=True, slots=True)
class AdjustedDifference:
    """Two groups at equal controls.

    ``difference`` is the mean difference of the probability of a favourable outcome (or of the amount, in its unit),
    protected minus reference; ``odds_ratio`` the odds of denial over those of the reference, ``None`` for an amount.
    ``likelihood_ratio`` compares the fits with and without the group, ``None`` where rows belong together. ``controls``
    are the columns held equal, ``dropped`` what was left out of them and why.
    """

    difference: Estimate
    odds_ratio: Estimate | None
    likelihood_ratio: Significance | None
    controls: tuple[str, ...]
    dropped: dict[str, str]


def adjusted_rates(
    *,
    favourable: BoolArray,
    rows: IntArray,
    group: BoolArray,
    controls: Sequence[Control],
    clusters: npt.ArrayLike | None = None,
    level: float,
) -> AdjustedDifference:
    """Average marginal effect of the group on a favourable outcome, and its conditional denial odds ratio.

    Parameters
    ----------
    favourable
        Shape (n,), of ``rows``.
    rows
        Shape (n,): which rows of the controls these are.
    group
        Shape (n,), who is protected.
    controls
        The legitimate factors; not what the decision itself brought, no proxies of the attribute.
    clusters
        Shape (n,), what decisions have in common (an applicant, a branch); by default each is its own.

    Notes
    -----
    Errors of rows that stand alone are of the sandwich kind, with the factor (n − 1)/(n − k) for k columns. Where rows
    belong together they are those of leaving out one cluster after another (in one step of the fit), for which the
    sandwich is too sure of few or unequal clusters; of more than `LEFT_OUT` clusters the sandwich's, with the factor
    G/(G − 1)·(n − 1)/(n − k). Quantiles are then Student's. The effect's error is the delta method's.
    """
    y = favourable.astype(np.float64)
    method = "difference at equal controls, logistic regression, average marginal effect"
    counts = _counts(y, group)
    reason = _unvarying(favourable, group)
    design = reason or make_design(rows=rows, group=group, controls=controls, outcome=y)
    if isinstance(design, str):
        return _none(method, "conditional denial odds ratio, logistic regression", design, len(y), counts)
    fit = fit_logit(y, design, width=design.width)
    null = None if fit is None else fit_logit(y, design, width=design.width - 1, start=fit.coefficients[:-1].copy())
    if fit is None or null is None:
        reason = "the controls separate the outcome perfectly or the fit does not converge"
        return _none(method, "conditional denial odds ratio, logistic regression", reason, len(y), counts)
    belong = together(group, clusters)
    p = y - fit.residuals
    cover = _cover(design, fit.residuals, fit.information, belong, weights=p * (1 - p))
    effect, gradient = _marginal(design, fit.coefficients)
    likelihood = max(0.0, 2 * (fit.log_likelihood - null.log_likelihood))
    kind = "clustered errors" if belong is not None else "robust errors"
    return AdjustedDifference(
        difference=_estimate(
            value=effect,
            error=math.sqrt(float(gradient @ cover @ gradient)),
            n=len(y),
            method=f"{method}, {kind}",
            belong=belong,
            level=level,
            counts=counts,
        ),
        odds_ratio=_odds(
            slope=float(fit.coefficients[-1]),
            error=math.sqrt(float(cover[-1, -1])),
            n=len(y),
            kind=kind,
            belong=belong,
            level=level,
            counts=counts,
        ),
        # A likelihood takes every row for a case of its own.
        likelihood_ratio=Significance(float(stats.chi2.sf(likelihood, 1)), "likelihood ratio", likelihood)
        if belong is None
        else None,
        controls=design.names,
        dropped=design.dropped,
    )


def adjusted_amounts(
    *,
    amounts: FloatArray,
    rows: IntArray,
    group: BoolArray,
    controls: Sequence[Control],
    clusters: npt.ArrayLike | None = None,
    level: float,
) -> AdjustedDifference:
    """Mean difference of an amount or price at equal controls, least squares with errors as in `adjusted_rates`."""
    method = "difference at equal controls, least squares"
    counts: dict[str, int | float | str] = {"n_p": int(group.sum()), "n_0": int((~group).sum())}
    design = make_design(rows=rows, group=group, controls=controls, outcome=amounts)
    if not isinstance(design, str) and len(amounts) <= design.width:
        design = "fewer cases than columns"
    if isinstance(design, str):
        return AdjustedDifference(missing(method=method, reason=design, n=len(amounts), **counts), None, None, (), {})
    gram, moments = np.zeros((design.width, design.width)), np.zeros(design.width)
    centre = float(amounts.mean())
    for here, matrix in design.blocks():
        gram += matrix.T @ matrix
        moments += matrix.T @ (amounts[here] - centre)
    coefficients = np.linalg.solve(gram, moments)
    residuals = np.empty(len(amounts))
    for here, matrix in design.blocks():
        residuals[here] = amounts[here] - centre - matrix @ coefficients
    belong = together(group, clusters)
    cover = _cover(design, residuals, gram, belong)
    kind = "clustered errors" if belong is not None else "robust errors"
    difference = _estimate(
        value=float(coefficients[-1]),
        error=math.sqrt(float(cover[-1, -1])),
        n=len(amounts),
        method=f"{method}, {kind}",
        belong=belong,
        level=level,
        counts=counts,
        least=LEAST_ERROR * max(float(np.abs(amounts).max()), 1e-300),
    )
    return AdjustedDifference(difference, None, None, design.names, design.dropped)


def _marginal(design: AdjustedDesign, beta: FloatArray) -> tuple[float, FloatArray]:
    """Mean difference of the fitted probability between membership of either group, and its gradient."""
    total, gradient = 0.0, np.zeros(len(beta))
    for _, block in design.blocks():
        matrix = block.copy()
        matrix[:, -1] = 0.0
        odds = matrix @ beta
        with_group, without = special.expit(odds + beta[-1]), special.expit(odds)
        total += float((with_group - without).sum())
        slope_1, slope_0 = with_group * (1 - with_group), without * (1 - without)
        gradient += matrix.T @ (slope_1 - slope_0)
        gradient[-1] += slope_1.sum()
    n = len(design.rows)
    return total / n, gradient / n


def _cover(
    design: AdjustedDesign,
    residuals: FloatArray,
    information: FloatArray,
    belong: Together | None,
    *,
    weights: FloatArray | None = None,
) -> FloatArray:
    """The covariance of the coefficients; ``weights`` are what each row adds to the information, by default 1."""
    if belong is not None and belong.clusters <= LEFT_OUT:
        return _of_clusters_left_out(design, residuals, information, belong, weights)
    width, n = design.width, len(residuals)
    clusters = n if belong is None else belong.clusters
    if belong is None:
        meat = np.zeros((width, width))
        for here, matrix in design.blocks():
            scores = matrix * residuals[here][:, None]
            meat += scores.T @ scores
    else:
        sums = np.zeros((clusters, width))
        for here, matrix in design.blocks():
            scores = matrix * residuals[here][:, None]
            for at in range(width):
                sums[:, at] += np.bincount(belong.codes[here], weights=scores[:, at], minlength=clusters)
        meat = sums.T @ sums
    bread = np.linalg.inv(information)
    factor = clusters / max(clusters - 1, 1) * (n - 1) / max(n - width, 1)
    cover: FloatArray = factor * bread @ meat @ bread
    return cover


def _of_clusters_left_out(
    design: AdjustedDesign,
    residuals: FloatArray,
    information: FloatArray,
    belong: Together,
    weights: FloatArray | None,
) -> FloatArray:
    """Jackknife: how far the coefficients go where each cluster is left out, in one step of Newton's from the fit.

    For least squares the step is the whole way.
    """
    width = design.width
    sums, own = np.zeros((belong.clusters, width)), np.zeros((belong.clusters, width, width))
    for here, matrix in design.blocks():
        codes = belong.codes[here]
        order = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
        for rows in np.split(order, starts[1:]):
            part, cluster = matrix[rows], codes[rows[0]]
            sums[cluster] += residuals[here][rows] @ part
            own[cluster] += (part if weights is None else part * weights[here][rows][:, None]).T @ part
    # Pseudo-inverses: a level that one cluster alone has is gone with it.
    moved = (np.linalg.pinv(information - own, hermitian=True) @ sums[:, :, None])[:, :, 0]
    cover: FloatArray = (belong.clusters - 1) / belong.clusters * moved.T @ moved
    return cover


def _quantile(level: float, belong: Together | None) -> float:
    return float(stats.norm.isf((1 - check_level(level)) / 2)) if belong is None else belong.reach(level)


def _test(z: float, belong: Together | None) -> Significance:
    if belong is None:
        return Significance(p_value=float(2 * stats.norm.sf(abs(z))), method="Wald", statistic=z, sd_units=z)
    return belong.significance(z, f"Wald, t of {significant(belong.fewest - 1, 3)} degrees of freedom")


def _kind_of(belong: Together | None) -> str:
    left_out = belong is not None and belong.clusters <= LEFT_OUT
    return "Wald, errors of clusters left out" if left_out else "Wald, sandwich errors"


def _estimate(
    *,
    value: float,
    error: float,
    n: int,
    method: str,
    belong: Together | None,
    level: float,
    counts: dict[str, int | float | str],
    least: float = LEAST_ERROR,
) -> Estimate:
    known = counts if belong is None else {**counts, "clusters": belong.clusters}
    reason = (belong.few if belong else "") or (None if error > least else ALIKE)
    if reason:
        return Estimate(value=value, n=n, method=method, reason=reason, counts=known)

    def interval(wanted: float) -> Interval:
        reach = _quantile(wanted, belong) * error
        return Interval(value - reach, value + reach, wanted, _kind_of(belong))

    return Estimate(
        value=value,
        n=n,
        method=method,
        interval=interval(level),
        tost_interval=interval(tost_level(level)),
        test=_test(value / error, belong),
        counts={**known, "standard_error": error},
    )


def _odds(
    *,
    slope: float,
    error: float,
    n: int,
    kind: str,
    belong: Together | None,
    level: float,
    counts: dict[str, int | float | str],
) -> Estimate:
    # The fit is of the favourable outcome: odds of denial are its inverse.
    method = f"conditional denial odds ratio, logistic regression, {kind}"
    known = counts if belong is None else {**counts, "clusters": belong.clusters}
    if reason := (belong.few if belong else "") or (None if error > LEAST_ERROR else ALIKE):
        return Estimate(value=math.exp(-slope), n=n, method=method, reason=reason, counts=known)
    reach = _quantile(level, belong) * error
    return Estimate(
        value=math.exp(-slope),
        n=n,
        method=method,
        interval=Interval(math.exp(-slope - reach), math.exp(-slope + reach), level, _kind_of(belong)),
        test=_test(-slope / error, belong),
        counts=known,
    )


def _unvarying(favourable: BoolArray, group: BoolArray) -> str | None:
    if not len(favourable):
        return "there are no cases"
    for name, members in (("protected", group), ("reference", ~group)):
        if not members.any():
            return f"the {name} group has no cases"
        if favourable[members].all() or not favourable[members].any():
            return f"the outcome is the same in every case of the {name} group"
    return None


def _counts(y: FloatArray, group: BoolArray) -> dict[str, int | float | str]:
    return {"favourable": int(y.sum()), "n_p": int(group.sum()), "n_0": int((~group).sum())}


def _none(method: str, odds: str, reason: str, n: int, counts: dict[str, int | float | str]) -> AdjustedDifference:
    return AdjustedDifference(
        missing(method=method, reason=reason, n=n, **counts), missing(method=odds, reason=reason, n=n, **counts),
        None, (), {},
    )  # fmt: skip
