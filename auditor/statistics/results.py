"""What a measure returns: estimate, interval, test. A number that cannot be had is ``None`` with a reason."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from auditor.statistics.bootstrap import BootstrapSample

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

SMALL_CELL = 11
"""Counts below this are not printed (docs/statistics.md, platform default)."""

MIN_RESAMPLES = 2000
"""Of a bootstrap. Here, for plans are read where nothing is measured and scipy takes a second to load."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval for a number, and how it was made."""

    low: float
    high: float
    level: float
    method: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ValueError(f"interval bounds must be finite, got {self.low} and {self.high}")
        if self.low > self.high:
            raise ValueError(f"interval is upside down: {self.low} > {self.high}")
        check_level(self.level)

    @property
    def nearest_zero(self) -> float:
        """Distance from 0 to the interval; 0 where it covers 0."""
        if self.low <= 0 <= self.high:
            return 0.0
        return min(abs(self.low), abs(self.high))

    def inside(self, margin: float) -> bool:
        """Whether the interval lies strictly between ``-margin`` and ``+margin``."""
        return -margin < self.low and self.high < margin


@dataclass(frozen=True, slots=True)
class Significance:
    """A two-sided test: p-value, statistic, and the distance from the null in standard deviations where it has one."""

    p_value: float
    method: str
    statistic: float | None = None
    sd_units: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One measured number.

    Attributes
    ----------
    value
        The estimate; ``None`` where the data cannot give one.
    n
        Cases (or pairs) behind it.
    method
        What was computed, by its name.
    interval
        Interval at the level asked for.
    tost_interval
        Interval at level ``1 - 2(1 - level)``: 90% beside 95%, for equivalence tests.
    test
        Two-sided test of no difference.
    reason
        Why the value, the interval or the test is missing; ``None`` when nothing is.
    counts
        Whole numbers and other figures behind the value.
    sample
        The resamples behind the interval, from which it can be read at another level.
    """

    value: float | None
    n: int
    method: str
    interval: Interval | None = None
    tost_interval: Interval | None = None
    test: Significance | None = None
    reason: str | None = None
    counts: dict[str, int | float | str] = field(default_factory=dict)
    sample: BootstrapSample | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise ValueError(f"{self.method}: a missing value needs a reason")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"{self.method}: the value must be finite or None, got {self.value}")


def missing(*, method: str, reason: str, n: int, **counts: int | float | str) -> Estimate:
    """An estimate without a value, and why."""
    return Estimate(value=None, n=n, method=method, reason=reason, counts=counts)


def check_level(level: float) -> float:
    """``level`` itself; ValueError unless it lies strictly between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie strictly between 0 and 1, got {level}")
    return level


def tost_level(level: float) -> float:
    """The level of the interval two one-sided tests need: 0.90 beside 0.95."""
    if check_level(level) <= 0.5:
        raise ValueError(f"level must be above 0.5 for two one-sided tests, got {level}")
    # Rounded because 1 − 2(1 − 0.95) is 0.8999999999999999 in binary and would be printed so.
    return round(1 - 2 * (1 - level), 12)


def floats(values: npt.ArrayLike, *, name: str) -> FloatArray:
    """A one-dimensional array of finite numbers; ValueError otherwise."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must hold finite numbers only; count missing ones as an outcome of their own")
    return array


def booleans(values: npt.ArrayLike, *, name: str) -> BoolArray:
    """A one-dimensional array of True/False or 1/0; ValueError otherwise."""
    array: npt.NDArray[Any] = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got shape {array.shape}")
    if array.dtype == np.bool_ or array.size == 0:
        return array.astype(np.bool_)
    if not np.issubdtype(array.dtype, np.number) or not np.isin(array, (0, 1)).all():
        raise ValueError(f"{name} must hold only 0 and 1")
    return array.astype(np.bool_)


def same_length(**arrays: npt.NDArray[Any]) -> int:
    """The common length of the arrays; ValueError when they differ."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError("arrays differ in length: " + ", ".join(f"{name} {size}" for name, size in lengths.items()))
    return next(iter(lengths.values()))
