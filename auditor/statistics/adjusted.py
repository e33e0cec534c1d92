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

MIN_CLUSTERS = 20
"""Fewer clusters tell too little of how much they differ for an interval to stand on."""
LEAST_ERROR = 1e-10
"""What rounding leaves of an error that is 0, in probability or slope: of clusters that are copies of one another."""
ALIKE = "no interval: nothing is left to vary"


@dataclass(frozen=True, slots=True)
class AdjustedDifference:
    """Two groups at equal controls.

    ``difference`` is the mean difference of the probability of a favourable outcome (or of the amount, in its unit),
    protected minus reference; ``odds_ratio`` the odds of denial over those of the reference, ``None`` for an amount.
    ``likelihood_ratio`` compares the fits with and without the group. ``controls`` are the columns held equal,
    ``dropped`` what was left out of them and why.
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
    Errors are of the sandwich kind, with the factor G/(G − 1)·(n − 1)/(n − k) for G clusters and k columns, and
    Student's quantiles of G − 1 degrees of freedom where there are clusters. The effect's error is the delta method's.
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
    codes, many = _cluster_codes(clusters, len(y))
    cover = _sandwich(design, fit.residuals, fit.information, codes, many)
    effect, gradient = _marginal(design, fit.coefficients)
    likelihood = max(0.0, 2 * (fit.log_likelihood - null.log_likelihood))
    kind = "clustered errors" if codes is not None else "robust errors"
    return AdjustedDifference(
        difference=_estimate(
            value=effect,
            error=math.sqrt(float(gradient @ cover @ gradient)),
            n=len(y),
            method=f"{method}, {kind}",
            clusters=many if codes is not None else None,
            level=level,
            counts=counts,
        ),
        odds_ratio=_odds(
            slope=float(fit.coefficients[-1]),
            error=math.sqrt(float(cover[-1, -1])),
            n=len(y),
            kind=kind,
            clusters=many if codes is not None else None,
            level=level,
            counts=counts,
        ),
        likelihood_ratio=Significance(float(stats.chi2.sf(likelihood, 1)), "likelihood ratio", likelihood),
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
    codes, many = _cluster_codes(clusters, len(amounts))
    cover = _sandwich(design, residuals, gram, codes, many)
    kind = "clustered errors" if codes is not None else "robust errors"
    difference = _estimate(
        value=float(coefficients[-1]),
        error=math.sqrt(float(cover[-1, -1])),
        n=len(amounts),
        method=f"{method}, {kind}",
        clusters=many if codes is not None else None,
        level=level,
        counts=counts,
        least=LEAST_ERROR * max(float(np.abs(amounts).max()), 1e-300),
    )
    return AdjustedDifference(difference, None, None, design.names, design.dropped)


def _marginal(design: AdjustedDesign, beta: FloatArray) -> tuple[float, FloatArray]:
    """Mean difference of the fitted probability between membership of either group, and its gradient."""
    total, gradient = 0.0, np.zeros(len(beta))
    for _, matrix in design.blocks():
        matrix[:, -1] = 0.0
        odds = matrix @ beta
        with_group, without = special.expit(odds + beta[-1]), special.expit(odds)
        total += float((with_group - without).sum())
        slope_1, slope_0 = with_group * (1 - with_group), without * (1 - without)
        gradient += matrix.T @ (slope_1 - slope_0)
        gradient[-1] += slope_1.sum()
    n = len(design.rows)
    return total / n, gradient / n


def _sandwich(
    design: AdjustedDesign, residuals: FloatArray, information: FloatArray, codes: IntArray | None, clusters: int
) -> FloatArray:
    width = design.width
    n = len(residuals)
    if codes is None:
        meat = np.zeros((width, width))
        for here, matrix in design.blocks():
            scores = matrix * residuals[here][:, None]
            meat += scores.T @ scores
    else:
        sums = np.zeros((clusters, width))
        for here, matrix in design.blocks():
            scores = matrix * residuals[here][:, None]
            for at in range(width):
                sums[:, at] += np.bincount(codes[here], weights=scores[:, at], minlength=clusters)
        meat = sums.T @ sums
    bread = np.linalg.inv(information)
    factor = clusters / max(clusters - 1, 1) * (n - 1) / max(n - width, 1)
    cover: FloatArray = factor * bread @ meat @ bread
    return cover


def _cluster_codes(clusters: npt.ArrayLike | None, n: int) -> tuple[IntArray | None, int]:
    if clusters is None:
        return None, n
    names, codes = np.unique(np.asarray(clusters), return_inverse=True)
    if codes.shape != (n,):
        raise ValueError(f"clusters must have shape ({n},), got {codes.shape}")
    return (None, n) if len(names) == n else (codes.astype(np.int64), len(names))


def _quantile(level: float, clusters: int | None) -> float:
    tail = (1 - check_level(level)) / 2
    return float(stats.norm.isf(tail) if clusters is None else stats.t.isf(tail, clusters - 1))


def _test(z: float, clusters: int | None) -> Significance:
    p = 2 * stats.norm.sf(abs(z)) if clusters is None else 2 * stats.t.sf(abs(z), clusters - 1)
    name = "Wald" if clusters is None else f"Wald, t of {clusters - 1} degrees of freedom"
    return Significance(p_value=float(p), method=name, statistic=z, sd_units=z)


def _too_few(clusters: int | None) -> str | None:
    if clusters is None or clusters >= MIN_CLUSTERS:
        return None
    return f"{clusters} clusters, at least {MIN_CLUSTERS} needed for an interval or a test"


def _estimate(
    *,
    value: float,
    error: float,
    n: int,
    method: str,
    clusters: int | None,
    level: float,
    counts: dict[str, int | float | str],
    least: float = LEAST_ERROR,
) -> Estimate:
    known = counts if clusters is None else {**counts, "clusters": clusters}
    reason = _too_few(clusters) or (None if error > least else ALIKE)
    if reason:
        return Estimate(value=value, n=n, method=method, reason=reason, counts=known)

    def interval(wanted: float) -> Interval:
        reach = _quantile(wanted, clusters) * error
        return Interval(value - reach, value + reach, wanted, "Wald, sandwich errors")

    return Estimate(
        value=value,
        n=n,
        method=method,
        interval=interval(level),
        tost_interval=interval(tost_level(level)),
        test=_test(value / error, clusters),
        counts={**known, "standard_error": error},
    )


def _odds(
    *,
    slope: float,
    error: float,
    n: int,
    kind: str,
    clusters: int | None,
    level: float,
    counts: dict[str, int | float | str],
) -> Estimate:
    # The fit is of the favourable outcome: odds of denial are its inverse.
    method = f"conditional denial odds ratio, logistic regression, {kind}"
    known = counts if clusters is None else {**counts, "clusters": clusters}
    if reason := _too_few(clusters) or (None if error > LEAST_ERROR else ALIKE):
        return Estimate(value=math.exp(-slope), n=n, method=method, reason=reason, counts=known)
    reach = _quantile(level, clusters) * error
    return Estimate(
        value=math.exp(-slope),
        n=n,
        method=method,
        interval=Interval(math.exp(-slope - reach), math.exp(-slope + reach), level, "Wald, sandwich errors"),
        test=_test(-slope / error, clusters),
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
