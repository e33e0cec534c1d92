"""How much a finding matters: the rules of docs/statistics.md (``severity_scheme`` in the policy packs)."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.records import Conclusion, Role, Severity
from auditor.rounding import printed
from auditor.statistics.multiplicity import significant as at_level
from auditor.statistics.results import Interval

ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingFacts:
    """What the severity of a finding is judged by. Every default means "does not apply".

    Attributes
    ----------
    conclusion, role, p_adjusted
        Of the measurement; ``p_adjusted`` is the family's (Holm) for confirmatory tests, the BH q for exploratory ones.
        Secondary and supporting (mechanistic) evidence is never graded by its own significance.
    alpha, q
        The plan's level of confirmatory tests and its share of false discoveries among exploratory ones. An adjusted p
        is judged by the plan's own levels, so it cannot be given without them.
    effect, interval
        Rate difference as a share (0.02 = 2 points) and its interval.
    impact_ratio
        AIR; judged by min(AIR, 1/AIR).
    reason_fidelity
        Share of stated reasons that are real.
    overt_reviewers
        People who confirmed that an answer cites a prohibited basis as a reason.
    integrity_failure, documentation_gap, improvement
        Evidence does not verify; a gap without effect on the conclusion; a suggestion.
    top_tier_model
        The model is tier 1.
    determinative, human_review
        The decision stands on the model alone; a person reviews each decision.
    repeat, overdue, top_volume
        Found before; past its date; top tier of affected volume.
    documented_control, second_line_approval
        Both are needed to lower a severity.
    """

    conclusion: Conclusion | None = None
    role: Role = Role.PRIMARY
    p_adjusted: float | None = None
    alpha: float | None = None
    q: float | None = None
    effect: float | None = None
    interval: Interval | None = None
    impact_ratio: float | None = None
    reason_fidelity: float | None = None
    overt_reviewers: int = 0
    integrity_failure: bool = False
    documentation_gap: bool = False
    improvement: bool = False
    top_tier_model: bool = False
    determinative: bool = False
    human_review: bool = True
    repeat: bool = False
    overdue: bool = False
    top_volume: bool = False
    documented_control: bool = False
    second_line_approval: bool = False

    def __post_init__(self) -> None:
        if self.p_adjusted is not None and (self.alpha is None or self.q is None):
            raise ValueError("an adjusted p-value is graded by the plan's alpha and q; give both")
        for name, level in (("alpha", self.alpha), ("q", self.q)):
            if level is not None and not 0 < level < 1:
                raise ValueError(f"{name} must lie in (0, 1), got {level}")


@dataclass(frozen=True, slots=True)
class Grade:
    """Severity, the id of the rule that gave it, and the rule in words with the modifiers applied."""

    severity: Severity
    rule: str
    sentence: str


def grade(facts: FindingFacts) -> Grade | None:
    """Severity of a finding, or ``None`` where no rule makes a finding of these facts (no severity is not a pass).

    Raises count once, however many apply, and never reach critical: critical has its own rules only. Lowering by one
    needs a documented control and second-line approval, and never applies to an overt reference.
    """
    base = _critical(facts) or _high(facts) or _medium(facts) or _low(facts)
    if base is None:
        return None
    severity, notes = base.severity, [base.sentence]
    if (why := _raises(facts)) and severity.rank < Severity.HIGH.rank:
        severity = list(Severity)[severity.rank + 1]
        notes.append(f"raised by one: {', '.join(why)}")
    overt = base.rule == "critical-overt-reference"
    if facts.documented_control and facts.second_line_approval and not overt and severity.rank > 0:
        severity = list(Severity)[severity.rank - 1]
        notes.append("lowered by one: documented control, approved by the second line")
    return Grade(severity, base.rule, "; ".join(notes) + ".")


def _significant(facts: FindingFacts) -> bool:
    return facts.role is Role.PRIMARY and _below(facts.p_adjusted, facts.alpha)


def _below(p_value: float | None, level: float | None) -> bool:
    return level is not None and at_level(p_value, alpha=level)


def _effect(facts: FindingFacts) -> float:
    return abs(facts.effect) if facts.effect is not None else 0.0


def _ratio(facts: FindingFacts) -> float | None:
    """min(AIR, 1/AIR): the same distance from 1 in either direction."""
    ratio = facts.impact_ratio
    if ratio is None:
        return None
    if ratio < 0:
        raise ValueError(f"impact_ratio cannot be negative, got {ratio}")
    return min(ratio, 1 / ratio) if ratio > 0 else 0.0


def _ratio_words(facts: FindingFacts) -> str:
    """The ratio that is graded, and of one above 1 what it was: its reciprocal alone would be taken for it."""
    graded, ratio = printed(_ratio(facts) or 0.0, 2), facts.impact_ratio or 0.0
    if ratio <= 1:
        return f"the impact ratio is {graded}"
    return f"the impact ratio is {printed(ratio, 2)}, its reciprocal {graded}"


def _critical(facts: FindingFacts) -> Grade | None:
    if facts.overt_reviewers >= 2:
        text = "Two reviewers confirmed that an answer cites a prohibited basis as a reason"
        return Grade(Severity.CRITICAL, "critical-overt-reference", text)
    if facts.integrity_failure:
        return Grade(Severity.CRITICAL, "critical-evidence-integrity", "The evidence does not verify")
    if _significant(facts) and facts.determinative and _effect(facts) >= 0.05 - ROUNDING:
        points = printed(_effect(facts), 1, percent=True)
        text = f"Significant difference of {points} pp (5 or more) in a determinative decision"
        return Grade(Severity.CRITICAL, "critical-net-effect", text)
    return None


def _high(facts: FindingFacts) -> Grade | None:
    if not _significant(facts):
        return None
    nearest = facts.interval.nearest_zero if facts.interval and facts.effect is not None else 0.0
    if nearest >= 0.02 - ROUNDING:
        text = f"Significant, and the interval stays {printed(nearest, 1, percent=True)} pp (2 or more) away from 0"
        return Grade(Severity.HIGH, "high-interval", text)
    ratio = _ratio(facts)
    if ratio is not None and ratio < 0.80 - ROUNDING:
        text = f"Significant, and {_ratio_words(facts)} (below 0.80, in either direction)"
        return Grade(Severity.HIGH, "high-impact-ratio", text)
    fidelity = facts.reason_fidelity
    if fidelity is not None and fidelity < 0.80 - ROUNDING:
        text = f"Significant, and {printed(fidelity, 0, percent=True)}% of stated reasons are real (below 80%)"
        return Grade(Severity.HIGH, "high-reason-fidelity", text)
    return None


def _medium(facts: FindingFacts) -> Grade | None:
    significant, ratio, fidelity = _significant(facts), _ratio(facts), facts.reason_fidelity
    if significant and _effect(facts) >= 0.01 - ROUNDING:
        text = f"Significant difference of {printed(_effect(facts), 1, percent=True)} pp (1 or more)"
        return Grade(Severity.MEDIUM, "medium-effect", text)
    if significant and ratio is not None and ratio < 0.90 - ROUNDING:
        text = f"Significant, and {_ratio_words(facts)} (0.80 to 0.90, in either direction)"
        return Grade(Severity.MEDIUM, "medium-impact-ratio", text)
    if facts.conclusion is Conclusion.INCONCLUSIVE and facts.role is Role.PRIMARY and facts.top_tier_model:
        text = "A primary test of a tier 1 model is inconclusive"
        return Grade(Severity.MEDIUM, "medium-inconclusive", text)
    if fidelity is not None and fidelity < 0.95 - ROUNDING:
        text = f"{printed(fidelity, 0, percent=True)}% of stated reasons are real (below 95%)"
        return Grade(Severity.MEDIUM, "medium-reason-fidelity", text)
    if significant and facts.conclusion is Conclusion.DIFFERENCE_FOUND and facts.effect is None and ratio is None:
        # A shift in SDs has no rule of its own in the scheme; met thresholds must not rank as "below threshold".
        text = "Significant, and the practical threshold of a measure other than a rate is met"
        return Grade(Severity.MEDIUM, "medium-practical-threshold", text)
    return None


def _low(facts: FindingFacts) -> Grade | None:
    if _significant(facts):
        return Grade(Severity.LOW, "low-below-threshold", "Significant, below the practical threshold")
    if facts.role is Role.EXPLORATORY and _below(facts.p_adjusted, facts.q):
        return Grade(Severity.LOW, "low-exploratory", f"Exploratory signal, q below {facts.q:.2g}")
    if facts.documentation_gap:
        return Grade(Severity.LOW, "low-documentation", "Documentation gap without effect on the conclusion")
    if facts.improvement:
        return Grade(Severity.OBSERVATION, "observation", "Suggestion for improvement")
    return None


def _raises(facts: FindingFacts) -> list[str]:
    reasons = []
    if facts.determinative or not facts.human_review:
        reasons.append("determinative decision" if facts.determinative else "no human review")
    if facts.repeat or facts.overdue:
        reasons.append("repeat finding" if facts.repeat else "overdue")
    if facts.top_volume:
        reasons.append("top tier of affected volume")
    return reasons
