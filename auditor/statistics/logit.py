"""Logistic regression over very many rows, read in blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from auditor.statistics.designs import AdjustedDesign
from auditor.statistics.results import FloatArray

STEPS = 50
THIN = 20_000
"""Rows that a first fit takes, whose end is where the whole fit begins: it then needs two or three steps, not seven."""
CONVERGED = 1e-7
"""Largest last step: the error left is of the order of its square."""
MAX_LOG_ODDS = 15.0
"""A coefficient beyond it, in SDs of its column, is separation and no estimate."""


@dataclass(frozen=True, slots=True)
class LogitFit:
    """Coefficients, their information, the residuals of every row, and the log-likelihood."""

    coefficients: FloatArray
    information: FloatArray
    residuals: FloatArray
    log_likelihood: float


def fit_logit(
    y: FloatArray,
    design: AdjustedDesign,
    *,
    width: int,
    weights: FloatArray | None = None,
    start: FloatArray | None = None,
) -> LogitFit | None:
    """Logistic regression by Newton's method.

    Parameters
    ----------
    y
        Shape (n,), 0 or 1.
    width
        How many of the first columns are used; the group is the last.
    weights
        Shape (n,): how much each row counts; by default 1.
    start
        Shape (width,): where to begin; by default at the fit to a thin part of the rows, or at the share of ones.

    Returns
    -------
    LogitFit or None
        ``None`` where the controls separate the outcome or the steps do not settle.
    """
    beta = _start(y, design, width, weights) if start is None else start
    if beta is None:
        return None
    residuals = np.empty(len(y))
    found, gradient, information = _state(y, design, beta, residuals, weights)
    for _ in range(STEPS):
        try:
            step = np.linalg.solve(information, gradient)
        except np.linalg.LinAlgError:
            return None
        size = 1.0
        while size > 1e-4:
            trial = beta + size * step
            better, next_gradient, next_information = _state(y, design, trial, residuals, weights)
            if better >= found - 1e-9 * abs(found):
                break
            size /= 2
        else:
            return None
        beta, found, gradient, information = trial, better, next_gradient, next_information
        if np.abs(beta[1:]).max(initial=0.0) > MAX_LOG_ODDS:
            return None
        if np.abs(size * step).max() < CONVERGED:
            return LogitFit(beta, information, residuals, found)
    return None


def _start(y: FloatArray, design: AdjustedDesign, width: int, weights: FloatArray | None) -> FloatArray | None:
    """Where the steps begin; ``None`` where all outcomes are alike. Where they end does not hang on it."""
    mean = float(np.average(y, weights=weights))
    if not 0 < mean < 1:
        return None
    beta = np.zeros(width)
    beta[0] = special.logit(mean)
    step = len(y) // THIN
    if step < 2:
        return beta
    part = None if weights is None else weights[::step]
    thin = fit_logit(y[::step], design.every(step), width=width, weights=part, start=beta)
    return beta if thin is None else thin.coefficients


def _state(
    y: FloatArray, design: AdjustedDesign, beta: FloatArray, residuals: FloatArray, weights: FloatArray | None
) -> tuple[float, FloatArray, FloatArray]:
    """Log-likelihood, its gradient and the information; ``residuals`` are written in place."""
    width = len(beta)
    total, gradient, information = 0.0, np.zeros(width), np.zeros((width, width))
    for here, whole in design.blocks():
        # The group is the last column: without it the null model stands on the same blocks.
        matrix = whole[:, :width]
        odds = matrix @ beta
        small = np.exp(-np.abs(odds))
        p = np.where(odds >= 0, 1.0, small) / (1.0 + small)
        rest, spread = y[here] - p, small / (1.0 + small) ** 2
        # log(1 + e^odds) without overflow, from the same exponential.
        logs = y[here] * odds - np.maximum(odds, 0.0) - np.log1p(small)
        if weights is not None:
            rest, spread, logs = rest * weights[here], spread * weights[here], logs * weights[here]
        residuals[here] = rest
        total += float(logs.sum())
        gradient += matrix.T @ rest
        information += (matrix * spread[:, None]).T @ matrix
    return total, gradient, information
