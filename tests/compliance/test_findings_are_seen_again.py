"""One issue, one record: opened by a governed audit, seen again by later ones, reopened if it had been settled."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
import time_machine
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from auditor.finding_questions import DECIDES, question_of
from auditor.finding_words import MATCHED, NATURAL, RANGE, SHIFT
from auditor.records import AS_FILED_CASES, Conclusion, Severity
from compliance import actions
from compliance.access.roles import Role
from compliance.actions.retests import newest_retest
from compliance.dashboard.finding_forms import AnswerForm
from compliance.dashboard.finding_page import other_versions, sighting_lines
from compliance.exceptions import EvidenceError
from compliance.execution.workers import reap
from compliance.governance.attestation import problems
from compliance.governance.deadlines import remediation_days
from compliance.governance.finding_states import FindingState, Retest
from compliance.governance.finding_trends import FindingTrend, Seen, could_see, trend
from compliance.models import Event, FindingRecord, FindingRow, PlanVersion, Sighting, Team, default_team
from tests.compliance.factories import ACTOR
from tests.compliance.governed import EFFECT, FINDING, GONE, actor_of, approved_plan, open_finding, run, version_of
from tests.compliance.teams import make_person, make_team_audit

pytestmark = pytest.mark.django_db
SEEN = Seen(estimate=-0.2, low=-0.26, high=-0.14, unit="rate_difference")


@pytest.fixture
def plan() -> PlanVersion:
    return approved_plan(default_team())


def settle(record: FindingRecord, state: FindingState) -> None:
    """As people leave it there; how they do is tried elsewhere."""
    record.state, record.settled_rank, record.rationale = state, record.severity_rank, "Said."
    record.accepted_until = timezone.now().date() + timedelta(days=90) if state == FindingState.RISK_ACCEPTED else None
    record.save()


def test_a_governed_audit_opens_a_record_in_its_own_transaction(plan: PlanVersion) -> None:
    audit = run(plan=plan, model=version_of(plan.team, 1))
    record = FindingRecord.objects.get()
    assert (str(record), record.stands, record.severity) == ("F-0001", FindingState.OPEN, "high")
    assert record.title == FINDING.title
    assert (record.opened_in, record.first_seen, record.last_seen) == (audit, audit.finished_at, audit.finished_at)
    assert record.allowed_until == audit.finished_at.date() + timedelta(days=remediation_days()["high"])
    sighting = record.sightings.get()
    assert (sighting.finding, sighting.trend) == (FindingRow.objects.get(), FindingTrend.FIRST)
    assert sighting.measurement.key == EFFECT.id
    event = Event.objects.get(object="F-0001")
    assert (event.action, event.team) == ("finding.opened", plan.team)
    assert json.loads(event.payload.data_json)["audit"] == audit.number


def test_if_the_audit_cannot_be_entered_neither_can_its_findings(plan: PlanVersion, monkeypatch) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr("compliance.actions.sightings.append_event", broken)
    with pytest.raises(RuntimeError), transaction.atomic():
        run(plan=plan, model=version_of(plan.team, 1))
    assert not FindingRecord.objects.exists()
    assert not FindingRow.objects.exists()


def test_a_run_that_nobody_approved_leaves_drafts() -> None:
    audit = make_team_audit(default_team(), name="trial")
    assert audit.findings.count() == 1
    assert not FindingRecord.objects.exists()
    assert not Event.objects.filter(action__startswith="finding.").exists()


def test_a_contrast_that_the_run_cannot_settle_stays_a_draft(plan: PlanVersion) -> None:
    undecided = replace(FINDING, conclusion=Conclusion.INCONCLUSIVE)
    run(plan=plan, model=version_of(plan.team, 1), findings=[undecided])
    assert not FindingRecord.objects.exists()


def test_a_model_that_hardly_decides_is_an_issue_of_its_own(plan: PlanVersion) -> None:
    hardly = replace(FINDING, conclusion=Conclusion.INCONCLUSIVE, cases=AS_FILED_CASES)
    run(plan=plan, model=version_of(plan.team, 1), findings=[hardly, replace(FINDING, id="F-002")])
    assert {record.question["question"] for record in FindingRecord.objects.all()} >= {DECIDES}
    assert FindingRecord.objects.count() == 2


def test_the_same_issue_in_a_later_audit_is_the_same_record(plan: PlanVersion) -> None:
    first = run(plan=plan, model=version_of(plan.team, 1))
    worse = replace(EFFECT, estimate=-0.4, low=-0.5, high=-0.3)
    second = run(plan=plan, model=version_of(plan.team, 2), measurements=[worse])
    record = FindingRecord.objects.get()
    assert [item.audit for item in record.sightings.all()] == [second, first]
    assert record.sightings.first().trend == FindingTrend.WORSE
    assert (record.first_seen, record.last_seen) == (first.finished_at, second.finished_at)
    assert [event.action for event in Event.objects.filter(object="F-0001").order_by("seq")] == [
        "finding.opened",
        "finding.seen_again",
    ]


def test_another_leading_measurement_of_the_same_contrast_is_the_same_issue(plan: PlanVersion) -> None:
    matched = replace(EFFECT, id="counterfactual.race.b.matched", metric=MATCHED)
    run(plan=plan, model=version_of(plan.team, 1))
    run(
        plan=plan,
        model=version_of(plan.team, 2),
        measurements=[EFFECT, matched],
        findings=[replace(FINDING, measurements=(matched.id,))],
    )
    record = FindingRecord.objects.get()
    assert record.sightings.count() == 2
    assert record.sightings.first().trend == FindingTrend.UNKNOWN


def test_another_group_design_model_or_team_is_another_record(plan: PlanVersion) -> None:
    run(plan=plan, model=version_of(plan.team, 1))
    other = replace(EFFECT, id="c", subject={"field": "race", "group": "c"})
    run(
        plan=plan,
        model=version_of(plan.team, 1),
        measurements=[EFFECT, other],
        findings=[replace(FINDING, measurements=("c",))],
    )
    run(plan=approved_plan(plan.team, name="another"), model=version_of(plan.team, 1))
    another = actions.open_language_model(team=plan.team, description={"name": "Another"}, actor=ACTOR)
    run(plan=plan, model=version_of(plan.team, 1, of=another))
    elsewhere = Team.objects.create(name="Elsewhere")
    open_finding(elsewhere)
    assert [str(record) for record in FindingRecord.objects.order_by("serial")] == [
        "F-0001", "F-0002", "F-0003", "F-0004", "F-0005",
    ]  # fmt: skip


def test_two_findings_of_one_question_in_one_audit_are_one_record(plan: PlanVersion) -> None:
    lesser = replace(FINDING, id="F-002", severity=Severity.LOW)
    run(plan=plan, model=version_of(plan.team, 1), findings=[FINDING, lesser])
    record = FindingRecord.objects.get()
    assert (record.severity, record.sightings.count()) == ("high", 2)
    assert Event.objects.filter(object="F-0001").count() == 1


def test_what_was_closed_and_is_seen_again_is_open_again(plan: PlanVersion) -> None:
    run(plan=plan, model=version_of(plan.team, 1))
    settle(FindingRecord.objects.get(), FindingState.CLOSED_VALIDATED)
    later = run(plan=plan, model=version_of(plan.team, 2))
    record = FindingRecord.objects.get()
    assert (record.stands, record.opened_in, record.rationale) == (FindingState.OPEN, later, "")
    assert record.settled_rank is None
    assert record.sightings.first().reopened
    assert Event.objects.get(action="finding.reopened").object == "F-0001"


@pytest.mark.parametrize("state", [FindingState.RISK_ACCEPTED, FindingState.REJECTED_WITH_RATIONALE])
def test_what_was_accepted_or_rejected_is_opened_again_only_by_a_graver_sighting(
    plan: PlanVersion, state: FindingState
) -> None:
    run(plan=plan, model=version_of(plan.team, 1))
    settle(FindingRecord.objects.get(), state)
    for severity in (Severity.LOW, Severity.HIGH):
        run(plan=plan, model=version_of(plan.team, 2), findings=[replace(FINDING, severity=severity)])
        assert FindingRecord.objects.get().stands is state
    run(plan=plan, model=version_of(plan.team, 3), findings=[replace(FINDING, severity=Severity.CRITICAL)])
    record = FindingRecord.objects.get()
    assert (record.stands, record.severity) == (FindingState.OPEN, "critical")


def test_an_acceptance_ends_on_its_day_by_the_system(plan: PlanVersion) -> None:
    run(plan=plan, model=version_of(plan.team, 1))
    settle(FindingRecord.objects.get(), FindingState.RISK_ACCEPTED)
    assert actions.expire_acceptances() == 0
    with time_machine.travel(timezone.now() + timedelta(days=91)):
        assert actions.expire_acceptances() == 1
        assert actions.expire_acceptances() == 0
    record = FindingRecord.objects.get()
    assert (record.stands, record.accepted_until) == (FindingState.OPEN, None)
    event = Event.objects.get(action="finding.acceptance_expired")
    assert (event.actor, event.role) == ("system", "system")


def test_the_sweep_ends_acceptances(plan: PlanVersion) -> None:
    run(plan=plan, model=version_of(plan.team, 1))
    settle(FindingRecord.objects.get(), FindingState.RISK_ACCEPTED)
    with time_machine.travel(timezone.now() + timedelta(days=91)):
        reap()
    assert FindingRecord.objects.get().stands is FindingState.OPEN
    assert Event.objects.get(action="finding.acceptance_expired").object == "F-0001"


def test_findings_of_governed_audits_from_before_are_entered_by_migrate_once(
    plan: PlanVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr("compliance.actions.audits.record_findings", lambda **_: None)
        first, second = (run(plan=plan, model=version_of(plan.team, number)) for number in (1, 2))
        undecided = replace(FINDING, conclusion=Conclusion.INCONCLUSIVE)
        run(plan=plan, model=version_of(plan.team, 3), findings=[undecided])
        inside = [replace(FINDING, conclusion=None, measurements=())]
        run(plan=plan, model=version_of(plan.team, 4), findings=inside)
        make_team_audit(plan.team, name="trial")
    assert not FindingRecord.objects.exists()
    call_command("migrate", verbosity=0)
    record = FindingRecord.objects.get(serial=1)
    assert [item.audit for item in record.sightings.all()] == [second, first]
    assert (record.opened_in, record.first_seen) == (first, first.finished_at)
    assert FindingRecord.objects.count() == 2
    count = Event.objects.count()
    assert actions.enter_earlier_findings() == 0
    assert Event.objects.count() == count


def test_a_retest_says_that_it_shows_it_no_longer_shows_it_or_cannot_say(plan: PlanVersion) -> None:
    first = run(plan=plan, model=version_of(plan.team, 1))
    record = FindingRecord.objects.get()
    assert newest_retest(record).code is Retest.NONE
    # The same version again is no retest, whatever it shows.
    run(plan=plan, model=first.model, findings=[], measurements=[GONE])
    assert newest_retest(record).code is Retest.NONE
    run(plan=plan, model=version_of(plan.team, 2), findings=[], measurements=[GONE])
    assert newest_retest(record).code is Retest.CLEAR
    few = replace(GONE, low=-0.3, high=0.28, counts={"mde": 0.31})
    run(plan=plan, model=version_of(plan.team, 3), findings=[], measurements=[few])
    said = newest_retest(record)
    assert (said.code, str(said.audit)) == (Retest.CANNOT_SAY, "A-0004")
    assert "could not have seen" in said.words
    run(plan=plan, model=version_of(plan.team, 4), findings=[], measurements=[])
    assert "did not measure" in newest_retest(record).words
    undecided = replace(GONE, conclusion=Conclusion.INCONCLUSIVE)
    run(plan=plan, model=version_of(plan.team, 5), findings=[], measurements=[undecided])
    assert newest_retest(record).code is Retest.CANNOT_SAY
    run(plan=plan, model=version_of(plan.team, 6))
    assert newest_retest(record).code is Retest.SHOWS_IT
    # A run of another design, or one that nobody approved, says nothing of it.
    run(plan=approved_plan(plan.team, name="another"), model=version_of(plan.team, 7), findings=[], measurements=[GONE])
    make_team_audit(plan.team, name="trial")
    assert newest_retest(record).code is Retest.SHOWS_IT


def test_a_retest_could_have_seen_every_difference_that_the_last_audit_raised(plan: PlanVersion) -> None:
    # Both ask one question; the less grave of them is the easier one to see.
    other = replace(EFFECT, id="counterfactual.race.b.shift", metric=SHIFT, estimate=-0.5, low=-0.6, high=-0.4)
    lesser = replace(FINDING, id="F-002", severity=Severity.LOW, measurements=(other.id,))
    run(plan=plan, model=version_of(plan.team, 1), findings=[FINDING, lesser], measurements=[EFFECT, other])
    record = FindingRecord.objects.get()
    assert record.sightings.count() == 2
    few, clear = replace(GONE, low=-0.3, high=0.28, counts={"mde": 0.31}), replace(GONE, id=other.id, metric=SHIFT)
    run(plan=plan, model=version_of(plan.team, 2), findings=[], measurements=[few, clear])
    assert newest_retest(record).code is Retest.CANNOT_SAY
    run(plan=plan, model=version_of(plan.team, 3), findings=[], measurements=[GONE, clear])
    said = newest_retest(record)
    assert (said.code, said.measurement.key) == (Retest.CLEAR, EFFECT.id)
    # Its page tells of the gravest of an audit.
    assert [line.sighting.finding.key for line in sighting_lines(record)] == ["F-001", "F-002"]


def test_an_earlier_version_is_no_retest_and_a_later_one_that_shows_it_keeps_it_from_closing(plan: PlanVersion) -> None:
    earlier, version = version_of(plan.team, 1), version_of(plan.team, 2)
    run(plan=plan, model=version)
    record = FindingRecord.objects.get()
    run(plan=plan, model=earlier, findings=[], measurements=[GONE])
    assert newest_retest(record).code is Retest.NONE
    assert earlier not in other_versions(record)
    third, fourth = version_of(plan.team, 3), version_of(plan.team, 4)
    run(plan=plan, model=fourth)
    run(plan=plan, model=third, findings=[], measurements=[GONE])
    said = newest_retest(record)
    assert (said.code, said.words) == (Retest.SHOWS_IT, "A-0003 still shows it")
    run(plan=plan, model=fourth, findings=[], measurements=[GONE])
    run(plan=plan, model=third, findings=[], measurements=[GONE])
    assert newest_retest(record).code is Retest.CLEAR


def test_a_record_is_not_deleted_and_what_tells_it_from_others_does_not_change() -> None:
    record = open_finding()
    for delete in (record.delete, FindingRecord.objects.all().delete, record.sightings.all().delete):
        with pytest.raises(EvidenceError):
            delete()
    for statement in (
        "UPDATE compliance_findingrecord SET fingerprint = 'x'",
        "DELETE FROM compliance_findingrecord",
        "UPDATE compliance_sighting SET trend = 'improved'",
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_a_record_that_was_moved_past_the_log_is_told_by_verify(tmp_path: Path) -> None:
    record = open_finding()
    assert not [line for line in problems(folder=tmp_path) if "F-0001" in line]
    FindingRecord.objects.filter(pk=record.pk).update(state=FindingState.ACKNOWLEDGED)
    assert any(line.startswith("F-0001: is acknowledged, event ") for line in problems(folder=tmp_path))


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"severity": "low"}, "F-0001: severity is low, event "),
        ({"due": date(2031, 1, 1)}, "F-0001: due is 2031-01-01, event "),
        ({"owner": None}, "F-0001: account is None, event "),
    ],
)
def test_severity_owner_and_day_that_no_event_tells_of_are_told_by_verify(
    tmp_path: Path, changed: dict[str, object], line: str
) -> None:
    record = open_finding()
    owner = make_person("olga", record.team, [Role.MODEL_OWNER])
    due = timezone.now().date() + timedelta(days=9)
    actions.answer_finding(
        record=record, revision=1, owner=owner, due=due, response="", remediation="", actor=actor_of(owner)
    )
    run(plan=record.plan, model=version_of(record.team, 2), findings=[replace(FINDING, severity=Severity.MEDIUM)])
    assert not [line for line in problems(folder=tmp_path) if "F-0001" in line]
    FindingRecord.objects.filter(pk=record.pk).update(**changed)
    assert [found for found in problems(folder=tmp_path) if found.startswith(line)]


def test_a_day_that_ended_with_being_opened_again_is_not_missed_by_verify(plan: PlanVersion, tmp_path: Path) -> None:
    run(plan=plan, model=version_of(plan.team, 1))
    record = FindingRecord.objects.get()
    owner = make_person("olga", record.team, [Role.MODEL_OWNER])
    due = timezone.now().date() + timedelta(days=9)
    actions.answer_finding(
        record=record, revision=1, owner=owner, due=due, response="", remediation="", actor=actor_of(owner)
    )
    settle(FindingRecord.objects.get(), FindingState.CLOSED_VALIDATED)
    run(plan=plan, model=version_of(plan.team, 2))
    assert FindingRecord.objects.get().due is None
    assert not [line for line in problems(folder=tmp_path) if "F-0001" in line]


def test_a_day_beyond_what_the_severity_allows_puts_off_no_count_of_what_is_overdue() -> None:
    record = open_finding()
    allowed = record.allowed_until
    late = allowed + timedelta(days=1)
    for due in (allowed + timedelta(days=90), None):
        FindingRecord.objects.filter(pk=record.pk).update(due=due)
        record.refresh_from_db()
        assert (record.due_on, record.overdue(late), record.overdue(allowed)) == (allowed, True, False)
        assert FindingRecord.objects.dated().get().due_by == allowed
        assert FindingRecord.objects.all().overdue(late).exists()
    sooner = allowed - timedelta(days=3)
    FindingRecord.objects.filter(pk=record.pk).update(due=sooner)
    record.refresh_from_db()
    assert record.due_on == FindingRecord.objects.dated().get().due_by == sooner
    FindingRecord.objects.filter(pk=record.pk).update(allowed_until=None)
    record.refresh_from_db()
    assert record.due_on == FindingRecord.objects.dated().get().due_by == sooner
    assert "at the latest" not in AnswerForm().for_record(record)["due"].help_text
    record.allowed_until = allowed
    assert f"{allowed:%d %b %Y} at the latest" in AnswerForm().for_record(record)["due"].help_text


def test_sightings_are_those_of_a_team() -> None:
    record = open_finding()
    assert (Sighting.objects.get().team_id, record.team) == (record.team_id, default_team())


# The pure parts.


@given(metric=st.sampled_from([NATURAL, RANGE, MATCHED, SHIFT]), group=st.text(), reference=st.text())
def test_measurements_of_one_contrast_are_one_question(metric: str, group: str, reference: str) -> None:
    asked = [
        question_of(test="counterfactual", metric=name, subject={"group": group, "field": "f"}, reference=reference)
        for name in (NATURAL, metric)
    ]
    assert asked[0] == asked[1]
    other = question_of(test="group_rates", metric="risk_difference", subject=asked[0]["subject"], reference=reference)
    assert other["question"] != asked[0]["question"]


NUMBERS = st.floats(-1, 1)


@given(first=NUMBERS, second=NUMBERS, half=st.floats(0.001, 0.5))
def test_a_change_is_one_that_the_earlier_interval_does_not_hold(first: float, second: float, half: float) -> None:
    before = Seen(estimate=first, low=first - half, high=first + half, unit="rate_difference")
    found = trend(before, replace(before, estimate=second))
    if before.low <= second <= before.high:
        assert found is FindingTrend.SAME
    elif abs(second) != abs(first):
        assert found is (FindingTrend.WORSE if abs(second) > abs(first) else FindingTrend.IMPROVED)


def test_a_ratio_is_as_far_from_one_below_it_as_above() -> None:
    before = Seen(estimate=0.5, low=0.45, high=0.55, unit="ratio")
    assert trend(before, replace(before, estimate=2.0)) is FindingTrend.SAME
    assert trend(before, replace(before, estimate=0.8)) is FindingTrend.IMPROVED
    assert trend(before, replace(before, estimate=3.0)) is FindingTrend.WORSE


@pytest.mark.parametrize(
    ("now", "conclusion", "mde", "sees"),
    [
        (replace(SEEN, estimate=0.0, low=-0.1, high=0.1), "NO_EVIDENCE", 0.2, True),
        (replace(SEEN, estimate=0.0, low=-0.1, high=0.1), "NO_EVIDENCE", 0.21, False),
        (replace(SEEN, estimate=0.0, low=-0.1, high=0.1), "NO_EVIDENCE", None, True),
        (replace(SEEN, estimate=0.0, low=-0.2, high=0.2), "NO_EVIDENCE", None, False),
        (replace(SEEN, estimate=0.0, low=None, high=None), "NO_EVIDENCE", None, False),
        (replace(SEEN, estimate=None), "NO_EVIDENCE", 0.1, False),
        (replace(SEEN, unit="sd"), "NO_EVIDENCE", 0.1, False),
        (replace(SEEN, estimate=0.0), "INCONCLUSIVE", 0.1, False),
        (replace(SEEN, estimate=0.0), "NOT_TESTED", 0.1, False),
    ],
)
def test_a_retest_counts_only_if_it_could_have_seen_what_was_found(
    now: Seen, conclusion: str, mde: float | None, sees: bool
) -> None:
    assert could_see(SEEN, now, conclusion=conclusion, mde=mde) is sees
