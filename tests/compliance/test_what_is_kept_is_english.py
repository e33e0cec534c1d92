"""What is kept is the same whatever language somebody reads: events, rows and reasons stay English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.db.models import BinaryField, Model
from django.test import Client
from django.utils import timezone, translation

from compliance import actions
from compliance.access.roles import Role
from compliance.exceptions import StateError
from compliance.execution import workers
from compliance.execution.schedules import keep_calendar
from compliance.governance.finding_states import FindingState
from compliance.models import (
    AuditSchedule,
    DesignState,
    LanguageModel,
    NotePurpose,
    Registration,
    VersionDecision,
    VersionState,
    default_team,
)
from tests.compliance.calendars import counted, scheduled
from tests.compliance.factories import make_plan
from tests.compliance.governed import GONE, actor_of, approved_plan, open_finding, people_of, run, version_of
from tests.compliance.jobs import request
from tests.compliance.messages import keep_messages
from tests.compliance.test_uploads import CSV

pytestmark = pytest.mark.django_db
#: Tells one day from another: nothing of a language.
NAMES = re.compile(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b[0-9a-f]{8,}\b|\d+")
S = FindingState


class _TakenBackError(Exception):
    """What a day left is taken back, so that another one begins where it began."""


@pytest.fixture(autouse=True)
def _folders(settings: LazySettings, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DATA_FOLDER = tmp_path / "data"
    settings.KEYS_FILE = tmp_path / "data" / "system-keys"
    settings.IMPORT_FOLDER = tmp_path / "import"
    settings.DATA_FOLDER.mkdir()
    keep_messages(monkeypatch)


def plain(value: Any) -> str:
    """A value without what differs from one entry to the next: keys, hashes, times."""
    return NAMES.sub("#", str(value))


def rows_of(model: type[Model]) -> list[dict[str, str]]:
    names = [field.attname for field in model._meta.concrete_fields if not isinstance(field, BinaryField)]
    random = {"session_key", "secret_sha256", "account", "salt"}
    return [
        {name: plain(value) for name, value in row.items() if name not in random}
        for row in model._default_manager.order_by("pk").values(*names)
    ]


def kept() -> dict[str, list[dict[str, str]]]:
    """Every row of the application."""
    return {model.__name__: rows_of(model) for model in apps.get_app_config("compliance").get_models()}


def refused(what: Any, **said: Any) -> str:
    with pytest.raises(StateError) as caught:
        what(**said)
    return str(caught.value)


def stops(client: Client, people: dict[Role, User]) -> Iterator[str]:
    """An audit is asked for, stopped, and asked to stop again."""
    officer = people[Role.COMPLIANCE_OFFICER]
    audit = request()
    client.force_login(officer)
    assert client.post(f"/audits/{audit.number}/stop/", {"reason": "Too early."}).status_code == 302
    yield refused(actions.force_stop, audit=audit, actor=actor_of(officer))


def findings(client: Client, people: dict[Role, User]) -> Iterator[str]:
    """A finding goes from state to state, to its end; another is rejected by two."""
    owner, validator = actor_of(people[Role.MODEL_OWNER]), actor_of(people[Role.VALIDATOR])
    record = open_finding()
    yield refused(actions.move_finding, record=record, to=S.CLOSED_VALIDATED, actor=validator)
    client.force_login(people[Role.MODEL_OWNER])
    assert client.post("/findings/F-0001/move/", {"to": "acknowledged", "revision": "1"}).status_code == 302
    record.refresh_from_db()
    yield refused(actions.move_finding, record=record, to=S.ACTION_PLANNED, actor=owner)
    due = timezone.now().date() + timedelta(days=30)
    actions.answer_finding(record=record, revision=record.revision, owner=owner.user, due=due,
                           response="Seen.", remediation="Train anew.", actor=owner)  # fmt: skip
    for state in (S.ACTION_PLANNED, S.IN_REMEDIATION):
        actions.move_finding(record=record, to=state, actor=owner)
    yield refused(actions.note_finding, record=record, name="a.exe", content=b"MZ", actor=owner)
    actions.note_finding(record=record, name="fix.txt", content=b"Done.", purpose=NotePurpose.FIX, actor=owner)
    actions.move_finding(record=record, to=S.READY_FOR_VALIDATION, actor=owner)
    yield refused(actions.move_finding, record=record, to=S.CLOSED_VALIDATED, said="Read.", actor=validator)
    run(plan=record.plan, model=version_of(record.team, 2), findings=[], measurements=[GONE])
    actions.move_finding(record=record, to=S.CLOSED_VALIDATED, said="Read.", actor=validator)
    other = open_finding(number=3, title="Another one", measurements=())
    if other.state == S.OPEN:
        actions.propose_rejection(record=other, reason="A test.", actor=validator)
        yield refused(actions.propose_rejection, record=other, reason="A test.", actor=validator)


def designs(client: Client, people: dict[Role, User]) -> Iterator[str]:
    """A design is returned with comments and answered; one that is retired holds its schedule."""
    validator, officer = people[Role.VALIDATOR], actor_of(people[Role.COMPLIANCE_OFFICER])
    row = scheduled(people[Role.COMPLIANCE_OFFICER], first_on=timezone.now().date(), plan=approved_plan(default_team()))
    decide: dict[str, Any] = {"state": DesignState.RETIRED, "actor": actor_of(validator)}
    actions.decide_on_design(plan=row.plan, reason="Not needed.", **decide)
    assert keep_calendar() == 1
    yield refused(actions.decide_on_design, plan=row.plan, reason="Not needed.", **decide)
    plan = actions.register_plan(plan=make_plan("second"), actor=officer, team=default_team())
    yield refused(actions.decide_on_design, plan=plan, reason=" ", state=DesignState.APPROVED, actor=decide["actor"])
    client.force_login(validator)
    sent = {"state": "returned", "reason": "Which groups?"}
    assert client.post(f"/plans/{plan.pk}/decide/", sent).status_code == 302
    actions.submit_design_again(plan=plan, reason="Both.", actor=officer)
    yield refused(actions.submit_design_again, plan=plan, reason="Both.", actor=officer)


def versions(client: Client, people: dict[Role, User]) -> Iterator[str]:
    """A version is proposed and approved; another word about its model ends that."""
    owner, validator = actor_of(people[Role.MODEL_OWNER]), actor_of(people[Role.VALIDATOR])
    audit = counted(number=5)
    model = audit.model.language_model
    said: dict[str, Any] = {"version": audit.model, "audits": [audit.number], "actor": owner}
    yield refused(actions.propose_version, **said, reason=" ")
    proposal = actions.propose_version(**said, reason="For loans.")
    yield refused(
        actions.decide_on_version, proposal=proposal, approve=True, reason="Read.", confirmed=False, actor=validator
    )
    client.force_login(people[Role.VALIDATOR])
    decision = {"decide-proposal": proposal.pk, "decide-decision": "approve", "decide-reason": "Read.",
                "decide-confirmed": "on"}  # fmt: skip
    assert client.post(f"/models/{audit.model_id}/decide/", decision).status_code == 302
    changed = {"access": "outputs", "risk_tier": 1, "owner": "Nora"}
    actions.describe_language_model(language_model=model, description=changed, actor=owner)
    assert VersionDecision.objects.first().state == VersionState.ENDED  # type: ignore[union-attr]
    LanguageModel.objects.filter(pk=model.pk).update(approval="approved")  # as an earlier release left it
    actions.describe_language_model(language_model=model, description={"access": "internals"}, actor=owner)


def releases(client: Client, people: dict[Role, User]) -> Iterator[str]:
    """An audit is released to an examiner, and the release is withdrawn."""
    audit, reader, by = counted(number=6), people[Role.EXAMINER], people[Role.APPROVER]
    said: dict[str, Any] = {"audit": audit, "reader": reader, "actor": actor_of(by)}
    until = timezone.now() + timedelta(days=9)
    yield refused(actions.release_audit, **said, until=until - timedelta(days=30), reason="Asked.")
    release = actions.release_audit(**said, until=until, reason="Asked for.")
    actions.withdraw_release(release=release, actor=actor_of(by))
    yield refused(actions.withdraw_release, release=release, actor=actor_of(by))


def registrations(client: Client, people: dict[Role, User]) -> Iterator[str]:
    """A table is refused at the door, one that is no table fails, and a lost registration is given up."""
    client.force_login(people[Role.COMPLIANCE_OFFICER])
    form = {"team": default_team().pk, "file_name": "a.csv", "size": "0"}
    assert client.post("/register/data/uploads/", form).status_code == 400
    table = SimpleUploadedFile("loans.csv", CSV)
    assert client.post("/register/data/", {"team": default_team().pk, "name": "", "file": table}).status_code == 302
    said = Registration.objects.get()
    assert client.post(f"/register/{said.public_id}/", {"mapping": "name = 'x'", "register": ""}).status_code == 200
    officer = actor_of(people[Role.COMPLIANCE_OFFICER])
    row = actions.request_data(team=default_team(), name="x", source="nowhere.csv", actor=officer)
    workers.register(row.pk)
    row.refresh_from_db()
    assert row.error
    lost = actions.request_data(team=default_team(), name="lost", source="lost.csv", actor=officer)
    Registration.objects.filter(pk=lost.pk).update(attempts=99)
    assert not actions.begin_registration(registration=lost)
    yield refused(actions.try_again, registration=actions.request_upload(
        team=default_team(), name="up", file_name="up.csv", size=9, actor=officer), actor=officer)  # fmt: skip


DAY = (stops, findings, versions, releases, registrations, designs)


@contextmanager
def taken_back() -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
            raise _TakenBackError
    except _TakenBackError:
        pass


def a_day_in(language: str) -> tuple[dict[str, Any], list[str]]:
    """What a day leaves behind where everybody reads this language, and what was said to those who were refused."""
    said: list[str] = []
    left: dict[str, Any] = {}
    with taken_back(), translation.override(language):
        people = people_of(default_team())
        for part in DAY:
            said += [plain(line) for line in part(Client(HTTP_ACCEPT_LANGUAGE=language), people)]
        actions.tell_people()
        left = kept()
    return left, said


def test_a_day_in_german_leaves_the_same_rows_and_events_as_one_in_english() -> None:
    english, refusals = a_day_in("en-gb")
    german, ablehnungen = a_day_in("de")
    assert {"Event", "EventPayload", "FindingRecord", "Notice", "Registration", "VersionDecision"} <= {
        name for name, rows in english.items() if rows
    }
    for name, rows in english.items():
        assert german[name] == rows, name
    # Words were said in German meanwhile; otherwise nothing was shown.
    assert len(refusals) == len(ablehnungen) > 10
    for line, zeile in zip(refusals, ablehnungen, strict=True):
        assert "; expected " in line
        assert "erwartet" in zeile
        assert line != zeile


def test_what_a_model_lost_its_approval_for_is_kept_in_english() -> None:
    with taken_back(), translation.override("de"):
        list(versions(Client(HTTP_ACCEPT_LANGUAGE="de"), people_of(default_team())))
        said = VersionDecision.objects.filter(state=VersionState.ENDED).values_list("reason", flat=True)
        assert list(said) == [
            "its approval ended when its owner, risk tier and access level changed; it has to be approved again"
        ]


def test_what_holds_a_schedule_is_kept_in_english() -> None:
    with taken_back(), translation.override("de"):
        list(designs(Client(HTTP_ACCEPT_LANGUAGE="de"), people_of(default_team())))
        assert AuditSchedule.objects.get().problem.endswith("the design is retired; expected an approved one")
