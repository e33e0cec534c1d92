"""Findings of a decision file: one a group, from all gaps between its decisions and those on the reference group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from auditor.behaviour.metrics import ADJUSTED_DIFFERENCE, IMPACT_RATIO, REASON_GAP, RISK_DIFFERENCE
from auditor.catalogue import card_of
from auditor.decision_words import (
    APART,
    Applicants,
    gap_words,
    is_of_approved,
    left_at_equal_factors,
    name_of,
    title_of,
)
from auditor.finding_rules import criteria_of, grade_filed
from auditor.finding_words import SEEN
from auditor.plan import Plan
from auditor.policies.packs import PolicyPack
from auditor.records import Conclusion, Finding, Measurement, Role

MOST = 8
"""Gaps that a finding names with their size; the others stand in its list of measurements."""
LEADING = (RISK_DIFFERENCE, ADJUSTED_DIFFERENCE, IMPACT_RATIO)
"""Of equally grave gaps those of decisions themselves speak first."""
ON_THE_WAY = (
    " Exploratory: found on the way, not by a question fixed beforehand; decisions that were not used here can confirm "
    "it."
)


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
            f"Decisions already taken on different applicants are compared: {told}{more}."
            + left_at_equal_factors(mine, worst, told=involved)
            + (f" {worst.conclusion_reason}" if undecided else "")
        ),
        criteria=_criteria(packs, [item.metric for item in involved], whom),
        cause=(
            "Open: a file does not show that the attribute makes the difference. Other circumstances are held equal "
            "only as far as the file records them."
        ),
        effect=_effect(worst),
        recommendation=_advice(worst, whom),
        measurements=tuple(item.id for item in involved),
        cases=worst.cases,
        conclusion=worst.conclusion,
    )


def _leads(item: Measurement) -> int:
    plain = set(item.subject) <= set(APART)
    return len(LEADING) - LEADING.index(item.metric) if plain and item.metric in LEADING else 0


def _criteria(packs: Sequence[PolicyPack], metrics: Sequence[str], whom: Applicants) -> tuple[str, ...]:
    """Clauses of packs that protect the attribute, or one of two."""
    return tuple(dict.fromkeys(clause for field in whom.fields for clause in criteria_of(packs, metrics, field)))


def _effect(worst: Measurement) -> str:
    what = "what these applicants were given once approved" if is_of_approved(worst) else "decisions that were taken"
    on = "" if is_of_approved(worst) else " on these applicants"
    found = ON_THE_WAY if worst.role is Role.EXPLORATORY else ""
    return f"Describes {what}{on}. It does not show that like cases are treated apart.{found}"


def _advice(worst: Measurement, whom: Applicants) -> str:
    """Whose files to read for what, and what to change where the system can be asked."""
    group, reference = whom.group, worst.reference
    if is_of_approved(worst):
        what = name_of(worst).removesuffix(" at equal factors")
        read = (
            f"Read files of approved {group} and {reference} applicants alike in what may set the {what}, for "
            "discretion, exceptions and facts that this file does not hold."
        )
    elif worst.metric == REASON_GAP:
        read = (
            f"Read files of denied {group} and {reference} applicants, and see whether the facts behind each stated "
            "reason are there."
        )
    else:
        read = (
            f"Read files of denied {group} and approved {reference} applicants alike in what may count, for facts that "
            "this file does not hold."
        )
    return f"{read} If the system behind them can be asked, audit it with only {whom.changed} changed."
