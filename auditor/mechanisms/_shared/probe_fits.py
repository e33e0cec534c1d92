"""ℓ2-logistic probes, many at once: all folds, labels and penalties of a layer in one Newton iteration.

The probes of a layer differ in which rows they are fitted on and in the labels, not in the states. So the states are
standardised and put into the basis of their singular vectors once; there the curvature of every problem is nearly
diagonal, and a few preconditioned conjugate gradient steps solve Newton's equations of all problems together, each step
two matrix products. The objective of one probe is scikit-learn's ``LogisticRegression`` on standardised features:

    Σ_i weight_i · [log(1 + exp(t_i)) − label_i · t_i] + penalty/2 · ‖w‖²,   t_i = w·x_i + b,   penalty = 1/C

Standardisation uses the states of all rows and no labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from auditor.statistics.results import BoolArray, FloatArray, IntArray

#: A feature that varies less than this share of the usual size is constant but for rounding, and carries nothing.
ROUNDING = 1e-5
#: Directions with less than this share of the largest variance are left out; the penalty leaves them at 0 anyway.
NULL_VARIANCE = 1e-13
NEWTON_STEPS = 60
GRADIENT_STEPS = 200
HALVINGS = 30
#: A probe is solved when half its squared Newton decrement, about its distance from the optimum, is this small a row.
SOLVED = 1e-12


@dataclass(frozen=True, slots=True)
class Basis:
    """The states of one site in the coordinates the probes are fitted in.

    Attributes
    ----------
    scores
        Standardised states times their right singular vectors, and a last column of ones: shape (n, r + 1), r at most
        the smaller of n and the width. Columns are orthogonal.
    squares
        Squared lengths of the columns, shape (r + 1,).
    """

    scores: FloatArray
    squares: FloatArray


@dataclass(frozen=True, slots=True)
class Fits:
    """Solved probes: ``logits`` of every row under every probe, shape (n, m), and how far from the optimum they are."""

    logits: FloatArray
    coefficients: FloatArray
    gap: FloatArray

    @property
    def solved(self) -> bool:
        """Whether every probe reached its optimum."""
        return bool((self.gap <= SOLVED).all())


def basis_of(states: npt.ArrayLike) -> Basis:
    """Standardise states, shape (n, width), and turn them into the basis of their singular vectors.

    Raises
    ------
    ValueError
        For states that are not finite or not two-dimensional.
    """
    x = np.asarray(states, dtype=np.float64)
    if x.ndim != 2 or not np.isfinite(x).all():
        raise ValueError(f"states must be finite, shape (rows, width); got shape {x.shape}")
    n, width = x.shape
    mean = x.mean(axis=0)
    x = x - mean
    spread = np.sqrt((x**2).mean(axis=0))
    usual = np.maximum(np.abs(mean), np.median(np.sqrt(mean**2 + spread**2)))
    varies = spread > ROUNDING * usual
    x = x[:, varies] / spread[varies]
    if x.shape[1] == 0:
        return Basis(np.ones((n, 1)), np.array([float(n)]))
    if n <= width:
        squares, vectors = np.linalg.eigh(x @ x.T)
        kept = squares > NULL_VARIANCE * squares[-1]
        scores = vectors[:, kept] * np.sqrt(squares[kept])
    else:
        squares, vectors = np.linalg.eigh(x.T @ x)
        kept = squares > NULL_VARIANCE * squares[-1]
        scores = x @ vectors[:, kept]
    return Basis(np.hstack([scores, np.ones((n, 1))]), np.append(squares[kept], float(n)))


def fit(*, basis: Basis, labels: npt.ArrayLike, weights: npt.ArrayLike, penalty: float) -> Fits:
    """Fit one probe a column.

    Parameters
    ----------
    basis
        From `basis_of`.
    labels
        0 or 1, shape (n, m).
    weights
        Weight of every row in every probe, shape (n, m); 0 leaves it out of that fit.
    penalty
        λ > 0; scikit-learn's 1/C.

    Raises
    ------
    ValueError
        If a probe's rows all have one label, or the shapes or the penalty do not fit.
    """
    y = np.asarray(labels, dtype=np.float64)
    w = np.asarray(weights, dtype=np.float64)
    if y.shape != w.shape or y.ndim != 2 or len(y) != len(basis.scores):
        raise ValueError(f"labels {y.shape} and weights {w.shape} must both have shape ({len(basis.scores)}, probes)")
    if not penalty > 0:
        raise ValueError(f"the penalty must be above 0, got {penalty}")
    total = w.sum(axis=0)
    positive = (w * y).sum(axis=0)
    if ((positive <= 0) | (positive >= total)).any():
        raise ValueError("a probe has rows of one label only")
    ridge = np.full((len(basis.squares), 1), penalty)
    ridge[-1] = 0.0  # the intercept is free
    coefficients = np.zeros((len(basis.squares), y.shape[1]))
    coefficients[-1] = np.log(positive / (total - positive))
    gap = np.full(y.shape[1], np.inf)
    logits = basis.scores @ coefficients
    for _ in range(NEWTON_STEPS):
        # Solved probes stay as they are; the matrix products shrink to those that are left.
        left = np.flatnonzero(gap > SOLVED)
        if not len(left):
            break
        here, t, rows, target = coefficients[:, left], logits[:, left], w[:, left], y[:, left]
        share = expit(t)
        gradient = basis.scores.T @ (rows * (share - target)) + ridge * here
        curvature = rows * share * (1 - share)
        diagonal = basis.squares[:, None] * (curvature.sum(axis=0) / len(t)) + ridge
        step, decrement = _newton_step(basis.scores, curvature, ridge, diagonal, gradient)
        gap[left] = decrement / (2 * total[left])
        moved = basis.scores @ step

        def objective(sizes: FloatArray) -> FloatArray:
            at = t + sizes * moved  # noqa: B023 - used within this turn of the loop
            loss = (rows * (np.logaddexp(0.0, at) - target * at)).sum(axis=0)  # noqa: B023
            return np.asarray(loss + 0.5 * (ridge * (here + sizes * step) ** 2).sum(axis=0))  # noqa: B023

        size = _step_size(objective, decrement)
        coefficients[:, left] = here + size * step
        logits[:, left] = t + size * moved
    return Fits(logits, coefficients, gap)


def _newton_step(
    scores: FloatArray, curvature: FloatArray, ridge: FloatArray, diagonal: FloatArray, gradient: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Newton's direction of every column by preconditioned conjugate gradients, and its squared decrement."""
    diagonal = np.maximum(diagonal, 1e-300)
    step = np.zeros_like(gradient)
    rest = -gradient
    scaled = rest / diagonal
    way = scaled
    size = (rest * scaled).sum(axis=0)
    start = np.maximum(size, 1e-300)
    # Few digits far from the optimum, many near it: the rate of Newton's method is kept at the least cost.
    goal = start * np.minimum(1e-2, start / curvature.shape[0])
    for _ in range(GRADIENT_STEPS):
        running = size > goal
        if not running.any():
            break
        image = scores.T @ (curvature * (scores @ way)) + ridge * way
        bend = (way * image).sum(axis=0)
        length = np.where(running & (bend > 0), size / np.where(bend > 0, bend, 1.0), 0.0)
        step = step + length * way
        rest = rest - length * image
        scaled = rest / diagonal
        new = (rest * scaled).sum(axis=0)
        way = np.where(running, scaled + (new / np.maximum(size, 1e-300)) * way, 0.0)
        size = np.where(running, new, size)
    return step, -(gradient * step).sum(axis=0)


def _step_size(objective: Callable[[FloatArray], FloatArray], decrement: FloatArray) -> FloatArray:
    """1, halved until the objective falls enough; logits are linear in the step, so trying costs no matrix product."""
    before = objective(np.zeros_like(decrement))
    slack = 1e-12 * np.abs(before)  # near the optimum the fall is smaller than rounding
    size = np.ones_like(decrement)
    for _ in range(HALVINGS):
        short = objective(size) > before - 1e-4 * size * decrement + slack
        if not short.any():
            break
        size = np.where(short, size / 2, size)
    return size


def balanced_weights(*, labels: npt.ArrayLike, used: npt.ArrayLike) -> FloatArray:
    """Weights that give both labels of every probe the same total: scikit-learn's ``class_weight="balanced"``.

    Parameters
    ----------
    labels, used
        0 or 1, and whether a row is fitted on; both of shape (n, m).
    """
    y, rows = np.asarray(labels, dtype=bool), np.asarray(used, dtype=bool)
    positive = (rows & y).sum(axis=0)
    negative = (rows & ~y).sum(axis=0)
    half = rows.sum(axis=0) / 2
    return np.asarray(rows * np.where(y, half / np.maximum(positive, 1), half / np.maximum(negative, 1)))


def assign_folds(*, groups: Sequence[str], labels: npt.ArrayLike, folds: int, seed: int) -> IntArray:
    """Put whole groups into folds, so that every fold has about the same rows of each label.

    Groups go, largest first and equal ones in a seeded order, into the fold that is shortest of their own labels.

    Returns
    -------
    array
        Fold of every row, shape (n,), below ``folds`` (below the number of groups where that is smaller).

    Raises
    ------
    ValueError
        For fewer than two groups or folds.
    """
    y = np.asarray(labels).astype(np.int64)
    names, codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    count = min(folds, len(names))
    if count < 2:
        raise ValueError("at least two folds and two groups are needed")
    table = np.zeros((len(names), 2))
    np.add.at(table, (codes, y), 1.0)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-table[order].sum(axis=1), kind="stable")]
    filled = np.zeros((count, 2))
    where = np.zeros(len(names), dtype=np.int64)
    for group in order:
        need = filled @ table[group]
        rows = filled.sum(axis=1)
        where[group] = min(range(count), key=lambda fold: (need[fold], rows[fold], fold))
        filled[where[group]] += table[group]
    return where[codes]


def held_out(partitions: Sequence[IntArray]) -> Iterator[tuple[BoolArray, BoolArray]]:
    """Training and test rows of every cell of one or more partitions into folds.

    A cell holds the rows with one combination of folds; its training rows share none of them. So with folds by
    application and by name, no test row shares its application or its name with any row its probe was fitted on, and
    every row is tested once.
    """
    table = np.stack([np.asarray(part) for part in partitions], axis=1)
    for cell in np.unique(table, axis=0):
        yield (table != cell).all(axis=1), (table == cell).all(axis=1)


def cross_validate(
    *, basis: Basis, labels: npt.ArrayLike, partitions: Sequence[IntArray], penalty: float
) -> tuple[FloatArray, bool]:
    """Logits of every row from a probe that saw neither its groups nor itself, for several labellings at once.

    Parameters
    ----------
    basis
        From `basis_of`.
    labels
        0 or 1, shape (n, k): k labellings of the same rows.
    partitions
        Folds of every row, one array a grouping (see `held_out`).
    penalty
        λ > 0.

    Returns
    -------
    tuple
        Logits, shape (n, k), and whether every probe reached its optimum. A cell whose training rows have one label
        only cannot be predicted; its logits are NaN.
    """
    y = np.asarray(labels, dtype=bool)
    logits = np.full(y.shape, np.nan)
    cells = list(held_out(partitions))
    columns: list[tuple[int, BoolArray]] = []
    used: list[BoolArray] = []
    for train, test in cells:
        for labelling in range(y.shape[1]):
            seen = y[train, labelling]
            if seen.any() and not seen.all():
                columns.append((labelling, test))
                used.append(train)
    if not columns:
        return logits, True
    stacked = y[:, [labelling for labelling, _ in columns]]
    weights = balanced_weights(labels=stacked, used=np.stack(used, axis=1))
    fits = fit(basis=basis, labels=stacked, weights=weights, penalty=penalty)
    for column, (labelling, test) in enumerate(columns):
        logits[test, labelling] = fits.logits[test, column]
    return logits, fits.solved
