"""The mean of one number a case, such as the change of a margin from one version to another, with its t interval."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from auditor.statistics.bootstrap import cluster_codes
from auditor.statistics.permutation import FLIPS, sign_flip_test
from auditor.statistics.results import Estimate, Interval, check_level, floats, missing, tost_level


def mean_change(
    values: npt.ArrayLike,
    *,
    clusters: npt.ArrayLike | None = None,
    level: float,
    flips: int = FLIPS,
    seed: int = 0,
    method: str = "mean change",
) -> Estimate:
    """Mean of ``values`` with a t interval over base profiles and a sign-flip permutation test.

    Parameters
    ----------
    values
        Shape (n,), for example the margin of every case in one version less that in the other. They are numbers, not
        counts of outcomes: a score interval for rates does not apply.
    clusters
        Shape (n,), base profile of each value; by default each is its own.

    Notes
    -----
    With k profiles and r_g the sum of the residuals of profile g, se = √(k/(k − 1)·Σr_g²)/n and the interval is
    mean ± t(k − 1)·se; with one value a profile that is the classical interval. Values all alike have no spread to
    judge by and get no interval: a mean of zeros is not known to be zero to any distance.
    """
    y = floats(values, name="values")
    check_level(level)
    n = len(y)
    if n == 0:
        return missing(method=method, reason="there are no cases", n=0)
    codes, k = cluster_codes(clusters, n=n)
    mean = float(y.mean())
    totals = np.bincount(codes, weights=y, minlength=k)
    test = sign_flip_test(totals, flips=flips, seed=seed)
    residuals = np.bincount(codes, weights=y - mean, minlength=k)
    squares = float(residuals @ residuals)
    if k < 2 or squares <= (1e-12 * max(1.0, float(np.abs(y).max()))) ** 2 * n:
        reason = "all cases are in one profile" if k < 2 else "the values do not vary"
        return Estimate(value=mean, n=n, method=method, test=test, reason=f"no interval: {reason}")
    error = math.sqrt(k / (k - 1) * squares) / n

    def interval(wanted: float) -> Interval:
        reach = float(stats.t.isf((1 - wanted) / 2, k - 1)) * error
        return Interval(mean - reach, mean + reach, wanted, "t over profiles")

    return Estimate(
        value=mean,
        n=n,
        method=method,
        interval=interval(level),
        tost_interval=interval(tost_level(level)),
        test=test,
        counts={"profiles": k, "standard_error": error},
    )
