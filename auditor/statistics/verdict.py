"""The one order in which a test reaches its conclusion, and the small-cell rules in it (docs/statistics.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from auditor.records import Conclusion
from auditor.rounding import printed, significant
from auditor.statistics.multiplicity import significant as at_level
from auditor.statistics.results import SMALL_CELL

Scale = Literal["rate difference", "ratio", "standardised"]

SMALL_CLAIM = 0.02
PAIRS_FOR_SMALL_CLAIM = 300
# Figures such as 0.02 come out of a subtraction one binary digit off; at a threshold that digit must not decide.
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of one test when it is to be concluded.

    Attributes
    ----------
    tested
        Whether it ran; ``not_tested_reason`` says why not.
    denominators_ok, degenerate, checks_held
        Data quality: every minimum denominator met; the model gives one answer to all or hardly any; every self-check
        held. ``quality_reason`` is printed where one of them fails.
    dependent
        Why the cases are not independent of one another as the test needs them; empty where they are.
    p_adjusted
        Two-sided, adjusted in its family.
    estimate
        Difference (a share or SDs) or ratio, by ``scale``.
    practical_threshold
        Smallest difference that matters, or for a ratio τ: outside [τ, 1/τ] matters.
    equivalent
        Outcome of TOST; ``None`` where it could not be done or was not planned. ``equivalence`` is the sentence that
        says so: the interval that decides, at its level; ``equivalence_alpha`` the level of each one-sided test.
    equivalence_barriers
        Why "equivalent" may not be said even where TOST passes: too few of one outcome, all flips on one side, too few
        pairs, a difference at another cut-off.
    absence_barriers
        Why neither "equivalent" nor "no evidence" may be said: unreadable answers, a difference at another cut-off.
    mde
        Smallest effect the design could detect, as a positive difference, or for a ratio the nearest detectable ratio
        below 1; ``None`` where nothing is detectable.
    alpha, exploratory
        Two-sided level; for exploratory tests the share of false discoveries, and p is then called q.
    pairs
        Matched pairs behind the estimate; ``None`` for a comparison of groups.
    """

    estimate: float | None
    p_adjusted: float | None
    practical_threshold: float
    scale: Scale = "rate difference"
    tested: bool = True
    not_tested_reason: str = "out of scope"
    denominators_ok: bool = True
    degenerate: bool = False
    checks_held: bool = True
    quality_reason: str = ""
    dependent: str = ""
    equivalent: bool | None = None
    equivalence: str = ""
    equivalence_alpha: float
    equivalence_barriers: tuple[str, ...] = ()
    absence_barriers: tuple[str, ...] = ()
    mde: float | None = None
    alpha: float
    exploratory: bool = False
    pairs: int | None = None

    def __post_init__(self) -> None:
        if not self.practical_threshold > 0 or (self.scale == "ratio" and self.practical_threshold >= 1):
            raise ValueError(f"no usable practical threshold for a {self.scale}: {self.practical_threshold}")
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must lie in (0, 1), got {self.alpha}")
        if self.p_adjusted is not None and not 0 <= self.p_adjusted <= 1:
            raise ValueError(f"p_adjusted must lie in [0, 1], got {self.p_adjusted}")
        if self.scale == "ratio" and self.estimate is not None and self.estimate < 0:
            raise ValueError(f"a ratio cannot be negative, got {self.estimate}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The conclusion and the sentence that gives its reason."""

    conclusion: Conclusion
    reason: str


def conclude(evidence: Evidence) -> Verdict:  # noqa: PLR0911 - one return a step, in the order of the rule
    """Conclude one test. Both directions are treated alike; the absence of a difference needs power to be said.

    The order: not tested; data quality; significant and at or beyond the practical threshold; significant below it
    (also where equivalence holds); a barrier to saying that there is none; equivalent, unless a barrier stands against
    that; enough power to have seen the threshold; otherwise inconclusive.

    Under 300 pairs nothing can be said about differences of 2 points or less: "equivalent", "no evidence" and "below
    the threshold" become inconclusive there. A significant difference at or beyond the threshold stands, since few
    pairs make it harder to find, not easier.
    """
    threshold = size(evidence.practical_threshold, evidence.scale)
    if not evidence.tested:
        return Verdict(Conclusion.NOT_TESTED, _sentence(f"Not tested: {evidence.not_tested_reason}"))
    if quality := _quality(evidence):
        return Verdict(Conclusion.INCONCLUSIVE, _sentence(quality))
    assert evidence.estimate is not None  # noqa: S101 - a missing estimate or p failed the quality step
    assert evidence.p_adjusted is not None  # noqa: S101
    seen = size(evidence.estimate, evidence.scale, signed=True)
    p = f"{'q' if evidence.exploratory else 'adjusted p'} = {significant(evidence.p_adjusted, 3)}"
    kind = "An exploratory signal" if evidence.exploratory else "A difference"
    clear = at_level(evidence.p_adjusted, alpha=evidence.alpha)
    if clear and _beyond(evidence.estimate, evidence):
        reason = f"{kind} was found: {seen}, {p}; it meets the practical threshold of {threshold}"
        return Verdict(Conclusion.DIFFERENCE_FOUND, _sentence(reason))
    small_claim = evidence.scale == "rate difference" and evidence.practical_threshold <= SMALL_CLAIM + ROUNDING
    if evidence.pairs is not None and evidence.pairs < PAIRS_FOR_SMALL_CLAIM and small_claim:
        reason = (
            f"Too few pairs to say: {evidence.pairs} pairs, and a statement about {threshold} needs "
            f"at least {PAIRS_FOR_SMALL_CLAIM}"
        )
        return Verdict(Conclusion.INCONCLUSIVE, _sentence(reason))
    if clear:
        reason = (
            f"{'A small exploratory signal' if evidence.exploratory else 'A small and real difference'} was found: "
            f"{seen}, {p}; it is below the practical threshold of {threshold}"
        )
        return Verdict(Conclusion.DIFFERENCE_BELOW_THRESHOLD, _sentence(reason))
    if evidence.absence_barriers:
        found = f"No difference was found ({seen}), but its absence cannot be said: "
        return Verdict(Conclusion.INCONCLUSIVE, _sentence(found + "; ".join(evidence.absence_barriers)))
    barred = ""
    if evidence.equivalent:
        if not evidence.equivalence_barriers:
            reason = evidence.equivalence or "The difference lay within the equivalence margin set before the run"
            return Verdict(Conclusion.EQUIVALENT_WITHIN_MARGIN, _sentence(reason))
        barred = f". Equivalence is not said: {'; '.join(evidence.equivalence_barriers)}"
    if evidence.mde is None:
        reason = f"No difference was found ({seen}), but this design could not have detected any"
        return Verdict(Conclusion.INCONCLUSIVE, _sentence(reason + barred))
    mde = size(evidence.mde, evidence.scale)
    if _detects(evidence):
        sought = f"a difference of {threshold} or more"
        if evidence.scale == "ratio":
            sought = f"a ratio outside {threshold} to {size(1 / evidence.practical_threshold, evidence.scale)}"
        reason = (
            f"No evidence of {sought} was found ({seen}); the test could have detected "
            f"{mde} after adjustment, smaller differences cannot be excluded"
        )
        return Verdict(Conclusion.NO_EVIDENCE, _sentence(reason + barred))
    reason = (
        f"Too little power to say: {seen} was found; the test could have detected {mde} after adjustment, the "
        f"practical threshold is {threshold}"
    )
    return Verdict(Conclusion.INCONCLUSIVE, _sentence(reason + barred))


def _quality(evidence: Evidence) -> str | None:
    failed: list[str] = []
    if not evidence.denominators_ok:
        failed.append("a denominator is below its minimum")
    if evidence.degenerate:
        failed.append("the model gives one answer to nearly all cases, or no readable answer to many")
    if evidence.dependent:
        failed.append(evidence.dependent)
    if not evidence.checks_held:
        failed.append("a self-check did not hold")
    if evidence.estimate is None:
        failed.append("the estimate could not be had")
    elif evidence.p_adjusted is None and not failed:  # the cause comes first; that nothing was tested follows from it
        failed.append("the significance test has no p-value")
    if not failed:
        return None
    detail = f": {evidence.quality_reason}" if evidence.quality_reason else ""
    return f"Inconclusive, {' and '.join(failed)}{detail}"


def _beyond(estimate: float, evidence: Evidence) -> bool:
    if evidence.scale == "ratio":
        return outside_band(estimate, evidence.practical_threshold)
    return abs(estimate) >= evidence.practical_threshold - ROUNDING


def _detects(evidence: Evidence) -> bool:
    assert evidence.mde is not None  # noqa: S101 - the caller has looked
    if evidence.scale == "ratio":
        return evidence.mde >= evidence.practical_threshold - ROUNDING
    return evidence.mde <= evidence.practical_threshold + ROUNDING


def outside_band(ratio: float, tau: float) -> bool:
    """Whether a ratio lies outside [τ, 1/τ], in either direction; the ends themselves lie inside."""
    if not 0 < tau < 1:
        raise ValueError(f"tau must lie in (0, 1), got {tau}")
    return ratio < tau - ROUNDING or ratio > (1 / tau) * (1 + ROUNDING)


@dataclass(frozen=True, slots=True)
class Flag:
    """Whether a group's ratio is flagged; ``None`` where a part of the rule was never computed."""

    raised: bool | None
    reason: str


def flag_ratio(
    *,
    p_value: float | None,
    ratio: float | None,
    tau: float,
    difference: float | None,
    min_difference: float,
    alpha: float,
) -> Flag:
    """Flag rule for groups: significant, and the ratio outside [τ, 1/τ], and the rates far enough apart.

    All three must have been computed: a test that never ran does not mask a flag, it leaves it undecided.
    """
    parts = {"significance": p_value, "ratio": ratio, "rate difference": difference}
    absent = [name for name, value in parts.items() if value is None]
    if p_value is None or ratio is None or difference is None:
        return Flag(None, f"not computed: {', '.join(absent)}")
    failed = [
        name
        for name, holds in (
            (f"not significant at {alpha:g}", at_level(p_value, alpha=alpha)),
            (f"ratio within [{tau:g}, {1 / tau:.4g}]", outside_band(ratio, tau)),
            (f"rates less than {100 * min_difference:g} pp apart", abs(difference) >= min_difference - ROUNDING),
        )
        if not holds
    ]
    return Flag(not failed, "; ".join(failed) or "significant, outside the ratio band, and rates far enough apart")


def below_minimum(*, found: Mapping[str, int], required: Mapping[str, int]) -> tuple[str, ...]:
    """Which denominators are below their minimum, as sentences; empty when all are met.

    ``required`` names minimum counts (n, positives, negatives, discordant pairs…); a count not found is 0.
    """
    return tuple(
        f"{name}: {found.get(name, 0)}, at least {least} needed"
        for name, least in required.items()
        if found.get(name, 0) < least
    )


def printed_count(count: int) -> str:
    """A count as it may be printed: "< 11" for small cells."""
    return f"< {SMALL_CELL}" if count < SMALL_CELL else str(count)


def size(value: float, scale: Scale, *, signed: bool = False) -> str:
    """A difference or ratio in words: "2.0 pp", "0.10 SD", "0.79"."""
    if scale == "ratio":
        return printed(value, 2)
    sign = "" if not signed else "−" if value < 0 else "+" if value > 0 else ""
    if scale == "standardised" and 0 < abs(value) < 0.005:  # two decimals would print it as none
        return f"{sign}<0.01 SD" if sign else "under 0.01 SD"
    return (
        f"{sign}{printed(abs(value), 1, percent=True)} pp"
        if scale == "rate difference"
        else f"{sign}{printed(abs(value), 2)} SD"
    )


def _sentence(text: str) -> str:
    return text.rstrip(".") + "."
