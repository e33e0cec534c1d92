"""The gap between two groups' mean amounts or prices, in their own unit (docs/statistics.md)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from auditor.statistics.clustered import MeanError
from auditor.statistics.results import Estimate, Interval, Significance, check_level, floats, missing, tost_level


def mean_gap(
    *, protected: npt.ArrayLike, reference: npt.ArrayLike, level: float, error: MeanError | None = None
) -> Estimate:
    """Mean of the protected group less that of the reference, with Welch's interval and test (unequal variances).

    Parameters
    ----------
    protected, reference
        Shape (n_p,) and (n_0,): the amounts of either group, one a decision.
    error
        Of the difference, where decisions belong together; else Welch's.

    Notes
    -----
    No interval where a group has fewer than two amounts or neither varies.
    """
    y_p, y_0 = floats(protected, name="protected"), floats(reference, name="reference")
    n_p, n_0 = len(y_p), len(y_0)
    method = "difference of means"
    counts: dict[str, int | float | str] = {"n_p": n_p, "n_0": n_0}
    check_level(level)
    if not n_p or not n_0:
        which = "protected" if not n_p else "reference"
        return missing(method=method, reason=f"no amount is stated in the {which} group", n=n_p + n_0, **counts)
    value = float(y_p.mean() - y_0.mean())
    counts |= {"mean_p": float(y_p.mean()), "mean_0": float(y_0.mean())}
    counts |= {"median_p": float(np.median(y_p)), "median_0": float(np.median(y_0))}
    parts = [float(each.var(ddof=1)) / len(each) if len(each) > 1 else math.nan for each in (y_p, y_0)]
    spread = math.sqrt(sum(parts)) if not any(map(math.isnan, parts)) else math.nan
    if error is not None and error.belong.few:
        return Estimate(value=value, n=n_p + n_0, method=method, reason=error.belong.few, counts=counts)
    by, spread = ("Welch", spread) if error is None else ("cluster-robust", error.error)
    scale = max(float(np.abs(y_p).max()), float(np.abs(y_0).max()), 1e-300)
    if not spread > 1e-12 * scale:
        reason = "no interval: a group of one, or amounts all alike"
        return Estimate(value=value, n=n_p + n_0, method=method, reason=reason, counts=counts)
    freedom = error.belong.fewest - 1 if error is not None else _welch_freedom(parts, (n_p, n_0))

    def interval(wanted: float) -> Interval:
        reach = float(stats.t.isf((1 - wanted) / 2, freedom)) * spread
        return Interval(value - reach, value + reach, wanted, by)

    t = value / spread
    p = float(2 * stats.t.sf(abs(t), freedom))
    return Estimate(
        value=value,
        n=n_p + n_0,
        method=method,
        interval=interval(level),
        tost_interval=interval(tost_level(level)),
        test=Significance(p_value=p, method=f"{by} t", statistic=t, sd_units=t),
        counts={**counts, "standard_error": spread},
    )


def _welch_freedom(parts: list[float], sizes: tuple[int, int]) -> float:
    return float(sum(parts) ** 2 / sum(part**2 / (n - 1) for part, n in zip(parts, sizes, strict=True)))
