"""How findings are graded and under which clauses, for every kind of them alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from auditor.behaviour.metrics import CF_MEAN_SHIFT, CF_NET_EFFECT
from auditor.finding_words import RANGE, READABILITY, SEEN, say
from auditor.plan import Plan, Thresholds
from auditor.policies.packs import PolicyPack
from auditor.records import Conclusion, Measurement, Role
from auditor.statistics.results import Interval
from auditor.statistics.severity import FindingFacts, Grade, grade


def grade_filed(item: Measurement, plan: Plan) -> Grade | None:
    """Grade a gap between different applicants.

    By its own rule where a pack makes it primary, as an exploratory signal otherwise.
    """
    facts = FindingFacts(
        role=item.role,
        p_adjusted=item.p_adjusted,
        conclusion=item.conclusion,
        alpha=plan.thresholds.alpha,
        q=plan.thresholds.exploratory_q,
        top_tier_model=plan.use.model_tier == 1,
    )
    if item.role is not Role.PRIMARY:
        return grade(facts)
    if item.conclusion is Conclusion.INCONCLUSIVE:
        return grade(replace(facts, p_adjusted=None))
    if item.conclusion not in SEEN:
        return None
    is_ratio = item.unit == "ratio"
    between = None if item.low is None or item.high is None else Interval(item.low, item.high, item.level, item.method)
    return grade(
        replace(
            facts,
            interval=between if item.unit == "rate_difference" else None,
            impact_ratio=item.estimate if is_ratio else None,
            effect=item.estimate if item.unit == "rate_difference" else None,
            determinative=plan.use.decision_role == "determinative",
        )
    )


def _read_as(pack: PolicyPack, field: str) -> str:
    """Where the pack protects a field under another name, which one."""
    name = pack.protects(field) if field else None
    return "" if name is None or name == field else f"; {say(field)} read as {say(name)}"


def criteria_of(packs: Sequence[PolicyPack], metrics: Sequence[str], field: str) -> tuple[str, ...]:
    """Clauses that ask for these metrics, of packs that protect the field (or of all, where no field is concerned)."""
    # The matched operating point and the margin are other readings of the same comparison of treatment.
    asked = {CF_NET_EFFECT if metric.startswith("cf_net") else metric for metric in metrics}
    asked |= {CF_NET_EFFECT for metric in metrics if metric == RANGE}
    asked |= {CF_MEAN_SHIFT for metric in metrics if metric.startswith("cf_mean")}
    if any(metric.startswith("cf_") or metric == READABILITY for metric in metrics):
        asked.add(CF_NET_EFFECT)
    return tuple(
        f"{clause} ({pack.id} {pack.version}{_read_as(pack, field)})"
        for pack in packs
        if not field or pack.protects(field) is not None
        for clause in dict.fromkeys(ref for metric in sorted(asked) for ref in pack.clauses_for(metric))
    )


def times_threshold(item: Measurement, thresholds: Thresholds) -> float:
    """How many times its practical threshold an effect is, whichever its unit; 0 without one or the other.

    Ratios are compared by their logarithms, so that half as often and twice as often are as far apart.
    """
    if item.estimate is None:
        return 0.0
    if item.unit == "ratio":
        threshold = item.counts.get("threshold")
        if not threshold or threshold == 1 or item.estimate <= 0:
            return math.inf if item.estimate <= 0 else 0.0
        return abs(math.log(item.estimate) / math.log(threshold))
    of_unit = {"rate_difference": thresholds.practical_rate, "sd": thresholds.practical_margin_sd}
    threshold = of_unit.get(item.unit)
    return abs(item.estimate) / threshold if threshold else 0.0
