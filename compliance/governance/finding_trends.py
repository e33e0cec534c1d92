"""How a finding changed from one audit to the next, by the measurement that leads it. Pure: numbers in, a word out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from django.utils.translation import gettext_lazy

from auditor.records import Conclusion


class FindingTrend(StrEnum):
    """How it is now, against how it was."""

    FIRST = "first"
    IMPROVED = "improved"
    WORSE = "worse"
    SAME = "same"
    UNKNOWN = "unknown"

    @property
    def label(self) -> str:
        """In words."""
        return str(LABELS[self])


LABELS = {
    FindingTrend.FIRST: gettext_lazy("seen first"),
    FindingTrend.IMPROVED: gettext_lazy("smaller than before"),
    FindingTrend.WORSE: gettext_lazy("larger than before"),
    FindingTrend.SAME: gettext_lazy("as before"),
    FindingTrend.UNKNOWN: gettext_lazy("not comparable with before"),
}


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one audit measured: the estimate with its interval, in its unit."""

    estimate: float | None
    low: float | None
    high: float | None
    unit: str

    @property
    def distance(self) -> float | None:
        """How far the estimate is from *no difference*, which is 1 for a ratio and 0 for everything else."""
        if self.estimate is None:
            return None
        if self.unit != "ratio":
            return abs(self.estimate)
        return abs(math.log(self.estimate)) if self.estimate > 0 else math.inf

    def holds(self, value: float) -> bool:
        """Whether the interval holds a value; without one only the estimate itself."""
        if self.low is None or self.high is None:
            return value == self.estimate
        return self.low <= value <= self.high


def trend(before: Seen | None, now: Seen | None) -> FindingTrend:
    """How it changed. A change within the interval of the earlier estimate is none that these two audits show."""
    if before is None or now is None or before.unit != now.unit:
        return FindingTrend.UNKNOWN
    earlier, later = before.distance, now.distance
    if earlier is None or later is None or now.estimate is None:
        return FindingTrend.UNKNOWN
    if before.holds(now.estimate) or later == earlier:
        return FindingTrend.SAME
    return FindingTrend.WORSE if later > earlier else FindingTrend.IMPROVED


def could_see(before: Seen | None, now: Seen, *, conclusion: str | None, mde: float | None) -> bool:
    """Whether a retest that raises no finding could have seen one of the size that was found before.

    By the smallest difference that it could detect, where that is known; else by its interval, which must not hold the
    earlier estimate. What was found without a number is held by the conclusion alone.
    """
    if conclusion in (Conclusion.INCONCLUSIVE, Conclusion.NOT_TESTED):
        return False
    if before is None or before.estimate is None:
        return True
    if now.estimate is None or before.unit != now.unit:
        return False
    if mde is not None and before.unit != "ratio":
        return mde <= abs(before.estimate)
    return now.low is not None and now.high is not None and not now.holds(before.estimate)
