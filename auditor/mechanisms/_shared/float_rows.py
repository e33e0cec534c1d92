"""Arrays of numbers as a row keeps them, and back. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from auditor.statistics.results import FloatArray

Numbers = tuple[float, ...]
Table = tuple[Numbers, ...]


def numbers_of(values: npt.ArrayLike) -> Numbers:
    """An array of shape (n,)."""
    return tuple(np.asarray(values, dtype=np.float64).tolist())


def table_of(values: npt.ArrayLike) -> Table:
    """An array of shape (n, m), row by row."""
    return tuple(map(tuple, np.asarray(values, dtype=np.float64).tolist()))


def array_of(values: Sequence[float] | Sequence[Sequence[float]], columns: int) -> FloatArray:
    """What a row keeps, as an array of shape (n, ``columns``); none of it is one without rows."""
    return np.array(values, dtype=np.float64).reshape(-1, columns)
