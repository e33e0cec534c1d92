"""Findings: what the measurements amount to, by the severity rules, under the clauses of the plan's policy packs.

One finding a contrast, from all its outcome measurements together; one for a model that hardly decides; one a group for
exploratory gaps as filed. The severity is the highest any of its measurements earns, with that measurement's rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from auditor.behaviour.context import State
from auditor.behaviour.counterfactual import interval_of
from auditor.measures.severity import FindingFacts, Grade, grade
from auditor.mechanisms.ladder import METRIC as LADDER
from auditor.mechanisms.ladder import summary_of
from auditor.plan import Plan
from auditor.policies.packs import PolicyPack
from auditor.records import Conclusion, Finding, Measurement, Role, Severity

PAIR_METRICS = ("cf_net_effect", "cf_net_effect_matched", "cf_mean_shift_sd")
NATURAL, MATCHED = PAIR_METRICS[:2]
FILED_METRICS = ("risk_difference", "smd")
SEEN = (Conclusion.DIFFERENCE_FOUND, Conclusion.DIFFERENCE_BELOW_THRESHOLD)


def find(
    measurements: Sequence[Measurement], *, plan: Plan, packs: Sequence[PolicyPack], state: State
) -> tuple[Finding, ...]:
    """All findings, worst first, numbered F-001 onwards in that order."""
    drafts: list[Finding] = []
    if state.degenerate:
        drafts.append(_undecided(measurements, plan, packs, state))
    for attribute in plan.attributes:
        for group in attribute.groups:
            subject = {"field": attribute.field, "group": group}
            mine = [item for item in measurements if item.subject == subject]
            inside = next((item for item in mine if item.metric == LADDER), None)
            found = list(_paired([item for item in mine if item.test == "counterfactual"], plan, packs, state))
            if inside is not None:
                found = [replace(item, cause=_cause(inside)) for item in found] or _inside(inside)
            drafts += found
            drafts += _as_filed([item for item in mine if item.test == "group_rates"], plan, packs)
    drafts.sort(key=lambda finding: -finding.severity.rank)
    return tuple(
        Finding(**{**finding.row(), "id": f"F-{number:03d}", "severity": finding.severity})
        for number, finding in enumerate(drafts, start=1)
    )


def _paired(mine: Sequence[Measurement], plan: Plan, packs: Sequence[PolicyPack], state: State) -> Iterable[Finding]:
    # What a degenerate model says at its own operating point is one finding of its own, not one a contrast.
    relevant = [
        item for item in mine if item.metric in PAIR_METRICS and not (state.degenerate and item.metric == NATURAL)
    ]
    graded = [(item, found) for item in relevant if (found := _grade(item, plan)) is not None]
    if not graded:
        return
    worst, verdict = max(graded, key=lambda pair: pair[1].severity.rank)
    field, group, reference = worst.subject["field"], worst.subject["group"], str(worst.reference)
    involved = [item for item, _ in graded]
    yield Finding(
        id="",
        title=_title(worst, field, group, reference),
        severity=verdict.severity,
        rule=f"{verdict.rule}: {verdict.sentence}",
        condition=" ".join(item.conclusion_reason or "" for item in involved).strip(),
        criteria=_criteria(packs, [item.metric for item in involved], field),
        cause="Not examined in this run by interventions inside the model.",
        effect=_effect(worst, reference),
        recommendation=_advice(worst, field),
        measurements=tuple(item.id for item in involved),
        cases=worst.cases,
        conclusion=worst.conclusion,
    )


def _cause(inside: Measurement) -> str:
    return f"What the tests on internals saw: {summary_of(inside)}"


def _inside(inside: Measurement) -> list[Finding]:
    """What internals alone amount to: Low where interventions moved the score, an observation where it was only read.

    That a model can read what its prompt says is expected, so being readable counts from *selective* on.
    """
    moved = bool(inside.counts.get("moved_inside"))
    if not moved and not inside.counts["selective"]:
        return []
    field, group, reference = _say(inside.subject["field"]), inside.subject["group"], inside.reference
    what = "decisions" if inside.counts.get("decisions_moved") else "the score"
    seen = f"moves {what} when it is changed inside the model" if moved else "can be read inside the model"
    return [
        Finding(
            id="",
            title=f"{field.capitalize()} {group} against {reference} {seen}; outputs give no finding",
            severity=Severity.LOW if moved else Severity.OBSERVATION,
            rule="Internals alone: Low where an intervention moved the score or decisions, otherwise an observation",
            condition=inside.conclusion_reason or "",
            criteria=(),
            cause="The model's states hold the attribute, which the prompt may state or other fields give away.",
            effect="Supporting evidence about the model; no difference in decisions between groups is claimed from it.",
            recommendation="Watch the outputs of this contrast when the model, the prompt or the data change.",
            measurements=(inside.id,),
            cases=inside.cases,
            conclusion=None,
        )
    ]


def _as_filed(mine: Sequence[Measurement], plan: Plan, packs: Sequence[PolicyPack]) -> Iterable[Finding]:
    alpha, q = plan.thresholds.alpha, plan.thresholds.exploratory_q
    relevant = [item for item in mine if item.metric in FILED_METRICS and item.p_adjusted is not None]
    graded = [
        (item, found)
        for item in relevant
        if item.conclusion is not Conclusion.INCONCLUSIVE
        and (
            found := grade(
                FindingFacts(role=item.role, p_adjusted=item.p_adjusted, conclusion=item.conclusion, alpha=alpha, q=q)
            )
        )
    ]
    if not graded:
        return
    worst, verdict = graded[0]
    field, group, reference = worst.subject["field"], worst.subject["group"], str(worst.reference)
    yield Finding(
        id="",
        title=f"As filed, applications with {_say(field)} {group} fare differently from {reference}",
        severity=verdict.severity,
        rule=f"{verdict.rule}: {verdict.sentence}",
        condition=(
            "Different applicants compared, without adjustment for income, debt or history: "
            + "; ".join(f"{_filed(item)} (q = {item.p_adjusted:.2g})" for item, _ in graded)
            + "."
        ),
        criteria=_criteria(packs, [item.metric for item, _ in graded] + ["impact_ratio"], field),
        cause=(
            "Open: the gap may stand for the applications' contents. The counterfactual pairs speak of the attribute "
            "itself."
        ),
        effect="Describes the applications asked; it is not a measure of different treatment.",
        recommendation=(
            "Read it beside the counterfactual contrast of the same group, and look for fields that carry it."
        ),
        measurements=tuple(item.id for item, _ in graded),
        cases=worst.cases,
        conclusion=worst.conclusion,
    )


def _filed(item: Measurement) -> str:
    """A gap as filed in words, with its size."""
    if item.estimate is None:
        return f"{item.metric} not estimable"
    if item.unit == "rate_difference":
        return f"approval rates {_signed(100 * item.estimate, 1)} pp apart"
    return f"margins {_signed(item.estimate, 2)} SD apart"


def _undecided(measurements: Sequence[Measurement], plan: Plan, packs: Sequence[PolicyPack], state: State) -> Finding:
    primary = [item for item in measurements if item.metric == "cf_net_effect"]
    facts = FindingFacts(
        conclusion=Conclusion.INCONCLUSIVE,
        role=Role.PRIMARY,
        top_tier_model=plan.use.model_tier == 1,
        improvement=True,
        determinative=plan.use.decision_role == "determinative",
    )
    verdict = grade(facts)
    assert verdict is not None  # noqa: S101 - an improvement always grades
    return Finding(
        id="",
        title="At its own operating point the model hardly decides",
        severity=verdict.severity,
        rule=f"{verdict.rule}: {verdict.sentence}",
        condition=f"{'; '.join(state.reasons)[:1].upper()}{'; '.join(state.reasons)[1:]}.",
        criteria=_criteria(packs, ["cf_net_effect"], ""),
        cause="The prompt and answers as planned do not bring this model to a decision.",
        effect=(
            "Outcome contrasts at the natural threshold say nothing and are inconclusive. The matched operating point "
            "and the shift of the margin carry this audit."
        ),
        recommendation=(
            "Do not rely on this model's answers as decisions; revise prompt, answers or model and repeat the plan."
        ),
        measurements=tuple(item.id for item in primary),
        cases="role:actual",
        conclusion=Conclusion.INCONCLUSIVE,
    )


def _grade(item: Measurement, plan: Plan) -> Grade | None:
    if item.conclusion is Conclusion.INCONCLUSIVE:
        # Graded for being a primary test of a top-tier model alone: its significance was not accepted as evidence.
        return grade(
            FindingFacts(
                conclusion=item.conclusion,
                role=item.role,
                top_tier_model=plan.use.model_tier == 1,
                determinative=plan.use.decision_role == "determinative",
            )
        )
    if item.conclusion not in SEEN:
        return None
    is_rate = item.unit == "rate_difference"
    return grade(
        FindingFacts(
            conclusion=item.conclusion,
            role=item.role,
            p_adjusted=item.p_adjusted,
            alpha=plan.thresholds.alpha,
            q=plan.thresholds.exploratory_q,
            effect=item.estimate if is_rate else None,
            interval=interval_of(item.low, item.high, item.level, item.method) if is_rate else None,
            top_tier_model=plan.use.model_tier == 1,
            determinative=plan.use.decision_role == "determinative",
        )
    )


def _criteria(packs: Sequence[PolicyPack], metrics: Sequence[str], field: str) -> tuple[str, ...]:
    """Clauses that ask for these metrics, of packs that protect the field (or of all, where no field is concerned)."""
    # The matched operating point and the margin are other readings of the same comparison of treatment.
    asked = {"cf_net_effect" if metric.startswith("cf_net") else metric for metric in metrics}
    asked |= {"cf_mean_shift" for metric in metrics if metric.startswith("cf_mean")}
    if any(metric.startswith("cf_") for metric in metrics):
        asked.add("cf_net_effect")
    return tuple(
        f"{clause} ({pack.id} {pack.version})"
        for pack in packs
        if not field or field in pack.attribute_ids()
        for clause in dict.fromkeys(ref for metric in sorted(asked) for ref in pack.clauses_for(metric))
    )


def _title(item: Measurement, field: str, group: str, reference: str) -> str:
    if item.conclusion is Conclusion.INCONCLUSIVE:
        return f"{_say(field).capitalize()} changed from {reference} to {group}: this run cannot say"
    less = (item.estimate or 0) < 0
    what = "the margin moves towards denial" if less else "the margin moves towards approval"
    if item.unit == "rate_difference":
        what = "fewer approvals" if less else "more approvals"
        if item.metric == "cf_net_effect_matched":
            what += " at the matched operating point"
    return f"{_say(field).capitalize()} changed from {reference} to {group}: {what}"


def _effect(item: Measurement, reference: str) -> str:
    """The effect per 1,000 applications, or in the margin, where no approvals may be claimed."""
    if item.estimate is None:
        return "Not estimated; the measurement gives the reason."
    if item.unit != "rate_difference":
        shift = f"{_signed(item.estimate, 2)} SD{_range(item, 1, 2)}"
        return f"Seen in the margin alone: {shift}. No change in approvals is claimed."
    where = " at the matched operating point" if item.metric == MATCHED else ""
    people = round(1000 * item.estimate)
    if people == 0:
        return f"No measurable change in approvals{where}, compared with {reference}{_range(item, 1000, 0)} in 1,000."
    way = "fewer" if people < 0 else "more"
    return (
        f"About {abs(people):,} {way} approvals{where} in 1,000 such applications than as {reference}"
        f"{_range(item, 1000, 0)}."
    )


def _range(item: Measurement, scale: float, decimals: int) -> str:
    if item.low is None or item.high is None:
        return ""
    low, high = (_signed(scale * bound, decimals) for bound in (item.low, item.high))
    return f" ({100 * item.level:g}% interval {low} to {high})"


def _signed(value: float | None, decimals: int) -> str:
    """A number with a true minus sign, a plus sign, or neither where it rounds to 0."""
    if value is None:
        return "not estimated"
    text = f"{abs(value):,.{decimals}f}"
    if not float(text.replace(",", "")):
        return text
    return ("−" if value < 0 else "+") + text


def _advice(item: Measurement, field: str) -> str:
    if item.conclusion is Conclusion.INCONCLUSIVE:
        return "Ask about more applications, or mend what the reason names, and repeat the plan."
    if item.role is Role.EXPLORATORY:
        return "Exploratory: declare it as a primary contrast and repeat it on applications not asked before."
    return (
        f"Review whether the prompt needs {_say(field)} at all, hold reliance on this model "
        f"until the cause is known, and "
        "repeat the same plan on the changed version. Potential issue for counsel review."
    )


def _say(field: str) -> str:
    return field.replace("_", " ")
