"""The first page calls up what waits for somebody in their roles, and takes it away once it is done."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from compliance import actions
from compliance.access.roles import Role
from compliance.governance.events import Actor
from compliance.governance.finding_states import FindingState as S
from compliance.models import (
    Audit,
    DesignState,
    FindingRecord,
    Membership,
    NotePurpose,
    PlanVersion,
    Registration,
    RegistrationState,
    SystemListing,
    Team,
    default_team,
)
from tests.compliance.factories import ACTOR, make_plan
from tests.compliance.governed import actor_of, open_finding
from tests.compliance.teams import listing_text, make_person, make_team_audit

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _folder(settings, tmp_path) -> None:
    settings.DATA_FOLDER = tmp_path


def person(name: str, *roles: Role) -> User:
    return make_person(name, default_team(), roles)


def waits(user: User) -> list[str]:
    client = Client()
    client.force_login(user)
    answer = client.get("/")
    assert answer.status_code == 200
    return [task.words for task in answer.context["tasks"]]


def registered_design(by: User) -> PlanVersion:
    actor = actor_of(by)
    draft = actions.begin_draft(team=default_team(), name="small", origin="nothing", text="", actor=actor)
    return actions.register_draft(draft=draft, plan=make_plan(), actor=actor)


def test_a_design_waits_for_those_who_may_approve_it_but_not_for_who_wrote_it() -> None:
    writes = person("ada", Role.COMPLIANCE_OFFICER, Role.VALIDATOR)
    reads, other = person("grace", Role.VALIDATOR), person("olga", Role.MODEL_OWNER)
    plan = registered_design(writes)
    assert waits(reads) == ["Decide on a design"]
    assert waits(writes) == waits(other) == []
    actions.decide_on_design(plan=plan, state=DesignState.APPROVED, reason="Read.", actor=actor_of(reads))
    assert waits(reads) == []


def test_a_design_that_a_command_registered_waits_for_nobody() -> None:
    actions.register_plan(plan=make_plan(), actor=ACTOR, team=default_team())
    assert waits(person("grace", Role.VALIDATOR)) == []


def test_a_system_waits_for_a_second_administrator() -> None:
    first, second = person("adam", Role.ADMINISTRATOR), person("eva", Role.ADMINISTRATOR)
    actions.propose_system(team=default_team(), text=listing_text("x"), reason="asked", actor=actor_of(first))
    assert waits(second) == ["Decide on a system"]
    assert waits(first) == []
    actions.approve_system(listing=SystemListing.objects.get(), reason="read", actor=actor_of(second))
    assert waits(second) == []


def number(words: str, record: FindingRecord) -> str:
    return words.format(record.number)


def test_a_finding_goes_from_who_answers_to_who_validates() -> None:
    record = open_finding()
    owner, validator = person("olga", Role.MODEL_OWNER), person("grace", Role.VALIDATOR)
    assert waits(owner) == [number("Answer {}", record)]
    assert waits(validator) == []
    acts = actor_of(owner)
    for to in (S.ACKNOWLEDGED, S.ACTION_PLANNED, S.IN_REMEDIATION, S.READY_FOR_VALIDATION):
        record.refresh_from_db()
        if to is S.ACTION_PLANNED:
            actions.answer_finding(
                record=record, revision=record.revision, owner=owner, due=timezone.now().date() + timedelta(days=9),
                response="Seen.", remediation="Mend.", actor=acts,
            )  # fmt: skip
        if to is S.READY_FOR_VALIDATION:
            actions.note_finding(record=record, name="fix.txt", content=b"x", purpose=NotePurpose.FIX, actor=acts)
        actions.move_finding(record=record, to=to, actor=acts)
    assert waits(owner) == []
    assert waits(validator) == [number("Decide on the fix of {}", record)]


def test_a_finding_that_somebody_owns_waits_for_nobody_else_to_answer_it() -> None:
    record = open_finding()
    owner, other = person("olga", Role.MODEL_OWNER), person("omar", Role.MODEL_OWNER)
    actions.answer_finding(
        record=record,
        revision=record.revision,
        owner=owner,
        due=None,
        response="",
        remediation="",
        actor=actor_of(owner),
    )
    assert waits(owner) == [number("Answer {}", record)]
    assert waits(other) == []


def test_a_rejection_waits_for_a_second_person() -> None:
    record = open_finding()
    first, second = person("grace", Role.VALIDATOR), person("gil", Role.VALIDATOR)
    actions.propose_rejection(record=record, reason="The field was read wrongly.", actor=actor_of(first))
    assert waits(first) == []
    assert waits(second) == [number("Confirm or leave the rejection of {}", record)]
    actions.move_finding(record=record, to=S.REJECTED_WITH_RATIONALE, actor=actor_of(second))
    assert waits(second) == []


@pytest.mark.parametrize(("days", "called"), [(59, True), (62, False)])
def test_an_acceptance_is_called_up_before_it_ends(days: int, called: bool) -> None:
    record = open_finding()
    owner, approver = person("olga", Role.MODEL_OWNER), person("bo", Role.APPROVER)
    actions.move_finding(record=record, to=S.ACKNOWLEDGED, actor=actor_of(owner))
    record.refresh_from_db()
    until = timezone.now().date() + timedelta(days=days)
    actions.move_finding(record=record, to=S.RISK_ACCEPTED, said="Small.", until=until, actor=actor_of(approver))
    assert waits(approver) == ([number("The acceptance of {} ends", record)] if called else [])


def test_a_registration_that_failed_waits_for_who_asked() -> None:
    asks, other = person("ada", Role.COMPLIANCE_OFFICER), person("omar", Role.COMPLIANCE_OFFICER)
    row = actions.request_upload(team=default_team(), name="loans", file_name="a.csv", size=9, actor=actor_of(asks))
    assert waits(asks) == []
    Registration.objects.filter(pk=row.pk).update(state=RegistrationState.FAILED, error="a.csv: has no rows")
    assert waits(asks) == ["See why it was not registered"]
    assert waits(other) == []


def test_a_release_waits_for_its_examiner_until_it_ends() -> None:
    audit: Audit = make_team_audit(default_team(), name="small")
    reader = person("ed", Role.EXAMINER)
    release = actions.release_audit(
        audit=audit, reader=reader, until=timezone.now() + timedelta(days=3), reason="asked", actor=ACTOR
    )
    client = Client()
    client.force_login(reader)
    assert [row.current for row in client.get("/").context["listed"]] == [True]
    # Whoever also works in another team has the officers' first page, and the release among what waits.
    Membership.objects.create(team=Team.objects.create(name="Elsewhere"), user=reader, role=Role.INTERNAL_AUDIT)
    assert waits(reader) == ["Read what was released to you"]
    actions.withdraw_release(release=release, actor=Actor(name="bo", role="site"))
    assert waits(reader) == []


def test_what_is_late_comes_first(client: Client) -> None:
    late = open_finding()
    FindingRecord.objects.filter(pk=late.pk).update(allowed_until=timezone.now().date() - timedelta(days=1))
    owner = person("olga", Role.MODEL_OWNER, Role.VALIDATOR)
    registered_design(person("ada", Role.COMPLIANCE_OFFICER))
    assert waits(owner) == [number("Answer {}", late), "Decide on a design"]
