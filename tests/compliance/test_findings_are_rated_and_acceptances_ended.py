"""A severity is rated anew and an acceptance ended by people, with a reason; what was sent twice is added once."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from auditor.records import Severity
from compliance import actions
from compliance.access.roles import Role
from compliance.exceptions import StateError
from compliance.execution.job import JobState
from compliance.governance.attestation import problems
from compliance.governance.events import Actor
from compliance.governance.finding_states import FindingState as S
from compliance.models import Audit, Event, FindingRecord, Membership, Notice, default_team
from tests.compliance.governed import actor_of, asked_for, open_finding, run, version_of
from tests.compliance.teams import make_person
from tests.compliance.test_what_waits_for_whom import waits

pytestmark = pytest.mark.django_db


@pytest.fixture
def record(settings: LazySettings, tmp_path: Path) -> FindingRecord:
    settings.DATA_FOLDER = tmp_path
    return open_finding()


def person(name: str, *roles: Role) -> Actor:
    return actor_of(make_person(name, default_team(), roles))


@pytest.fixture
def vera() -> Actor:
    return person("vera", Role.VALIDATOR)


def stands() -> FindingRecord:
    return FindingRecord.objects.get()


def seen_again(record: FindingRecord, severity: Severity) -> None:
    from dataclasses import replace

    from tests.compliance.governed import FINDING

    run(plan=record.plan, model=version_of(record.team, 1), findings=[replace(FINDING, severity=severity)])


def accepted(record: FindingRecord) -> None:
    owner, approver = person("olga", Role.MODEL_OWNER), person("abe", Role.APPROVER)
    actions.move_finding(record=record, to=S.ACKNOWLEDGED, actor=owner)
    until = timezone.now().date() + timedelta(days=90)
    actions.move_finding(record=record, to=S.RISK_ACCEPTED, said="Small.", until=until, actor=approver)


def untrue(record: FindingRecord, folder: Any) -> list[str]:
    return [line for line in problems(folder=folder) if record.number in line]


# Rating.


def test_a_severity_is_rated_with_a_reason_and_the_audits_own_row_stays(
    record: FindingRecord, vera: Actor, tmp_path: Path
) -> None:
    actions.rate_finding(record=record, severity="medium", reason="Few applicants.", actor=vera)
    assert (stands().severity, stands().severity_rank) == ("medium", Severity.MEDIUM.rank)
    assert record.sightings.get().finding.severity == "high"
    event = Event.objects.get(action="finding.rated")
    assert '"from":"high"' in event.payload.data_json
    assert "Few applicants." in event.payload.data_json
    assert untrue(record, tmp_path) == []
    FindingRecord.objects.update(severity="low")
    assert any("severity is low" in line for line in untrue(record, tmp_path))


@pytest.mark.parametrize(
    ("severity", "reason", "words"),
    [
        ("high", "Seen.", "is rated high already; expected another severity"),
        ("medium", "  ", "is moved without a rationale; expected a sentence that says why"),
        ("grave", "Seen.", "'grave' is not a severity; expected one of: "),
    ],
)
def test_a_rating_that_says_nothing_new_or_not_why_is_refused(
    record: FindingRecord, vera: Actor, severity: str, reason: str, words: str
) -> None:
    with pytest.raises(StateError) as refused:
        actions.rate_finding(record=record, severity=severity, reason=reason, actor=vera)
    assert words in str(refused.value)
    assert stands().severity == "high"


def test_who_answers_for_a_finding_and_who_read_an_older_one_rate_nothing(record: FindingRecord) -> None:
    both = person("both", Role.VALIDATOR, Role.MODEL_OWNER)
    with pytest.raises(StateError, match="was changed in the meantime"):
        actions.rate_finding(record=record, severity="low", reason="Small.", revision=9, actor=both)
    actions.move_finding(record=record, to=S.ACKNOWLEDGED, actor=both)
    with pytest.raises(StateError, match="answered for by the same person"):
        actions.rate_finding(record=record, severity="low", reason="Small.", actor=both)
    with pytest.raises(PermissionDenied):
        actions.rate_finding(record=record, severity="low", reason="Small.", actor=person("o", Role.APPROVER))


def test_a_milder_rating_lets_no_critical_risk_be_accepted_and_moves_no_day(vera: Actor) -> None:
    record = open_finding(severity=Severity.CRITICAL)
    day = record.allowed_until
    actions.rate_finding(record=record, severity="low", reason="Small.", actor=vera)
    assert (stands().critical, stands().allowed_until) == (True, day)


def test_a_graver_rating_allows_less_time_and_drops_a_proposed_rejection(record: FindingRecord, vera: Actor) -> None:
    actions.rate_finding(record=record, severity="low", reason="Small.", actor=vera)
    FindingRecord.objects.update(allowed_until=date(2099, 1, 1))
    actions.propose_rejection(record=record, reason="No.", actor=vera)
    actions.rate_finding(record=record, severity="critical", reason="It is not.", actor=vera)
    now = stands()
    assert now.allowed_until is not None
    assert now.allowed_until < date(2099, 1, 1)
    assert (now.rejection_by, now.critical) == ("", True)


def test_a_rating_goes_on_until_an_audit_sees_it_graver(record: FindingRecord, vera: Actor, tmp_path: Path) -> None:
    actions.rate_finding(record=record, severity="low", reason="Small.", actor=vera)
    seen_again(record, Severity.HIGH)
    assert stands().severity == "low"
    seen_again(record, Severity.CRITICAL)
    assert stands().severity == "critical"
    seen_again(record, Severity.MEDIUM)  # nobody rated it since
    assert stands().severity == "medium"
    assert untrue(record, tmp_path) == []


# Acceptances.


def test_an_acceptance_is_ended_before_its_day_with_a_reason(record: FindingRecord, tmp_path: Path) -> None:
    accepted(record)
    approver = person("ann", Role.APPROVER)
    with pytest.raises(StateError, match="without a rationale"):
        actions.end_acceptance(record=record, reason="", actor=approver)
    actions.end_acceptance(record=record, reason="The model is used for more.", actor=approver)
    now = stands()
    assert (now.stands, now.accepted_until, now.rationale, now.settled_rank) == (S.OPEN, None, "", None)
    assert untrue(record, tmp_path) == []
    with pytest.raises(StateError, match="is open; expected one whose risk is accepted"):
        actions.end_acceptance(record=record, reason="Again.", actor=approver)
    with pytest.raises(PermissionDenied):
        actions.end_acceptance(record=record, reason="No.", actor=person("vic", Role.VALIDATOR))
    actions.tell_people()
    told = Notice.objects.filter(words__contains="its acceptance was taken back")
    assert "olga" in set(told.values_list("user__username", flat=True))


def test_the_page_and_the_command_end_rate_and_decline(record: FindingRecord, capsys: Any) -> None:
    client, vera = Client(), make_person("val", default_team(), [Role.VALIDATOR])
    client.force_login(vera)
    at = record.get_absolute_url()
    page = client.get(at).content.decode()
    assert 'aria-label="Rate the severity anew"' in page
    assert 'aria-label="End the acceptance"' not in page
    assert client.post(f"{at}rate/", {"severity": "low", "said": "", "revision": 1}).status_code == 400
    sent = {"severity": "low", "said": "Small.", "revision": stands().revision}
    assert client.post(f"{at}rate/", sent).status_code == 302
    assert client.post(f"{at}rate/", {**sent, "severity": "high"}).status_code == 409  # read before that
    call_command("findings", "rate", "F-0001", "high", "--as", "val", "--said", "It is not.")
    call_command("findings", "reject", "F-0001", "--as", "val", "--said", "A test.")
    sent = {"said": "It was none.", "revision": stands().revision}
    assert client.post(f"{at}decline/", sent).status_code == 302
    accepted(record)
    call_command("findings", "end-acceptance", "F-0001", "--as", "abe", "--said", "Needed no more.")
    assert "open" in capsys.readouterr().out
    assert (stands().stands, stands().severity) == (S.OPEN, "high")


# Comments.


def test_a_comment_that_was_sent_twice_is_added_once(record: FindingRecord, vera: Actor) -> None:
    other = person("other", Role.COUNSEL)
    first = actions.note_finding(record=record, text="Read.", actor=vera)
    assert actions.note_finding(record=record, text="Read. ", actor=vera).pk == first.pk
    with_file = {"record": record, "text": "Read.", "name": "a.txt", "content": b"x"}
    file = actions.note_finding(**with_file, actor=vera)
    assert actions.note_finding(**with_file, actor=vera).pk == file.pk
    actions.note_finding(record=record, text="Read.", actor=other)
    record.notes.filter(pk=first.pk)
    assert record.notes.count() == 3
    assert Event.objects.filter(action="finding.commented").count() == 3


# What waits.


def handed_over(record: FindingRecord) -> Actor:
    owner = person("olga", Role.MODEL_OWNER)
    due = timezone.now().date() + timedelta(days=9)
    actions.answer_finding(
        record=record, revision=1, owner=owner.user, due=due, response="", remediation="Mend.", actor=owner
    )
    for to in (S.ACKNOWLEDGED, S.ACTION_PLANNED, S.IN_REMEDIATION, S.READY_FOR_VALIDATION):
        if to is S.READY_FOR_VALIDATION:
            actions.note_finding(record=record, name="fix.txt", content=b"x", purpose="fix", actor=owner)
        actions.move_finding(record=record, to=to, actor=owner)
    return owner


def test_a_retest_waits_for_who_may_run_it_until_one_is_asked_for(record: FindingRecord) -> None:
    officer = make_person("otto", default_team(), [Role.COMPLIANCE_OFFICER])
    assert waits(officer) == []
    owner = handed_over(record)
    assert waits(officer) == ["Retest F-0001"]
    assert owner.user is not None
    assert waits(owner.user) == []
    actions.tell_people()
    told = Notice.objects.filter(words="F-0001 waits for its retest").values_list("user__username", flat=True)
    assert "otto" in set(told)
    assert "olga" not in set(told)
    asked_for(plan=record.plan, model=version_of(record.team, 2), data=record.opened_in.data)
    assert waits(officer) == []


def test_a_run_that_stopped_waits_for_who_may_go_on_with_it_alone(record: FindingRecord) -> None:
    officer = make_person("otto", default_team(), [Role.COMPLIANCE_OFFICER])
    audit = asked_for(plan=record.plan, model=version_of(record.team, 2), data=record.opened_in.data, by=officer)
    Audit.objects.filter(pk=audit.pk).update(state=JobState.FAILED)
    assert waits(officer) == ["See why it failed"]
    Membership.objects.filter(user=officer).update(role=Role.INTERNAL_AUDIT)
    assert waits(type(officer).objects.get(pk=officer.pk)) == []
    Audit.objects.filter(pk=audit.pk).update(requested_by_user=None)
    assert waits(make_person("ivy", default_team(), [Role.INTERNAL_AUDIT])) == []
    assert waits(make_person("oda", default_team(), [Role.COMPLIANCE_OFFICER])) == ["See why it failed"]
