"""Findings of a decision file: one a group, from all gaps between its decisions and those on the reference group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from auditor.behaviour.metrics import ADJUSTED_DIFFERENCE, IMPACT_RATIO, RISK_DIFFERENCE, SEGMENTED_DIFFERENCE
from auditor.catalogue import card_of
from auditor.decision_words import (
    APART,
    Applicants,
    advice_on,
    cause_of,
    compared_words,
    criteria_on,
    effect_of,
    gap_words,
    left_at_equal_factors,
    name_of,
    title_of,
)
from auditor.finding_rules import grade_filed
from auditor.finding_words import SEEN
from auditor.plan import Plan
from auditor.policies.packs import PolicyPack
from auditor.records import Conclusion, Finding, Measurement, Role
from auditor.segment_findings import of_segments, segments_apart

MOST = 8
"""Gaps that a finding names with their size; the others stand in its list of measurements."""
SUMMARIES = (RISK_DIFFERENCE, IMPACT_RATIO, ADJUSTED_DIFFERENCE, SEGMENTED_DIFFERENCE)
"""Gaps of all decisions together, which may hide those of segments."""
LEADING = (RISK_DIFFERENCE, ADJUSTED_DIFFERENCE, IMPACT_RATIO)
"""Of equally grave gaps those of decisions themselves speak first."""


def decided_on(measurements: Sequence[Measurement], *, field: str, group: str) -> list[Measurement]:
    """What tests on decision files measured of one group, or of one pair of groups, against its reference."""
    return [
        item
        for item in measurements
        if item.reference is not None
        and item.subject.get("field") == field
        and item.subject.get("group") == group
        and (card := card_of(item.test)) is not None
        and card.needs_decision_file
    ]


def of_decisions(
    mine: Sequence[Measurement], whom: Applicants, plan: Plan, packs: Sequence[PolicyPack]
) -> Iterable[Finding]:
    """The finding of one group, if any gap of it is graded.

    Parameters
    ----------
    mine
        As `decided_on` gives them.
    whom
        The same group in words.
    """
    candidates = [
        item
        for item in mine
        if item.role is Role.PRIMARY or (item.role is Role.EXPLORATORY and item.conclusion in SEEN)
    ]
    graded = [(item, found) for item in candidates if (found := grade_filed(item, plan)) is not None]
    apart = list(segments_apart(mine))
    # Where no summary shows a gap, those of segments are a finding of their own; else they lead that of the summary.
    if not any(item.metric in SUMMARIES and item.conclusion in SEEN for item, _ in graded):
        own = list(of_segments(apart, mine, whom, plan, packs))
        yield from own
        apart = [] if own else apart
    if not graded:
        return
    worst, verdict = max(graded, key=lambda pair: (pair[1].severity.rank, pair[0].conclusion in SEEN, _leads(pair[0])))
    involved = [worst, *(item for item, _ in graded if item is not worst)]
    told = "; ".join(gap_words(item, packs, mine) for item in involved[:MOST])
    more = f"; and {len(involved) - MOST} more" if len(involved) > MOST else ""
    undecided = worst.conclusion is Conclusion.INCONCLUSIVE
    yield Finding(
        id="",
        title=title_of(worst, whom, mine),
        severity=verdict.severity,
        rule=f"{verdict.rule}, by {name_of(worst)}: {verdict.sentence}",
        condition=(
            f"{''.join(f'{words} ' for _, words in apart)}"
            f"{compared_words(worst)}: {told}{more}."
            + left_at_equal_factors(mine, worst, told=involved)
            + (f" {worst.conclusion_reason}" if undecided else "")
        ),
        criteria=criteria_on(packs, [item.metric for item in involved], whom),
        cause=cause_of(worst),
        effect=effect_of(worst),
        recommendation=advice_on(worst, whom),
        measurements=tuple(item.id for item in involved),
        cases=worst.cases,
        conclusion=worst.conclusion,
    )


def _leads(item: Measurement) -> int:
    plain = set(item.subject) <= set(APART)
    return len(LEADING) - LEADING.index(item.metric) if plain and item.metric in LEADING else 0
