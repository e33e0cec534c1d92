"""Whether decisions turn both ways: an effect that cancels over all applications is no absence of one.

Where the attribute takes approvals from some applicants and gives them to others, the net effect is near 0 whatever
each of them loses: Black women fall, Black men rise. Then more decisions turn than with an irrelevant field changed,
and that there is no difference may not be said (docs/statistics.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.behaviour.pair_measures import Contrast
from auditor.counterfactuals import PLACEBO, arm
from auditor.rounding import printed
from auditor.statistics.pairs import excess_flip
from auditor.statistics.rates import Tally, clopper_pearson
from auditor.testing.context import Arm, BoolArray, Pairs
from auditor.testing.state import percent

Yes = Callable[[Arm], BoolArray]
"""Which cases of an arm have the outcome asked about, shape (cases,)."""


@dataclass(frozen=True)
class _Turned:
    """Which pairs of a contrast turn, which way, and which of the placebo's do; shapes (pairs,) and (floor pairs,)."""

    against: BoolArray
    towards: BoolArray
    floor: BoolArray

    @property
    def flips(self) -> BoolArray:
        return self.against | self.towards

    @property
    def excess(self) -> float:
        """Share of pairs that turn above the placebo's; 0 without pairs."""
        floor = float(self.floor.mean()) if len(self.floor) else 0.0
        return float(self.flips.mean()) - floor if len(self.flips) else 0.0


def turned_both_ways(
    contrast: Contrast, outcomes: Sequence[Yes], *, what: str = "decisions turn", place: str = ""
) -> tuple[str, ...]:
    """Why the absence of a net effect may not be said: pairs turn beyond the placebo's by the equivalence margin.

    Parameters
    ----------
    outcomes
        The outcome at one cut-off or at several. Of several the one with most turned pairs above the placebo's speaks,
        at a level shared by all of them and by the family's contrasts.
    what, place
        What turns, and where, in words.

    Returns
    -------
    tuple of str
        One reason, or none. Without a placebo nothing tells a model's noise from the attribute; then the turned pairs
        alone must exceed the margin.
    """
    floor = _floor(contrast)
    return _both_ways(
        contrast, floor, [_turned(contrast.pairs, floor, yes) for yes in outcomes], what + " both ways", place
    )


def moved_both_ways(contrast: Contrast, *, by: float) -> tuple[str, ...]:
    """Why a mean shift near 0 is no absence of one: scores move by ``by`` nats or more, some up and some down.

    Beyond the placebo's, as for decisions; shifts that cancel by subgroup leave a mean of 0.
    """
    floor = _floor(contrast)
    moved = contrast.pairs.protected.margins - contrast.pairs.control.margins
    changed = np.abs(floor.protected.margins - floor.control.margins)
    turned = _Turned(moved <= -by, moved >= by, changed >= by)
    return _both_ways(contrast, floor, [turned], f"scores move by {by:.2g} nats or more both ways", "")


def _floor(contrast: Contrast) -> Pairs:
    return contrast.context.pairs(arm(PLACEBO, "filed"), arm(PLACEBO, "changed"))


def _both_ways(contrast: Contrast, floor: Pairs, seen: Sequence[_Turned], what: str, place: str) -> tuple[str, ...]:
    thresholds = contrast.context.plan.thresholds
    most = max(seen, key=lambda item: item.excess, default=None)
    if most is None or most.excess < thresholds.equivalence_rate or not (most.against.any() and most.towards.any()):
        return ()
    level = 1 - thresholds.alpha / (len(seen) * contrast.family_size)
    flips, n = int(most.flips.sum()), len(most.flips)
    if not len(most.floor):
        if clopper_pearson(Tally(flips, n), level=level).low < thresholds.equivalence_rate:
            return ()
        beside = "no irrelevant field was changed to tell that from noise"
    else:
        found = excess_flip(
            flips=most.flips,
            clusters=contrast.pairs.profiles,
            floor_flips=most.floor,
            floor_clusters=floor.profiles,
            level=level,
            resamples=thresholds.bootstrap,
            seed=contrast.context.plan.cases.seed,
        ).excess
        if found.interval is None or found.interval.low <= 0:
            return ()
        beside = (
            f"with an irrelevant field changed {percent(float(most.floor.mean()))} do, so whom the change favours "
            "differs from application to application"
        )
    return (
        f"{what}{place}: {int(most.against.sum()):,} against the group, {int(most.towards.sum()):,} towards "
        f"it, {printed(flips / n, 1, percent=True)}% of pairs, and {beside}",
    )


def at_cut_off(contrast: Contrast, threshold: float) -> Yes:
    """Favourable at a cut-off; an unreadable case is so at none, unless cut-offs are set on margins alone."""

    def yes(side: Arm) -> BoolArray:
        with np.errstate(invalid="ignore"):
            above: BoolArray = side.margins >= threshold
        return above if contrast.margins_alone else above & ~side.invalid

    return yes


def _turned(pairs: Pairs, floor: Pairs, yes: Yes) -> _Turned:
    control, protected = yes(pairs.control), yes(pairs.protected)
    return _Turned(control & ~protected, ~control & protected, yes(floor.control) != yes(floor.protected))
