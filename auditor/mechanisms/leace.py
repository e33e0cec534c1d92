"""LEACE: the affine map that removes what a linear reader could know of a concept, moving the states least.

    r(x) = x − W⁻¹ P W (x − μ),   P the orthogonal projector onto the columns of W·Σxz

For every invertible W the covariance of r(x) and z is 0, so the means of all groups coincide and no linear reader with
a convex loss does better than a constant one, on the rows it was fitted on. With W = Σxx^−½ the states move least
(Belrose et al. 2023). Here W is the inverse root of the shrunk covariance, which is invertible with fewer rows than
features, so the law holds there too.

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
#: States that vary less than this share of their size vary by the rounding of single precision alone.
CONSTANT = 1e-7


@dataclass(frozen=True, slots=True)
class Metric:
    """The root W⁻¹ of a covariance: ``roots`` along the orthonormal columns of ``basis``, ``rest`` across them.

    With fewer rows than features the basis has as many columns as rows: nothing of the size width × width is built.
    """

    basis: FloatArray
    roots: FloatArray
    rest: float

    def whiten(self, x: FloatArray) -> FloatArray:
        """W·x, columns of shape (width, k)."""
        return self._scale(x, 1 / self.roots, 1 / self.rest)

    def unwhiten(self, x: FloatArray) -> FloatArray:
        """W⁻¹·x, columns of shape (width, k)."""
        return self._scale(x, self.roots, self.rest)

    def _scale(self, x: FloatArray, along: FloatArray, across: float) -> FloatArray:
        inside = self.basis.T @ x
        return np.asarray(across * x + self.basis @ ((along - across)[:, None] * inside))


@dataclass(frozen=True, slots=True)
class Eraser:
    """r(x) = x − (x − mean) · reading · writing.

    Attributes
    ----------
    mean
        μ, shape (width,).
    reading
        W·Q with Q the erased directions in whitened states, shape (width, rank).
    writing
        (W⁻¹·Q)ᵀ, shape (rank, width): what is taken away for each of them.
    metric
        W: what random erasers of the same kind are made from.
    """

    mean: FloatArray
    reading: FloatArray
    writing: FloatArray
    metric: Metric

    @property
    def rank(self) -> int:
        """Directions taken away."""
        return int(self.reading.shape[1])

    def __call__(self, states: npt.ArrayLike) -> FloatArray:
        """Erase, in float64; shape (…, width) in and out."""
        x = np.asarray(states, dtype=np.float64)
        return np.asarray(x - ((x - self.mean) @ self.reading) @ self.writing)

    def random_like(self, *, seed: int | tuple[int, ...]) -> Eraser:
        """An eraser of the same rank, mean and metric whose directions are drawn at random: the control.

        They are drawn from all directions of the whitened states, not from those that vary: where an attribute is all
        that varies, as in the embedding of its word, any other choice would erase the attribute itself.
        """
        draws = np.random.default_rng(seed).standard_normal((len(self.mean), self.rank))
        directions, _ = np.linalg.qr(draws)
        return _eraser(self.mean, self.metric, directions)


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

    Returns
    -------
    Eraser
        Of rank 0 where the states do not vary with the concept at all.

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
    # Rows as they stand in the covariance, Σxx = rowsᵀ·rows.
    rows = np.sqrt(share)[:, None] * (x - mean)
    marks = _standardised(z, share)
    metric = _metric(rows, effective=1.0 / float((share**2).sum()), scale=float(np.abs(x).max()), shrinkage=shrinkage)
    if metric is None:
        nothing = np.zeros((x.shape[1], 0))
        return Eraser(mean, nothing, nothing.T, Metric(nothing, np.zeros(0), 1.0))
    left, sizes, _ = np.linalg.svd(metric.whiten(rows.T @ marks), full_matrices=False)
    # Whitened states against standardised, uncorrelated marks: the singular values are correlations, at most 1.
    return _eraser(mean, metric, left[:, sizes > ROUNDING])


def _eraser(mean: FloatArray, metric: Metric, directions: FloatArray) -> Eraser:
    return Eraser(mean, metric.whiten(directions), metric.unwhiten(directions).T, metric)


def _standardised(concept: FloatArray, share: FloatArray) -> FloatArray:
    """Columns that are orthonormal once rows are weighted by √share: a basis of what the concept's columns span."""
    centred = concept - share @ concept
    spread = np.sqrt(share @ centred**2)
    scale = np.maximum(np.abs(concept).max(axis=0), 1.0)
    varies = spread > 1e-12 * scale
    if not varies.any():
        raise ValueError("the concept does not vary")
    left, sizes, _ = np.linalg.svd(np.sqrt(share)[:, None] * centred[:, varies] / spread[varies], full_matrices=False)
    return np.asarray(left[:, sizes > ROUNDING * sizes[0]])


def _metric(rows: FloatArray, *, effective: float, scale: float, shrinkage: float | None) -> Metric | None:
    """The root of the shrunk covariance; ``None`` where the states vary by rounding alone."""
    width = rows.shape[1]
    if len(rows) <= width:
        # From the small side: a matrix of rows × rows, where a singular value decomposition works on rows × width.
        values, mixtures = np.linalg.eigh(rows @ rows.T)
        some = values > 1e-12 * values[-1]
        values = values[some]
        vectors = (rows.T @ mixtures[:, some]) / np.sqrt(values)
    else:
        values, vectors = np.linalg.eigh(rows.T @ rows)
    trace = float(values.clip(min=0).sum())
    if trace <= width * (CONSTANT * scale) ** 2:
        return None
    kept = values > 1e-12 * values[-1]
    values, vectors = values[kept], vectors[:, kept]
    if shrinkage is None:
        squared = float((values**2).sum())
        above = (1 - 2 / width) * squared + trace**2
        below = (effective + 1 - 2 / width) * (squared - trace**2 / width)
        shrinkage = 1.0 if below <= 0 else min(1.0, above / below)
    if not 0 <= shrinkage <= 1:
        raise ValueError(f"shrinkage must lie between 0 and 1, got {shrinkage}")
    floor = shrinkage * trace / width
    roots = np.sqrt((1 - shrinkage) * values + floor)
    # Where nothing varies there is nothing to erase; any root will do.
    return Metric(vectors, roots, float(np.sqrt(floor)) or 1.0)
