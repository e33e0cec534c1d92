"""Findings of a decision file: one a group, from all gaps between its decisions and those on the reference group."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from auditor.behaviour.metrics import (
    ADJUSTED_DIFFERENCE,
    IMPACT_RATIO,
    RISK_DIFFERENCE,
    SEGMENTED_DIFFERENCE,
    SEGMENTS_DIFFER,
)
from auditor.catalogue import card_of
from auditor.finding_rules import criteria_of, grade_filed
from auditor.finding_words import SEEN, say, signed
from auditor.plan import Plan
from auditor.policies.packs import PolicyPack
from auditor.records import Conclusion, Finding, Measurement, Role
from auditor.rounding import printed, significant

MOST = 8
"""Gaps that a finding names with their size; the others stand in its list of measurements."""
SUMMARIES = (RISK_DIFFERENCE, IMPACT_RATIO, ADJUSTED_DIFFERENCE, SEGMENTED_DIFFERENCE)
"""Gaps of all decisions together, which may hide those of segments."""
APART = ("field", "group")
PLACES = {"what": "of", "within": "by", "compared_with": "against the"}
"""What stands before the value of a key of a subject."""
LEADING = (RISK_DIFFERENCE, ADJUSTED_DIFFERENCE, IMPACT_RATIO)
"""Of equally grave gaps those of decisions themselves speak first."""


def decided_on(measurements: Sequence[Measurement], *, field: str, group: str) -> list[Measurement]:
    """What tests on decision files measured of one group against its reference."""
    return [
        item
        for item in measurements
        if item.reference is not None
        and item.subject.get("field") == field
        and item.subject.get("group") == group
        and (card := card_of(item.test)) is not None
        and card.needs_decision_file
    ]


def of_decisions(mine: Sequence[Measurement], plan: Plan, packs: Sequence[PolicyPack]) -> Iterable[Finding]:
    """The finding of one group, if any gap of it is graded.

    Parameters
    ----------
    mine
        As `decided_on` gives them.
    """
    candidates = [
        item
        for item in mine
        if item.role is Role.PRIMARY or (item.role is Role.EXPLORATORY and item.conclusion in SEEN)
    ]
    graded = [(item, found) for item in candidates if (found := grade_filed(item, plan)) is not None]
    apart = list(_apart(mine))
    # Where no summary shows a gap, those of segments are a finding of their own; else they lead that of the summary.
    if not any(item.metric in SUMMARIES and item.conclusion in SEEN for item, _ in graded):
        own = list(_of_segments(apart, mine, plan, packs))
        yield from own
        apart = [] if own else apart
    if not graded:
        return
    worst, verdict = max(graded, key=lambda pair: (pair[1].severity.rank, pair[0].conclusion in SEEN, _leads(pair[0])))
    involved = [worst, *(item for item, _ in graded if item is not worst)]
    field, group, reference = say(worst.subject["field"]), worst.subject["group"], worst.reference
    told = "; ".join(gap_words(item, packs) for item in involved[:MOST])
    more = f"; and {len(involved) - MOST} more" if len(involved) > MOST else ""
    undecided = worst.conclusion is Conclusion.INCONCLUSIVE
    yield Finding(
        id="",
        title=_title(worst),
        severity=verdict.severity,
        rule=f"{verdict.rule}: {verdict.sentence}",
        condition=(
            f"{''.join(f'{words} ' for _, words in apart)}"
            f"Decisions already taken on different applicants are compared: {told}{more}."
            + _at_equal_factors(mine, worst)
            + (f" {worst.conclusion_reason}" if undecided else "")
        ),
        criteria=criteria_of(packs, [item.metric for item in involved], worst.subject["field"]),
        cause=CAUSE,
        effect=EFFECT,
        recommendation=_advice(field, group, reference),
        measurements=tuple(item.id for item in involved),
        cases=worst.cases,
        conclusion=worst.conclusion,
    )


CAUSE = (
    "Open: a file does not show that the attribute makes the difference. Other circumstances are held equal only as "
    "far as the file records them."
)
EFFECT = "Describes decisions that were taken on these applicants. It does not show that like cases are treated apart."


def _advice(field: str, group: str, reference: str | None) -> str:
    return (
        f"Read files of denied {group} and approved {reference} applicants who are alike in what may count, and look "
        f"for facts that this file does not hold. Where the system behind these decisions can be asked, audit it with "
        f"only {field} changed."
    )


def _apart(mine: Sequence[Measurement]) -> Iterable[tuple[Measurement, str]]:
    """Segments that differ, or of which one has a gap of its own, in a sentence: they are told before any summary."""
    for item in mine:
        if item.metric != SEGMENTED_DIFFERENCE or not item.counts.get("lead_with_strata"):
            continue
        ends = _of_each(item, mine)
        told = [f"{printed(one.estimate or 0.0, 2)} in {say(one.subject['segment'])}" for one in ends]
        if len(told) > 4:
            told = [*told[:2], f"… ({len(told) - 4} between)", *told[-2:]]
        by = say(item.subject["within"])
        whose = f"{item.subject['group']} against {item.reference}"
        if told:
            yield item, f"By {by}, the impact ratio of {whose} is {', '.join(told)}."
        else:
            yield item, f"By {by}, decisions on {whose} differ from segment to segment."


def _of_each(item: Measurement, mine: Sequence[Measurement]) -> list[Measurement]:
    """The ratios of the segments that a summary is over, from the lowest to the highest."""
    own = [one for one in mine if one.estimate is not None and "segment" in one.subject]
    within = [one for one in own if one.subject.get("within") == item.subject["within"]]
    return sorted(within, key=lambda one: (one.estimate or 0.0, one.id))


def _ends(item: Measurement, mine: Sequence[Measurement]) -> list[Measurement]:
    """The two that are farthest apart, the one farther from 1 first."""
    found = _of_each(item, mine)
    ends = found if len(found) < 2 else [found[0], found[-1]]
    return sorted(ends, key=lambda one: -abs(math.log(one.estimate)) if one.estimate else -math.inf)


def _of_segments(
    apart: Sequence[tuple[Measurement, str]], mine: Sequence[Measurement], plan: Plan, packs: Sequence[PolicyPack]
) -> Iterable[Finding]:
    """Gaps of segments that no summary shows, since they go opposite ways or are few: an exploratory finding."""
    graded = []
    for item, words in apart:
        of = {**item.subject}
        test = next((one for one in mine if one.metric == SEGMENTS_DIFFER and one.subject == of), None)
        if test is not None and test.estimate is not None and (found := grade_filed(test, plan)) is not None:
            graded.append((item, test, words, found))
    if not graded:
        return
    first, _, _, verdict = graded[0]
    field, group, reference = say(first.subject["field"]), first.subject["group"], first.reference
    yield Finding(
        id="",
        title=(
            f"Decisions taken: how applicants with {field} {group} fared beside {reference} differs by "
            f"{say(first.subject['within'])}"
        ),
        severity=verdict.severity,
        rule=f"{verdict.rule}: {verdict.sentence}",
        condition=(
            f"{' '.join(words for _, _, words, _ in graded)} Taken together, the gaps of segments cancel or are lost "
            "among many, so that a summary over all of them does not show that there is none."
        ),
        criteria=criteria_of(packs, [SEGMENTED_DIFFERENCE, IMPACT_RATIO], first.subject["field"]),
        cause=CAUSE,
        effect=EFFECT,
        recommendation=_advice(field, group, reference),
        measurements=tuple(
            dict.fromkeys(one.id for item, test, _, _ in graded for one in (*_ends(item, mine), test, item))
        ),
        cases=first.cases,
        conclusion=first.conclusion,
    )


def _leads(item: Measurement) -> int:
    plain = set(item.subject) <= set(APART)
    return len(LEADING) - LEADING.index(item.metric) if plain and item.metric in LEADING else 0


def _title(item: Measurement) -> str:
    field, group, reference = say(item.subject["field"]), item.subject["group"], item.reference
    whom = f"applicants with {field} {group}"
    if item.conclusion is Conclusion.INCONCLUSIVE or item.estimate is None:
        return f"Decisions taken: this file cannot say whether {whom} fared as {reference}"
    equal = " at equal recorded factors" if item.metric == ADJUSTED_DIFFERENCE else ""
    if item.metric in (RISK_DIFFERENCE, ADJUSTED_DIFFERENCE):
        often = "less" if item.estimate < 0 else "more"
        points = printed(100 * abs(item.estimate), 1)
        return f"Decisions taken: {whom} were favoured {points} percentage points {often} often than {reference}{equal}"
    if item.metric == IMPACT_RATIO and set(item.subject) <= set(APART):
        return f"Decisions taken: {whom} were favoured {printed(item.estimate, 2)} times as often as {reference}"
    return f"Decisions taken: {whom} differ from {reference} in {_name(item)}"


def _at_equal_factors(mine: Sequence[Measurement], worst: Measurement) -> str:
    """What is left at equal factors, where the gravest gap is another one."""
    held = next((item for item in mine if item.metric == ADJUSTED_DIFFERENCE), None)
    if held is None or held is worst or held.estimate is None:
        return ""
    size = f"{signed(100 * held.estimate, 1)} percentage points"
    if held.conclusion in SEEN:
        return f" At equal recorded factors {size} are left."
    return f" At equal recorded factors {size} are left, which this file cannot tell from chance."


def gap_words(item: Measurement, packs: Sequence[PolicyPack]) -> str:
    """A gap with its size, its adjusted p, and by which pack it is primary."""
    letter = "adjusted p" if item.role is Role.PRIMARY else "q"
    tail = f" ({letter} = {significant(item.p_adjusted, 2)})" if item.p_adjusted is not None else ""
    asking = [pack.name for pack in packs if pack.role_of(item.metric) == Role.PRIMARY]
    if item.role is Role.PRIMARY and asking:
        tail += f", a primary measure of {', '.join(asking)}"
    return f"{_name(item)} {_size(item)}{tail}"


def _name(item: Measurement) -> str:
    card = card_of(item.test)
    label = next((each.label for each in card.metrics if each.name == item.metric), "") if card else ""
    label = label or say(item.metric)
    label, more = label[:1].lower() + label[1:], {key: value for key, value in item.subject.items() if key not in APART}
    inner = "".join(f" {PLACES[key]} {say(value)}" for key, value in more.items() if key in PLACES)
    outer = "".join(f", {say(key)} {say(value)}" for key, value in more.items() if key not in PLACES)
    # What it is of follows the thing itself: "price gap of rate at equal factors, in SD".
    what, at, rest = label.partition(" at ") if " at " in label else label.partition(",")
    return f"{what}{inner}{at}{rest}{outer}"


def _size(item: Measurement) -> str:
    if item.estimate is None:
        return "not estimable"
    if item.unit == "rate_difference":
        return f"{signed(100 * item.estimate, 1)} percentage points"
    if item.unit == "sd":
        return f"{signed(item.estimate, 2)} SD"
    if item.unit == "ratio":
        return printed(item.estimate, 2)
    return f"{significant(item.estimate, 3)} {item.unit}".rstrip()
