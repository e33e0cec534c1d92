"""The mean of one number an application, with Student's interval and test; the mean of shares."""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student

from auditor.language_models.tolerance import TOLERANCE
from auditor.statistics.results import Estimate, Interval, Significance, missing
from auditor.testing.context import FloatArray


def paired_mean(values: FloatArray, *, level: float, method: str, floor: float = TOLERANCE) -> Estimate:
    """Estimate a mean difference in nats.

    Parameters
    ----------
    values
        One difference an application, shape (n,), n at least 2.
    level
        Level of the interval.
    method
        What was averaged.
    floor
        Differences that are all within it are rounding, and their test says 1: the scoring tolerance, or the bound of a
        noise floor measured on the model.
    """
    n = len(values)
    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(n))
    sd: float | None = None
    if np.abs(values).max() <= floor:
        p_value = 1.0
    elif error == 0:
        p_value = 0.0
    else:
        p_value, sd = float(2 * student.sf(abs(mean) / error, n - 1)), mean / error
    return Estimate(
        value=mean,
        n=n,
        method=method,
        interval=Interval(*student_interval(values, level=level), level, "Student, by application"),
        test=Significance(p_value, "paired t test, by application", sd_units=sd),
    )


def student_interval(values: FloatArray, *, level: float) -> tuple[float, float]:
    """Ends of the interval of a mean of at least two values."""
    n = len(values)
    half = float(student.ppf((1 + level) / 2, n - 1)) * float(values.std(ddof=1) / np.sqrt(n))
    return float(values.mean()) - half, float(values.mean()) + half


def mean_share(values: FloatArray, *, level: float, method: str, by: str) -> Estimate:
    """The mean of shares between 0 and 1, one for each of ``by``, with Student's interval kept between 0 and 1."""
    n = len(values)
    if n < 2:
        return missing(method=method, reason=f"too few values for a mean: {n} {by}", n=n)
    low, high = student_interval(values, level=level)
    interval = Interval(max(0.0, low), min(1.0, high), level, f"Student, by {by}")
    return Estimate(value=float(values.mean()), n=n, method=method, interval=interval)
