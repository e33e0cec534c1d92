"""How large the difference between two groups may be, and which size counts as none: a "no" of the ladder rests on it.

A "no" says that nothing is there. That nothing stood out from controls does not show it: a difference between the
groups that an intervention leaves as it was is made somewhere else. Pure.
"""

from __future__ import annotations

import numpy as np

from auditor.mechanisms._shared.paired_means import student_interval
from auditor.plan import Thresholds
from auditor.statistics.minimums import interval_may_stand
from auditor.testing.context import FloatArray


def ends(values: FloatArray, *, level: float) -> tuple[float, float] | tuple[None, None]:
    """Ends of the interval of a mean over applications; none from so few that it is an illustration."""
    return student_interval(values, level=level) if interval_may_stand(len(values)) else (None, None)


def gap_counts(gaps: FloatArray, *, whole: FloatArray, thresholds: Thresholds) -> dict[str, float | int | None]:
    """The ends of the mean difference, and the size below which the plan calls a shift of the margin none, in nats.

    Few applications have no interval (`printable`), and so no ends.

    Parameters
    ----------
    gaps
        Difference of the margins by measured application, shape (n,).
    whole
        Untouched margins of the reference, of all applications; the plan's least shift is a share of their SD.
    thresholds
        The plan's: alpha and ``practical_margin_sd``.
    """
    low, high = ends(gaps, level=1 - thresholds.alpha)
    practical = thresholds.practical_margin_sd * float(np.std(whole, ddof=1))
    return {"gap_low": low, "gap_high": high, "practical": practical}
