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
from typing import overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from auditor.statistics.results import FloatArray

#: Relative cut on singular values of standardised quantities: rounding, not rarity.
ROUNDING = 1e-10
#: States that vary less than this share of their size vary by the rounding of single precision alone.
CONSTANT = 1e-7


@dataclass(frozen=True, slots=True)
class CovarianceRoot:
    """The root W⁻¹ of a covariance: ``roots`` along the orthonormal columns of ``basis``, ``rest`` across them.

    With fewer rows than features the basis has as many columns as rows: nothing of the size width × width is built.
    Columns of zeros stand where rows are redundant. Shapes: basis [*draws, width, m], roots [*draws, m], rest [*draws].
    """

    basis: Tensor
    roots: Tensor
    rest: Tensor

    def whiten(self, x: Tensor) -> Tensor:
        """W·x, columns of shape [*draws, width, k]."""
        return self._scale(x, 1 / self.roots, 1 / self.rest)

    def unwhiten(self, x: Tensor) -> Tensor:
        """W⁻¹·x, columns of shape [*draws, width, k]."""
        return self._scale(x, self.roots, self.rest)

    def _scale(self, x: Tensor, along: Tensor, across: Tensor) -> Tensor:
        inside = self.basis.mT @ x
        return across[..., None, None] * x + self.basis @ ((along - across[..., None])[..., None] * inside)


@dataclass(frozen=True, slots=True)
class Eraser:
    """r(x) = x − (x − mean) · reading · writing, for every draw.

    Attributes
    ----------
    mean
        μ, shape [*draws, width].
    reading
        W·Q with Q the erased directions in whitened states, shape [*draws, width, directions].
    writing
        (W⁻¹·Q)ᵀ, shape [*draws, directions, width]: what is taken away for each of them.
    kept
        Whether a direction is one, shape [*draws, directions]; the others are 0.
    readable
        Share of the concept's variance that a linear reader in this metric explains, mean over what the concept's
        columns span, shape [*draws].
    """

    mean: Tensor
    reading: Tensor
    writing: Tensor
    kept: Tensor
    readable: Tensor

    @property
    def rank(self) -> int:
        """Directions taken away, the most of any draw."""
        return int(self.kept.sum(-1).max()) if self.kept.shape[-1] else 0

    @overload
    def __call__(self, states: Tensor) -> Tensor: ...
    @overload
    def __call__(self, states: npt.NDArray[np.float64]) -> FloatArray: ...
    def __call__(self, states: Tensor | npt.NDArray[np.float64]) -> Tensor | FloatArray:
        """Erase, in float64; shape [*draws, n, width] in and out, tensors for tensors and arrays for arrays."""
        x = torch.as_tensor(states, dtype=torch.float64).to(self.mean.device)
        erased = x - ((x - self.mean[..., None, :]) @ self.reading) @ self.writing
        return erased if isinstance(states, Tensor) else np.asarray(erased.cpu().numpy())


def fit_eraser(
    *, states: npt.ArrayLike | Tensor, concept: npt.ArrayLike | Tensor, shrinkage: float | None = None
) -> Eraser:
    """Fit LEACE, for one draw or many at once.

    Parameters
    ----------
    states
        Shape [*draws, n, width]. The fit runs on the device they are on, in float64.
    concept
        Shape [n] or [*draws, n, k]: 0/1 columns of groups, or numbers.
    shrinkage
        Weight of the spherical part of the covariance, between 0 and 1. ``None`` takes the Oracle Approximating
        Shrinkage of Chen et al. (2010), small where rows are many. The law holds at any value; the least move at 0.

    Returns
    -------
    Eraser
        Of rank 0 where the states do not vary with the concept at all.

    Raises
    ------
    ValueError
        For states that are not finite, shapes that do not fit, or a concept that does not vary.
    """
    x = torch.as_tensor(states, dtype=torch.float64)
    z = torch.as_tensor(concept, dtype=torch.float64).to(x.device)
    z = z[:, None] if z.ndim == 1 else z
    if x.ndim < 2 or x.shape[-2] != z.shape[-2] or x.shape[-2] < 2:
        raise ValueError(f"states {tuple(x.shape)} and concept {tuple(z.shape)} must have the same rows, at least 2")
    if not bool(torch.isfinite(x).all() & torch.isfinite(z).all()):
        raise ValueError("states and concept must hold finite numbers only")
    if bool(((z.amax(-2) - z.amin(-2)) <= 1e-12 * z.abs().amax(-2).clamp(min=1.0)).all(-1).any()):
        raise ValueError("the concept does not vary")
    if shrinkage is not None and not 0 <= shrinkage <= 1:
        raise ValueError(f"shrinkage must lie between 0 and 1, got {shrinkage}")
    return erasers_of(x, z, shrinkage=shrinkage)


def erasers_of(x: Tensor, z: Tensor, *, shrinkage: float | None = None) -> Eraser:
    """`fit_eraser` on tensors that were checked: no figure leaves their device.

    Parameters
    ----------
    x
        States, float64 [*draws, n, width].
    z
        Concept, float64 [*draws, n, k].
    shrinkage
        As for `fit_eraser`.
    """
    mean = x.mean(-2)
    # Rows as they stand in the covariance, Σxx = rowsᵀ·rows.
    rows = (x - mean[..., None, :]) / x.shape[-2] ** 0.5
    marks = _standardised(z)
    root, varies = _covariance_root(rows, scale=x.abs().amax((-2, -1)), shrinkage=shrinkage)
    left, sizes, _ = torch.linalg.svd(root.whiten(rows.mT @ marks), full_matrices=False)
    # Whitened states against standardised, uncorrelated marks: the singular values are correlations, at most 1.
    kept = (sizes > ROUNDING) & varies[..., None]
    directions = left * kept[..., None, :]
    spans = (marks.abs().amax(-2) > 0).sum(-1).clamp(min=1)
    readable = (sizes**2 * kept).sum(-1) / spans
    return Eraser(mean, root.whiten(directions), root.unwhiten(directions).mT, kept, readable)


def _standardised(concept: Tensor) -> Tensor:
    """Orthonormal columns that span what the concept's columns span; columns of zeros where they are redundant."""
    centred = concept - concept.mean(-2, keepdim=True)
    spread = (centred**2).mean(-2, keepdim=True).sqrt()
    scale = concept.abs().amax(-2, keepdim=True).clamp(min=1.0)
    varies = spread > 1e-12 * scale
    even = torch.where(varies, centred / torch.where(varies, spread, 1.0), 0.0)
    left, sizes, _ = torch.linalg.svd(even, full_matrices=False)
    basis: Tensor = left * (sizes > ROUNDING * sizes[..., :1])[..., None, :]
    return basis


def _covariance_root(rows: Tensor, *, scale: Tensor, shrinkage: float | None) -> tuple[CovarianceRoot, Tensor]:
    """The root of the shrunk covariance, and whether states vary by more than rounding."""
    n, width = rows.shape[-2:]
    if n <= width:
        # From the small side: a matrix of rows × rows, where a singular value decomposition works on rows × width.
        values, mixtures = torch.linalg.eigh(rows @ rows.mT)
        kept = values > 1e-12 * values[..., -1:]
        vectors = (rows.mT @ mixtures) / torch.where(kept, values, 1.0).sqrt()[..., None, :]
    else:
        values, vectors = torch.linalg.eigh(rows.mT @ rows)
        kept = values > 1e-12 * values[..., -1:]
    trace = values.clamp(min=0).sum(-1)
    varies = trace > width * (CONSTANT * scale) ** 2
    kept &= varies[..., None]
    values = torch.where(kept, values, 0.0)
    vectors = vectors * kept[..., None, :]
    weight = torch.as_tensor(0.0 if shrinkage is None else shrinkage, dtype=values.dtype).to(values.device)
    if shrinkage is None:
        squared = (values**2).sum(-1)
        above = (1 - 2 / width) * squared + trace**2
        below = (n + 1 - 2 / width) * (squared - trace**2 / width)
        # Where nothing stands out the states are a sphere already.
        weight = torch.where(below > 0, above / torch.where(below > 0, below, 1.0), 1.0).clamp(max=1.0)
    floor = weight * trace / width
    roots = ((1 - weight)[..., None] * values + floor[..., None]).sqrt()
    # Where nothing varies there is nothing to erase; any root will do.
    roots = torch.where(kept, roots, 1.0)
    rest = torch.where(floor > 0, floor.sqrt(), 1.0)
    return CovarianceRoot(vectors, roots, rest.expand(values.shape[:-1])), varies
