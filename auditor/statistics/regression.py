"""Odds ratio at equal legitimate factors, and how well a score ranks (docs/statistics.md, regression-adjusted)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from auditor.statistics.results import (
    Estimate,
    FloatArray,
    Interval,
    Significance,
    booleans,
    check_level,
    floats,
    missing,
    same_length,
)

MAX_LOG_ODDS = 15.0  # a coefficient beyond this in SDs of its column is separation, not an estimate


@dataclass(frozen=True, slots=True)
class ConditionalOddsRatio:
    """Odds ratio of the outcome for the group at equal controls.

    ``estimate`` has the Wald interval and test (its z is the SD units); ``likelihood_ratio`` tests the same coefficient
    by comparing the fits with and without the group. ``controls`` names what was held equal.
    """

    estimate: Estimate
    likelihood_ratio: Significance | None
    controls: tuple[str, ...]


def conditional_odds_ratio(
    *,
    outcome: npt.ArrayLike,
    group: npt.ArrayLike,
    controls: npt.ArrayLike,
    control_names: Sequence[str],
    level: float,
) -> ConditionalOddsRatio:
    """Logistic regression of the outcome on the group and stated controls.

    Parameters
    ----------
    outcome
        Shape (n,), 0/1; denied = 1 gives the conditional denial odds ratio.
    group
        Shape (n,), 1 for protected, 0 for reference.
    controls
        Shape (n, m), the legitimate factors; not the decision's own outputs, not proxies of the attribute.
    control_names
        m names, printed with the result.

    Returns
    -------
    ConditionalOddsRatio
        Without a value, and with the reason, where the outcome or the group does not vary, the columns are collinear,
        the data separate the outcome perfectly, or the fit does not converge.

    Raises
    ------
    ValueError
        For shapes that do not fit or numbers that are not finite.
    """
    y, g = booleans(outcome, name="outcome"), booleans(group, name="group")
    n = same_length(outcome=y, group=g)
    matrix = np.asarray(controls, dtype=np.float64)
    names = tuple(control_names)
    if matrix.shape != (n, len(names)):
        raise ValueError(f"controls must have shape ({n}, {len(names)}), got {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError("controls must hold finite numbers only")
    method = "conditional odds ratio, logistic regression"
    reason = _unfit(y, g)
    if reason is None:
        reason = _collinear(design := _design(g, matrix))
    if reason is not None:
        return ConditionalOddsRatio(missing(method=method, reason=reason, n=n), None, names)
    full, null = _fit(y, design), _fit(y, np.delete(design, 1, axis=1))
    if full is None or null is None:
        reason = "the controls separate the outcome perfectly or the fit does not converge"
        return ConditionalOddsRatio(missing(method=method, reason=reason, n=n), None, names)
    slope, error = full.slope, full.error
    z = slope / error
    reach = float(stats.norm.isf((1 - check_level(level)) / 2)) * error
    likelihood = max(0.0, 2 * (full.log_likelihood - null.log_likelihood))
    estimate = Estimate(
        value=math.exp(slope),
        n=n,
        method=method,
        interval=Interval(math.exp(slope - reach), math.exp(slope + reach), level, "Wald"),
        test=Significance(p_value=float(2 * stats.norm.sf(abs(z))), method="Wald", statistic=z, sd_units=z),
        counts={"outcomes": int(y.sum()), "n_p": int(g.sum()), "n_0": int(n - g.sum())},
    )
    ratio = Significance(p_value=float(stats.chi2.sf(likelihood, 1)), method="likelihood ratio", statistic=likelihood)
    return ConditionalOddsRatio(estimate, ratio, names)


def _unfit(y: npt.NDArray[np.bool_], g: npt.NDArray[np.bool_]) -> str | None:
    if y.all() or not y.any():
        return "the outcome is the same in every case"
    if g.all() or not g.any():
        return "only one of the two groups has cases"
    for name, members in (("protected", g), ("reference", ~g)):
        if y[members].all() or not y[members].any():
            return f"the outcome is the same in every case of the {name} group"
    return None


def _design(g: npt.NDArray[np.bool_], controls: FloatArray) -> FloatArray:
    """Intercept, group, controls in SDs (the group's coefficient does not depend on their units; the fit does)."""
    spread = controls.std(axis=0)
    scaled = (controls - controls.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.column_stack([np.ones(len(g)), g.astype(np.float64), scaled])


def _collinear(design: FloatArray) -> str | None:
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return (
            "the group and the controls are collinear (or a control is constant), so their effects cannot be told apart"
        )
    return None


@dataclass(frozen=True, slots=True)
class _Fit:
    slope: float
    error: float
    log_likelihood: float


def _fit(y: npt.NDArray[np.bool_], design: FloatArray) -> _Fit | None:
    # With what it brings along it takes as long to load as scipy, and most processes fit no model.
    import statsmodels.api as sm
    from statsmodels.tools.sm_exceptions import (
        ConvergenceWarning,
        HessianInversionWarning,
        PerfectSeparationError,
        PerfectSeparationWarning,
    )

    with warnings.catch_warnings():
        for category in (ConvergenceWarning, HessianInversionWarning, PerfectSeparationWarning, RuntimeWarning):
            warnings.simplefilter("error", category)
        try:
            fit = sm.Logit(y.astype(np.float64), design).fit(disp=0, method="newton", maxiter=100, tol=1e-12)
        except (
            ConvergenceWarning,
            HessianInversionWarning,
            PerfectSeparationWarning,
            PerfectSeparationError,
            RuntimeWarning,
            np.linalg.LinAlgError,
        ):
            return None
    if not np.isfinite(fit.params).all() or np.abs(fit.params[1:]).max(initial=0.0) > MAX_LOG_ODDS:
        return None
    slope, error = (float(fit.params[1]), float(fit.bse[1])) if design.shape[1] > 1 else (0.0, 1.0)
    if not error < MAX_LOG_ODDS:
        return None
    return _Fit(slope, error, float(fit.llf))


def auc(*, scores: npt.ArrayLike, labels: npt.ArrayLike, level: float) -> Estimate:
    """Area under the ROC curve with DeLong's variance (1988) and an interval on the scale of the logit.

    On the area's own scale the interval is too narrow with a few dozen cases a label (.93 of a nominal .95 at 20); its
    logit is nearer to normal (Pepe 2003, section 5.2), and no bound has to be cut at 0 or 1.

    Parameters
    ----------
    scores
        Shape (n,), higher means more likely 1. Ties count one half.
    labels
        Shape (n,), 0/1.

    Notes
    -----
    The test against 0.5 is made on the same scale: its p is at most 1 − level where the interval leaves 0.5 out.
    Missing with fewer than two cases of either label. A perfect ranking, or scores all alike, have no variance to
    estimate and get no interval.
    """
    y, truth = floats(scores, name="scores"), booleans(labels, name="labels")
    n = same_length(scores=y, labels=truth)
    ones, zeros = y[truth], y[~truth]
    counts: dict[str, int | float | str] = {"positives": len(ones), "negatives": len(zeros)}
    method = "area under the ROC curve"
    if min(len(ones), len(zeros)) < 2:
        return missing(method=method, reason="each label needs at least two cases", n=n, **counts)
    from sklearn.metrics import roc_auc_score  # loaded where an area is asked for: few processes do

    area = float(roc_auc_score(truth, y))
    # Share of the other label each case outranks, from ranks among all less ranks among its own.
    ranks = stats.rankdata(y)
    above = (ranks[truth] - stats.rankdata(ones)) / len(zeros)
    below = 1 - (ranks[~truth] - stats.rankdata(zeros)) / len(ones)
    variance = float(np.var(above, ddof=1) / len(ones) + np.var(below, ddof=1) / len(zeros))
    if variance <= 1e-15:
        reason = "no interval: a perfect ranking, or scores all alike, leave no variance to estimate"
        return Estimate(value=area, n=n, method=method, reason=reason, counts=counts)
    centre, error = float(special.logit(area)), math.sqrt(variance) / (area * (1 - area))
    stretched = float(stats.norm.isf((1 - check_level(level)) / 2)) * error
    bounds = special.expit([centre - stretched, centre + stretched])
    interval = Interval(float(bounds[0]), float(bounds[1]), level, "DeLong, on the logit scale")
    # On the interval's own scale, so that p and interval cannot part.
    z = centre / error
    test = Significance(
        p_value=float(2 * stats.norm.sf(abs(z))),
        method="DeLong z against 0.5, on the logit scale",
        statistic=z,
        sd_units=z,
    )
    return Estimate(value=area, n=n, method=method, interval=interval, test=test, counts=counts)
