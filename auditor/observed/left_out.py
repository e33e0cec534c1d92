"""Who no rate of decisions counts: applications decided neither way, and those that state no group.

Where either kind is left out of one group more than of the other, or was decided otherwise than those that stay, two
rates may agree because of whom they leave out. Nothing of it says which way the truth lies, so it bars the absence of a
difference and nothing else.
"""

from __future__ import annotations

import numpy as np

from auditor.observed.columns import Levels
from auditor.observed.contrasts import ObservedContrast
from auditor.rounding import printed
from auditor.statistics.multiplicity import significant
from auditor.statistics.rates import Tally, two_rate_test
from auditor.statistics.results import SMALL_CELL


def left_out(contrast: ObservedContrast, levels: Levels, *, threshold: float, alpha: float) -> tuple[str, ...]:
    """Why the absence of a difference between two groups' rates cannot be said; empty where nobody left out hides one.

    Parameters
    ----------
    contrast
        The two groups.
    levels
        The attribute that they are groups of.
    threshold
        Least difference of rates that matters: what is left out has to be able to make or hide as much.
    alpha
        Level of the tests, unadjusted: a doubt too many costs a statement, one too few a wrong one.
    """
    return (*_neither_way(contrast, threshold, alpha), *_without_group(contrast, levels, threshold, alpha))


def _neither_way(contrast: ObservedContrast, threshold: float, alpha: float) -> tuple[str, ...]:
    protected, reference = contrast.neither
    if not (protected.n and reference.n) or abs(protected.rate - reference.rate) < threshold:
        return ()
    if not _differ(protected, reference, alpha):
        return ()
    return (
        f"{_percent(protected)} of the applications of {contrast.group} and {_percent(reference)} of those of "
        f"{contrast.reference} were decided neither way, and no rate of decisions counts them",
    )


def _without_group(contrast: ObservedContrast, levels: Levels, threshold: float, alpha: float) -> tuple[str, ...]:
    observed = contrast.observed
    unknown = (levels.codes < 0) & observed.decided
    favoured = observed.favourable
    without = Tally(int((unknown & favoured).sum()), int(unknown.sum()))
    known = Tally(
        int(favoured.sum()) - without.favourable,
        int(np.count_nonzero(observed.decided)) - without.n,
    )
    if not without.n or not known.n or not all(tally.n for tally in contrast.decisions):
        return ()
    # All of them may be of one group: that is the most by which they can move its rate.
    moved = max(
        abs(Tally(tally.favourable + without.favourable, tally.n + without.n).rate - tally.rate)
        for tally in contrast.decisions
    )
    if moved < threshold or not _differ(without, known, alpha):
        return ()
    who = f"applications that state no {levels.label.lower().replace(', ', ' or no ')}"
    if min(without.favourable, without.n - without.favourable) < SMALL_CELL:
        return (f"{who} were decided otherwise than those that do, and may be of either group",)
    return (
        f"of the {who} {_percent(without)} were favoured, of the others {_percent(known)}; they may be of either group",
    )


def _differ(one: Tally, other: Tally, alpha: float) -> bool:
    test = two_rate_test(protected=one, reference=other)
    return test is not None and significant(test.p_value, alpha=alpha)


def _percent(tally: Tally) -> str:
    return f"{printed(tally.rate, 1, percent=True)}%"
