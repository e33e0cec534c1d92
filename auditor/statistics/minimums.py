"""Minimum denominators: below one of them a measure is inconclusive and shows no interval (docs/statistics.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Minimum:
    """The least count of one kind, and how it reads in a sentence."""

    least: int
    one: str
    many: str


PAIRS = "pairs"
GROUP = "group"
REFERENCE_GROUP = "reference group"
POSITIVES = "positives"
NEGATIVES = "negatives"
MARGINS = "margins"
SHIFT_IN_SDS = "shift in SDs"

MINIMUMS: Mapping[str, Minimum] = {
    PAIRS: Minimum(50, "matched pair", "matched pairs"),
    GROUP: Minimum(30, "application in the group", "applications in the group"),
    REFERENCE_GROUP: Minimum(30, "application in the reference group", "applications in the reference group"),
    POSITIVES: Minimum(20, "truly favourable case", "truly favourable cases"),
    NEGATIVES: Minimum(20, "truly adverse case", "truly adverse cases"),
    SHIFT_IN_SDS: Minimum(100, "application behind a shift in SDs", "applications behind a shift in SDs"),
    MARGINS: Minimum(30, "application behind the SD of margins", "applications behind the SD of margins"),
}


FOR_A_SHARE = 24
"""Applications from which on a share or an attribution speaks of more than those it was taken from."""
ILLUSTRATION = "an illustration"


def scope(n: int) -> str:
    """What a share or an attribution from ``n`` applications is, in words; empty where it is more than this."""
    if n >= FOR_A_SHARE:
        return ""
    few = "one application" if n == 1 else f"{n} applications"
    return f"{ILLUSTRATION}, {few}: {FOR_A_SHARE} and more would tell how it is in general"


def interval_may_stand(n: int) -> bool:
    """Whether so many applications or pairs carry an interval: fewer are an illustration, which has none."""
    return n >= FOR_A_SHARE


def unmet(found: Mapping[str, int], *, small_cell: int = 0) -> tuple[str, ...]:
    """Which minimum denominators are not met, in words; empty when all are.

    Parameters
    ----------
    found
        Counts by the names of `MINIMUMS`. Only the names given are asked for: they say what the measure rests on.
    small_cell
        Counts below it are not printed, because the sentence may stand where the count itself is suppressed.

    Raises
    ------
    ValueError
        For a name that has no minimum or a negative count.
    """
    reasons = []
    for name, count in found.items():
        if name not in MINIMUMS:
            raise ValueError(f"{name!r} has no minimum denominator; known are {', '.join(MINIMUMS)}")
        if count < 0:
            raise ValueError(f"a count cannot be negative, got {count} {name}")
        rule = MINIMUMS[name]
        if count < rule.least:
            printed = f"fewer than {small_cell} {rule.many}" if count < small_cell else _said(count, rule)
            reasons.append(f"{printed}, at least {rule.least} needed")
    return tuple(reasons)


def _said(count: int, rule: Minimum) -> str:
    return f"{count or 'no'} {rule.one if count == 1 else rule.many}"


def draws_needed(*, alpha: float, family_size: int = 1, tails: int = 1) -> int:
    """Fewest random draws R at which a randomisation p can be significant at the family's worst step: 39 for two tests.

    The smallest p of R draws is 1/(R + 1), twice that where the smaller of two tails is doubled. It must reach α/m, the
    worst step of Holm over m tests (and of BH, where the one test alone reaches its cut): R = m/α − 1. Equal to its
    level is significant (`multiplicity.significant`), since a draw of the null gets there with that probability.

    Parameters
    ----------
    alpha
        The plan's level.
    family_size
        Tests in the family: the factor of Holm's first step.
    tails
        2 where the p-value is twice that of the smaller tail.
    """
    if not 0 < alpha < 1 or family_size < 1:
        raise ValueError(f"alpha in (0, 1) and a family of at least 1 are needed, got {alpha} and {family_size}")
    # As a fraction: 2/0.05 is 40 exactly, and one draw less or more is a matter of the last bit otherwise.
    return math.ceil(Fraction(tails * family_size) / Fraction(str(alpha))) - 1


def too_few_draws(draws: int, *, alpha: float, family_size: int = 1) -> str | None:
    """Why a randomisation p cannot speak; ``None`` where it can."""
    needed = draws_needed(alpha=alpha, family_size=family_size)
    if draws >= needed:
        return None
    return f"too few draws to say: {draws} random draws, at least {needed} needed in a family of {family_size}"
