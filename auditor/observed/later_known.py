"""Of whom a later outcome is known: where that follows from the decision, decisions cannot be held against it.

Whoever was denied has no loan to repay. Where later outcomes are known of approved applications and of few denied ones,
nearly all known good applications were approved, in every group and whatever was decided: equal opportunity then reads
as nearly equal over any difference. Known alike of both kinds of decisions, they may be few and still say it.
"""

from __future__ import annotations

import math

from auditor.observed.contrasts import ObservedContrast
from auditor.rounding import printed
from auditor.statistics.multiplicity import significant
from auditor.statistics.rates import Tally, two_rate_test
from auditor.statistics.results import SMALL_CELL, BoolArray

LEAST_SHARE = 0.5
"""Least share known of one kind of decisions, over that of the other, from which known ones may stand for all."""
MOST_MOVED = 0.005
"""Most that a gap may move when each kind of decisions counts as if it were known alike: a quarter of two points."""


def unlike_known(
    contrast: ObservedContrast, known: BoolArray, good: BoolArray, *, alpha: float, moved: float = MOST_MOVED
) -> str:
    """Why decisions of two groups cannot be held against their later outcomes; empty where they can.

    Parameters
    ----------
    known, good
        Shape of the contrast's rows: which have a later outcome, and which a good one.
    alpha
        Level at which a group's favourable and adverse decisions are known unlike.
    moved
        Most that a gap of true or false positive rates may move.

    Notes
    -----
    Where a group's two kinds of decisions are known unlike, those of each are weighted to the number there are. By
    chance alone such shares differ too, which moves nothing on average: only what a test tells apart is weighted.
    """
    said, rates = [], {}
    beyond = False
    for name, members in ((contrast.group, contrast.protected), (contrast.reference, ~contrast.protected)):
        kinds = [members & contrast.favourable, members & ~contrast.favourable]
        favoured, denied = (Tally.of(known[kind]) for kind in kinds)
        if not (favoured.n and denied.n and favoured.favourable and denied.favourable):
            return ""  # one kind is missing altogether, which is said elsewhere
        test = two_rate_test(protected=favoured, reference=denied)
        unlike = test is not None and significant(test.p_value, alpha=alpha)
        ratio = denied.rate / favoured.rate if unlike else 1.0
        rates[name] = [_rate(kinds, known & label, ratio) for label in (good, ~good)]
        if unlike:
            beyond |= min(ratio, 1 / ratio) < LEAST_SHARE
            said.append(f"{_share(favoured)} favourable and {_share(denied)} adverse decisions of {name}")
    (true_p, false_p), (true_0, false_0) = rates.values()
    for one, other in ((true_p, true_0), (false_p, false_0)):
        beyond |= abs((one[1] - other[1]) - (one[0] - other[0])) > moved
    if not (said and beyond):
        return ""
    return (
        f"later outcomes are known of {', and of '.join(said)}: whose is known follows from the decision, so that "
        "rates of decisions among them are not those of all"
    )


def _rate(kinds: list[BoolArray], label: BoolArray, ratio: float) -> tuple[float, float]:
    """The share of favourable decisions among those labelled so: as counted, and weighted as if known alike."""
    favoured, denied = (int((kind & label).sum()) for kind in kinds)
    if not favoured + denied:
        return math.nan, math.nan
    return favoured / (favoured + denied), favoured / (favoured + denied / ratio)


def _share(tally: Tally) -> str:
    if tally.favourable < SMALL_CELL:
        return "few"
    return f"{printed(tally.rate, 1, percent=True)}% of"
