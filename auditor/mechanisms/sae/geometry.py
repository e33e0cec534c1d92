"""How features share the dimensions of the stream: angles between their directions, and what cannot be avoided.

Toy-model formulae (Elhage et al. 2022): with more features than dimensions some directions must meet at angles under
90 degrees. Welch's bound says how small the largest, and the root mean square, of their cosines can be at best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from auditor.statistics.results import FloatArray, IntArray

Array = npt.NDArray[Any]
BLOCK = 1024


@dataclass(frozen=True)
class Geometry:
    """Angles between all directions of a dictionary.

    Attributes
    ----------
    features, width
        Directions that are not zero, and the dimensions they stand in.
    coherence
        Largest |cos| between two different directions; 0 for fewer than two.
    rms
        Root mean square of the cosines between different directions.
    welch
        What neither of the two can be below.
    dimensions
        1 / Σ_j cos²(i, j) for every direction, itself included: 1 where it has a dimension to itself. Their sum is at
        most the rank.
    coherence_again, rounding
        The largest |cos| computed again from its two directions alone, in double precision, and by how much rounding
        at this width and precision may set the two apart.
    """

    features: int
    width: int
    coherence: float
    rms: float
    welch: float
    dimensions: FloatArray
    coherence_again: float
    rounding: float


def participation_ratio(states: npt.ArrayLike) -> float:
    """(Σλ)² / Σλ² of the covariance's eigenvalues: how many dimensions the states use, 1 to width.

    Parameters
    ----------
    states
        Shape (tokens, width), at least two rows.

    Raises
    ------
    ValueError
        If the states do not vary.
    """
    x = np.asarray(states, dtype=np.float64)
    centred = x - x.mean(axis=0)
    # The smaller of the two Gram matrices has the same eigenvalues.
    gram = centred.T @ centred if x.shape[1] <= x.shape[0] else centred @ centred.T
    trace = float(np.trace(gram))
    if trace <= 0:
        raise ValueError("the states do not vary")
    return trace**2 / float((gram**2).sum())


def participation_by_values(states: npt.ArrayLike) -> float:
    """The participation ratio from the covariance's eigenvalues: another way to the same number."""
    x = np.asarray(states, dtype=np.float64)
    centred = x - x.mean(axis=0)
    gram = centred @ centred.T if x.shape[0] < x.shape[1] else centred.T @ centred
    values = np.linalg.eigvalsh(gram)
    return float(values.sum()) ** 2 / float((values**2).sum())


def effective_count(weights: npt.ArrayLike) -> float:
    """(Σw)² / Σw²: how many of the weights (0 or more) carry the sum; 0 where all are 0."""
    w = np.asarray(weights, dtype=np.float64)
    squares = float((w**2).sum())
    return float(w.sum()) ** 2 / squares if squares > 0 else 0.0


def welch_bound(*, features: int, width: int) -> float:
    """√((F − d) / (d (F − 1))): the least possible largest |cos| of F directions in d dimensions (Welch 1974)."""
    if features <= width or features < 2:
        return 0.0
    return float(np.sqrt((features - width) / (width * (features - 1))))


def unit_rows(directions: npt.ArrayLike) -> Array:
    """Every row at length 1; rows of length 0 stay."""
    rows = np.asarray(directions)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0))


def geometry(directions: npt.ArrayLike) -> Geometry:
    """Measure the angles between all directions, a block of rows at a time.

    Parameters
    ----------
    directions
        Shape (features, width); rows of length 0 are left out.
    """
    rows = unit_rows(directions)
    acting = np.flatnonzero(np.abs(rows).max(axis=1) > 0) if rows.size else np.arange(len(rows))
    rows, given = rows[acting], np.asarray(directions)[acting]
    closest = (0, 0)
    count, width = rows.shape
    squares = np.zeros(count)
    largest = 0.0
    for start in range(0, count, BLOCK):
        cosines = rows[start : start + BLOCK] @ rows.T
        here = np.arange(len(cosines))
        cosines[here, start + here] = 0.0
        squares[start : start + BLOCK] = (cosines.astype(np.float64) ** 2).sum(axis=1)
        here_largest = float(np.abs(cosines).max(initial=0.0))
        if here_largest > largest:
            largest = here_largest
            one, other = np.unravel_index(int(np.abs(cosines).argmax()), cosines.shape)
            closest = (start + int(one), int(other))
    pairs = count * (count - 1)
    again = 0.0
    if closest[0] != closest[1]:
        one_row, other_row = (given[place].astype(np.float64) for place in closest)
        again = abs(float(one_row @ other_row)) / float(np.linalg.norm(one_row) * np.linalg.norm(other_row))
    precision = np.finfo(rows.dtype).eps if np.issubdtype(rows.dtype, np.floating) else np.finfo(np.float64).eps
    return Geometry(
        features=count,
        width=width,
        coherence=largest,
        rms=float(np.sqrt(squares.sum() / pairs)) if pairs else 0.0,
        welch=welch_bound(features=count, width=width),
        dimensions=1 / (1 + squares),
        coherence_again=again,
        rounding=float(width * precision),
    )


def held_share(direction: int, others: Sequence[int] | IntArray, *, cosines: FloatArray) -> float:
    """The share of one direction's squared length that lies in the span of others, 0 to 1.

    Parameters
    ----------
    direction, others
        Rows of ``cosines``.
    cosines
        Cosines between all directions, shape (features, features).
    """
    if not len(others):
        return 0.0
    rows = np.asarray(others, dtype=np.int64)
    gram = cosines[np.ix_(rows, rows)]
    along = cosines[rows, direction]
    solved = np.linalg.lstsq(gram, along, rcond=1e-8)[0]
    return float(np.clip(along @ solved, 0.0, 1.0))
