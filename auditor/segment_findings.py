"""Findings of segments: what the parts of a decision file show, where a summary over all of them may hide it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from auditor.behaviour.metrics import IMPACT_RATIO, SEGMENTED_DIFFERENCE, SEGMENTS_DIFFER
from auditor.decision_words import Applicants, advice_on, cause_of, criteria_on, effect_of, place_of
from auditor.finding_rules import grade_filed
from auditor.finding_words import say
from auditor.plan import Plan
from auditor.policies.packs import PolicyPack
from auditor.records import Finding, Measurement
from auditor.rounding import printed


def segments_apart(mine: Sequence[Measurement]) -> Iterable[tuple[Measurement, str]]:
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


def of_segments(
    apart: Sequence[tuple[Measurement, str]],
    mine: Sequence[Measurement],
    whom: Applicants,
    plan: Plan,
    packs: Sequence[PolicyPack],
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
    yield Finding(
        id="",
        title=(
            f"{place_of(first)}: how {whom.words} fared beside {first.reference} differs by "
            f"{say(first.subject['within'])}"
        ),
        severity=verdict.severity,
        rule=f"{verdict.rule}: {verdict.sentence}",
        condition=(
            f"{' '.join(words for _, _, words, _ in graded)} Taken together, the gaps of segments cancel or are lost "
            "among many, so that a summary over all of them does not show that there is none."
        ),
        criteria=criteria_on(packs, [SEGMENTED_DIFFERENCE, IMPACT_RATIO], whom),
        cause=cause_of(first),
        effect=effect_of(first),
        recommendation=advice_on(first, whom),
        measurements=tuple(
            dict.fromkeys(one.id for item, test, _, _ in graded for one in (*_ends(item, mine), test, item))
        ),
        cases=first.cases,
        conclusion=first.conclusion,
    )
