"""LEACE: the affine map that removes what a linear reader could know of a concept, moving the states least.

    r(x) = x − W⁻¹ P W (x − μ),   P the orthogonal projector onto the columns of W·Σxz

For every invertible W the covariance of r(x) and z is 0, so the means of all groups coincide and no linear reader with a
convex loss does better than a constant one, on the rows it was fitted on. With W = Σxx^−½ the states move least (Belrose
et al. 2023). Here W is the inverse root of the shrunk covariance, which is invertible with fewer rows than features, so
the law holds there too.

The trap: a share p of rows in a group gives z a spread of √(p(1−p)), so the columns of W·Σxz shrink with the group, and
a fixed cut on their singular values drops rare groups without a word. Here z is standardised and its own redundancy is
removed before, so that the cut concerns rounding alone and a group of 1 in 1,000 is erased like any other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from auditor.measures.results import FloatArray

#: Relative cut on singular values of standardised quantities: rounding, not rarity.
ROUNDING = 1e-10


@dataclass(frozen=True, slots=True)
class Eraser:
    """r(x) = x − (x − mean) · reading · writing.

    Attributes
    ----------
    mean
        μ, shape (width,).
    reading
        WᵀQ, shape (width, rank): the coordinates of the concept.
    writing
        QᵀW⁻ᵀ, shape (rank, width): what is taken away for each of them.
    whitening, unwhitening
        W and its inverse, shape (width, width): what random erasers of the same kind are made from.
    """

    mean: FloatArray
    reading: FloatArray
    writing: FloatArray
    whitening: FloatArray
    unwhitening: FloatArray

    @property
    def rank(self) -> int:
        """Directions taken away."""
        return self.reading.shape[1]

    def __call__(self, states: npt.ArrayLike) -> FloatArray:
        """Erase, in float64; shape (…, width) in and out."""
        x = np.asarray(states, dtype=np.float64)
        return np.asarray(x - ((x - self.mean) @ self.reading) @ self.writing)

    def random_like(self, *, seed: int | tuple[int, ...]) -> Eraser:
        """An eraser of the same rank, mean and metric whose directions are drawn at random: the control."""
        draws = np.random.default_rng(seed).standard_normal((len(self.mean), max(1, self.rank)))
        directions, _ = np.linalg.qr(draws)
        return _eraser(self.mean, self.whitening, self.unwhitening, directions[:, : self.rank])


def fit_eraser(
    *,
    states: npt.ArrayLike,
    concept: npt.ArrayLike,
    shrinkage: float | None = None,
    weights: npt.ArrayLike | None = None,
) -> Eraser:
    """Fit LEACE.

    Parameters
    ----------
    states
        Shape (n, width).
    concept
        Shape (n,) or (n, k): 0/1 columns of groups, or numbers.
    shrinkage
        Weight of the spherical part of the covariance, between 0 and 1. ``None`` takes the Oracle Approximating
        Shrinkage of Chen et al. (2010), small where rows are many. The law holds at any value; the least move at 0.
    weights
        Weight of every row; all 1 by default.

    Raises
    ------
    ValueError
        For states that are not finite, shapes that do not fit, or a concept that does not vary.
    """
    x = np.asarray(states, dtype=np.float64)
    z = np.asarray(concept, dtype=np.float64)
    z = z[:, None] if z.ndim == 1 else z
    if x.ndim != 2 or len(x) != len(z) or len(x) < 2:
        raise ValueError(f"states {x.shape} and concept {z.shape} must have the same number of rows, at least 2")
    if not (np.isfinite(x).all() and np.isfinite(z).all()):
        raise ValueError("states and concept must hold finite numbers only")
    share = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=np.float64)
    share = share / share.sum()
    mean = share @ x
    centred = x - mean
    marks = _standardised(z, share)
    covariance = centred.T @ (share[:, None] * centred)
    rows = 1.0 / float((share**2).sum())
    whitening, unwhitening = _roots(_shrunk(covariance, rows, shrinkage))
    crossed = whitening @ (centred.T @ (share[:, None] * marks))
    left, sizes, _ = np.linalg.svd(crossed, full_matrices=False)
    # Whitened states against standardised, uncorrelated marks: the singular values are correlations, at most 1.
    return _eraser(mean, whitening, unwhitening, left[:, sizes > ROUNDING])


def _eraser(mean: FloatArray, whitening: FloatArray, unwhitening: FloatArray, directions: FloatArray) -> Eraser:
    return Eraser(mean, whitening.T @ directions, directions.T @ unwhitening.T, whitening, unwhitening)


def _standardised(concept: FloatArray, share: FloatArray) -> FloatArray:
    """Columns of unit variance, uncorrelated: an orthonormal basis of what the concept's columns span."""
    centred = concept - share @ concept
    spread = np.sqrt(share @ centred**2)
    scale = np.maximum(np.abs(concept).max(axis=0), 1.0)
    varies = spread > 1e-12 * scale
    if not varies.any():
        raise ValueError("the concept does not vary")
    unit = centred[:, varies] / spread[varies]
    left, sizes, _ = np.linalg.svd(np.sqrt(share)[:, None] * unit, full_matrices=False)
    kept = sizes > ROUNDING * sizes[0]
    used = share > 0
    marks = np.zeros((len(concept), int(kept.sum())))
    marks[used] = left[used][:, kept] / np.sqrt(share[used])[:, None]
    return marks


def _shrunk(covariance: FloatArray, rows: float, shrinkage: float | None) -> FloatArray:
    width = len(covariance)
    trace = float(np.trace(covariance))
    if not trace > 0:
        raise ValueError("the states do not vary")
    if shrinkage is None:
        squared = float((covariance**2).sum())
        above = (1 - 2 / width) * squared + trace**2
        below = (rows + 1 - 2 / width) * (squared - trace**2 / width)
        shrinkage = 1.0 if below <= 0 else min(1.0, above / below)
    if not 0 <= shrinkage <= 1:
        raise ValueError(f"shrinkage must lie between 0 and 1, got {shrinkage}")
    return (1 - shrinkage) * covariance + shrinkage * (trace / width) * np.eye(width)


def _roots(covariance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Inverse root and root of a covariance. Directions without variance hold nothing to erase and are left as is."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > 1e-12 * values[-1]
    root = np.sqrt(np.where(kept, values, 1.0))
    return (vectors / root) @ vectors.T, (vectors * root) @ vectors.T
