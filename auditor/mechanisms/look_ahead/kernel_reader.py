"""Kernel ridge regression, held out: what a nonlinear reader tells of a number from the same few columns.

A linear reader of the fields misses thresholds, products and bends that the model computes from them; what a state
tells beyond such a reader may be no more than that. Several kernels are tried: all squares and products of two columns,
and Gaussians of three widths; which one, and how strong the penalty, is chosen in every fold among its training rows,
by leave-one-out in closed form, like the linear reader's (:mod:`auditor.mechanisms._shared.ridge`).
"""

from __future__ import annotations

import numpy as np
from sklearn.metrics.pairwise import euclidean_distances

from auditor.mechanisms._shared.ridge import STRENGTHS, left_out
from auditor.statistics.results import BoolArray, FloatArray, IntArray

#: Widths of the Gaussian kernels, as multiples of the median distance of two rows.
WIDTHS = (0.5, 1.0, 2.0)


def predict_curved(*, columns: FloatArray, targets: FloatArray, folds: IntArray) -> FloatArray:
    """Predict every row from the rows of the other folds.

    Parameters
    ----------
    columns
        Shape (n, r); r may be 0. Standardised here, over all rows and without the targets.
    targets
        Shape (n, k).
    folds
        Shape (n,).

    Returns
    -------
    array
        Shape (n, k).
    """
    predictions = np.empty_like(targets)
    grams = kernels(columns)
    for fold in np.unique(folds):
        train, test = folds != fold, folds == fold
        mean = targets[train].mean(axis=0)
        y = targets[train] - mean
        best = np.full(targets.shape[1], np.inf)
        found = np.zeros((int(test.sum()), targets.shape[1]))
        for gram in grams:
            error, said = _read(gram, train, test, y)
            better = error < best
            best = np.where(better, error, best)
            found = np.where(better, said, found)
        # As for the linear reader: no training row had more or less than these.
        predictions[test] = np.clip(mean + found, targets[train].min(axis=0), targets[train].max(axis=0))
    return predictions


def kernels(columns: FloatArray) -> list[FloatArray]:
    """Gram matrices of all rows, each (n, n); none where no column varies."""
    spread = columns.std(axis=0)
    varying = spread > 0
    if not varying.any():
        return []
    x = (columns[:, varying] - columns[:, varying].mean(axis=0)) / spread[varying]
    x = x / np.sqrt(x.shape[1])
    squares = np.asarray(euclidean_distances(x, squared=True), dtype=np.float64)
    middle = float(np.median(squares[squares > 0]))
    gaussian = [np.exp(-squares / (2 * width**2 * middle)) for width in WIDTHS]
    return [(1 + x @ x.T) ** 2, *gaussian]


def _read(gram: FloatArray, train: BoolArray, test: BoolArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Leave-one-out errors of the best strength, by target, and what it says of the test rows."""
    own, other = gram[np.ix_(train, train)], gram[np.ix_(test, train)]
    middle = own.mean(axis=0)
    centred = own - middle - middle[:, None] + middle.mean()
    values, vectors = np.linalg.eigh(centred)
    values = np.maximum(values, 0.0)
    size = float(values.sum()) / len(y)
    along = vectors.T @ y
    shrink = values / (values + np.array(STRENGTHS)[:, None] * size)
    errors = np.stack([left_out(vectors, each, along, y) for each in shrink])
    best = errors.argmin(axis=0)
    weights = vectors @ (along / (values[:, None] + np.array(STRENGTHS)[best] * size))
    across = other - middle - other.mean(axis=1, keepdims=True) + middle.mean()
    return errors.min(axis=0), across @ weights
