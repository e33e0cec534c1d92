"""One group refused where the other is unreadable: readability is alike, and the refusals are told nevertheless."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from auditor.findings import find
from auditor.model_manifest import SystemIdentity
from auditor.records import Case, Conclusion, Finding, Measurement, Outcome
from auditor.run_record import HowRead
from auditor.testing.asked_system import AskedSystem
from reports.elsewhere import exploratory_sentence
from tests.engine.made_up import GROUP, Answers, made_up, measured, pair_plan

N = 600
SYSTEM = AskedSystem(SystemIdentity(kind="endpoint", fingerprint="f"), HowRead(readout="choice", deterministic=True))


def audited(read: Callable[[Case, Outcome], Outcome]) -> tuple[dict[str, Measurement], tuple[Finding, ...]]:
    """Decisions of a system that approves one half, read otherwise where ``read`` says so: by metric, and findings."""
    reference = np.where(np.arange(N) % 2 == 0, 3.0, -3.0)
    context = made_up(Answers.of(reference, reference.copy()), plan=pair_plan())
    decisions = {
        case.id: replace(
            context.decisions[case.id], margin=None, mass=None, outcome=read(case, context.decisions[case.id].outcome)
        )
        for case in context.cases
    }
    found = measured(replace(context, decisions=decisions, system=SYSTEM, _arms={})).values()
    told = find(tuple(found), plan=context.plan, packs=context.packs, state=context.state)
    return {item.metric: item for item in found if item.test == "counterfactual"}, told


def test_refusals_of_one_group_are_a_finding_where_the_other_is_as_often_unreadable() -> None:
    def swapped(case: Case, outcome: Outcome) -> Outcome:
        if int(case.cluster) % 25:
            return outcome
        return Outcome.REFUSED if case.groups["race"] == GROUP else Outcome.UNREADABLE

    mine, findings = audited(swapped)
    assert mine["refusal_rate_gap"].conclusion is Conclusion.EQUIVALENT_WITHIN_MARGIN
    assert mine["refused_gap"].conclusion is Conclusion.DIFFERENCE_FOUND
    [finding] = findings
    assert finding.title == "Race changed from White to Black: more refused answers"
    assert finding.condition.startswith(
        "Of 600 applications 24 are refused an answer with Black alone, and 0 with White alone."
    )
    assert "About 40 more refused answers" in finding.effect
    assert "in refused answers (Black against White +4.0 pp)" in (exploratory_sentence(list(mine.values())) or "")


def test_refusals_that_come_and_go_are_not_read_as_their_absence() -> None:
    def both_ways(case: Case, outcome: Outcome) -> Outcome:
        own = int(case.groups["race"] == GROUP)
        return Outcome.REFUSED if int(case.cluster) % 20 == own else outcome

    mine, _ = audited(both_ways)
    assert mine["refused_gap"].conclusion is Conclusion.INCONCLUSIVE


def test_a_gap_in_readability_tells_its_refusals_once() -> None:
    def refused(case: Case, outcome: Outcome) -> Outcome:
        return Outcome.REFUSED if case.groups["race"] == GROUP and int(case.cluster) % 20 == 1 else outcome

    mine, findings = audited(refused)
    assert mine["refused_gap"].conclusion is Conclusion.DIFFERENCE_FOUND
    assert [item.title for item in findings] == ["Race changed from White to Black: more answers that cannot be read"]
