"""Holm and Benjamini–Hochberg adjusted p-values, in the order given (docs/statistics.md).

A missing p-value (``None`` or NaN) stays missing and does not count towards the family, unless the family's declared
size is passed: a family fixed before the run keeps its size when one of its tests could not be run, which is stricter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from auditor.statistics.results import FloatArray

ROUNDING = 1e-12
"""Adjusting multiplies, and 3 · (1/60) is not .05 to the last bit."""


def significant(p_value: float | None, *, alpha: float) -> bool:
    """Whether p ≤ α: the one rule of every test.

    Equal counts. A test has level α where P(p ≤ α) ≤ α, and the p-value of a randomisation test with the fewest draws
    that its level needs (`minimums.draws_needed`) is α or more; of other tests none is α exactly.
    """
    return p_value is not None and p_value <= alpha + ROUNDING


def holm(p_values: Sequence[float | None], *, family_size: int | None = None) -> list[float | None]:
    """Holm's step-down adjustment: max over j ≤ i of min(1, (m − j + 1)·p(j)).

    Parameters
    ----------
    p_values
        Raw p-values; missing ones stay ``None``.
    family_size
        m; by default the number of p-values present.

    Returns
    -------
    list
        Adjusted p-values in the original order.
    """
    present, ordered, m = _sorted(p_values, family_size)
    steps = m - np.arange(len(ordered))
    return _restore(p_values, present, ordered, np.maximum.accumulate(np.minimum(1.0, steps * ordered)))


def holm_alphas(
    p_values: Sequence[float | None], *, alpha: float, family_size: int | None = None
) -> list[float | None]:
    """The level each test is really decided at by Holm's procedure, so that an interval can be given at it.

    A test that is rejected is decided at its own step, α/(m − j + 1). From the first step that fails on, all others
    are decided at that step: their p-values are at least as large as the one that failed there, so an interval at this
    level always agrees with the adjusted p-value. Missing p-values stay ``None``.
    """
    present, ordered, m = _sorted(p_values, family_size)
    steps = alpha / (m - np.arange(len(ordered)))
    failed = np.flatnonzero(ordered >= steps)
    if failed.size:
        steps[failed[0] :] = steps[failed[0]]
    result: list[float | None] = [None] * len(p_values)
    for position, step in zip(present, steps, strict=True):
        result[position] = float(step)
    return result


def benjamini_hochberg(p_values: Sequence[float | None], *, family_size: int | None = None) -> list[float | None]:
    """Benjamini–Hochberg step-up adjustment: min over j ≥ i of min(1, m·p(j)/j). Parameters as for `holm`."""
    present, ordered, m = _sorted(p_values, family_size)
    scaled = np.minimum(1.0, m * ordered / np.arange(1, len(ordered) + 1))
    return _restore(p_values, present, ordered, np.minimum.accumulate(scaled[::-1])[::-1])


def _is_missing(p: float | None) -> bool:
    return p is None or math.isnan(p)


def _sorted(p_values: Sequence[float | None], family_size: int | None) -> tuple[list[int], FloatArray, int]:
    present = [i for i, p in enumerate(p_values) if not _is_missing(p)]
    values = np.array([p_values[i] for i in present], dtype=np.float64)
    if values.size and (values.min() < 0 or values.max() > 1):
        raise ValueError("p-values must lie in [0, 1]")
    m = len(present) if family_size is None else family_size
    if m < len(present):
        raise ValueError(f"family_size {m} is below the number of p-values, {len(present)}")
    order = np.argsort(values, kind="stable")
    return [present[i] for i in order], values[order], m


def _restore(
    p_values: Sequence[float | None], positions: list[int], ordered: FloatArray, adjusted: FloatArray
) -> list[float | None]:
    result: list[float | None] = [None] * len(p_values)
    # An adjusted p-value is never below its raw one; rounding in m·p/j could make it so by one digit.
    for position, raw, value in zip(positions, ordered, adjusted, strict=True):
        result[position] = float(max(raw, value))
    return result
