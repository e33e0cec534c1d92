"""Who is told of which event: by role, by team, by what is theirs; each once, and nobody of their own doing."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from compliance import actions
from compliance.access.roles import Role
from compliance.exceptions import StateError
from compliance.governance.finding_states import FindingState
from compliance.models import (
    Event,
    FindingRecord,
    Membership,
    Notice,
    NoticeChoice,
    NoticeCursor,
    Team,
    WebhookDelivery,
    default_team,
)
from compliance.notices.kinds import KINDS, SOON, TELLS
from tests.compliance.factories import ACTOR
from tests.compliance.governed import actor_of, open_finding, people_of
from tests.compliance.teams import listing_text, make_person, make_team_audit
from tests.compliance.test_officers_site import COUNTS, text_of

#: The validator by whom `open_finding` has its design approved.
APPROVES = "approves Default"


@pytest.fixture
def people(db: None) -> dict[Role, User]:
    """One person a role, and a second team in which everybody has another self."""
    elsewhere = Team.objects.create(name="Elsewhere")
    people_of(elsewhere, but=" elsewhere")
    return people_of(default_team())


def told(words: str = "") -> set[str]:
    """The names of those who have a notice whose words hold these."""
    return set(Notice.objects.filter(words__contains=words).values_list("user__username", flat=True))


def name(role: Role) -> str:
    return str(role)


def test_a_finding_is_told_to_those_who_answer_and_to_nobody_elsewhere(people: dict[Role, User]) -> None:
    record = open_finding(default_team())
    actions.tell_people()
    assert told(f"{record.number} was opened") == {name(Role.MODEL_OWNER)}
    notice = Notice.objects.get(words__contains="was opened")
    assert (notice.title, notice.link) == (record.title, record.get_absolute_url())


def test_each_step_of_a_finding_is_told_to_whose_turn_it_is(people: dict[Role, User]) -> None:
    team = default_team()
    record = open_finding(team)
    owner, officer = people[Role.MODEL_OWNER], people[Role.COMPLIANCE_OFFICER]
    Membership.objects.create(team=team, user=officer, role=Role.MODEL_OWNER)
    said = {"due": date.today() + timedelta(days=9), "response": "Seen.", "remediation": ""}
    actions.answer_finding(record=record, revision=record.revision, owner=owner, actor=actor_of(officer), **said)
    actions.tell_people()
    assert told("was given to you") == {owner.username}
    assert told("was answered") == {name(Role.VALIDATOR), APPROVES}
    record.refresh_from_db()
    actions.propose_rejection(record=record, reason="It was a test.", actor=actor_of(people[Role.VALIDATOR]))
    actions.tell_people()
    assert told("a rejection was proposed") == {APPROVES}  # the other validator is who proposed it
    second = make_person("second", team, [Role.VALIDATOR])
    record.refresh_from_db()
    actions.move_finding(
        record=record, to=FindingState.REJECTED_WITH_RATIONALE, revision=record.revision, actor=actor_of(second)
    )
    actions.tell_people()
    assert told("was rejected") == {owner.username}


def test_a_second_validator_is_told_of_a_proposed_rejection(people: dict[Role, User]) -> None:
    record = open_finding(default_team())
    actions.propose_rejection(record=record, reason="It was a test.", actor=actor_of(people[Role.VALIDATOR]))
    actions.tell_people()
    assert told("a rejection was proposed") == {APPROVES}
    assert told("was opened") == {name(Role.MODEL_OWNER)}


def test_an_acceptance_that_ends_soon_is_told_once_a_day_that_it_ends(people: dict[Role, User]) -> None:
    record = open_finding(default_team())
    until = date.today() + timedelta(days=200)
    FindingRecord.objects.filter(pk=record.pk).update(
        state=FindingState.RISK_ACCEPTED.value, accepted_until=until, settled_rank=3
    )
    actions.tell_people()
    assert told("The acceptance") == set()
    for day in (until - SOON, until - SOON + timedelta(days=1)):
        with time_machine.travel(day):
            actions.tell_people()
            assert told(f"The acceptance of {record.number} ends on") == {name(Role.APPROVER)}
            assert Notice.objects.filter(words__contains="The acceptance").count() == 1


def test_an_overdue_finding_is_told_to_its_owner_once_a_day_that_it_was_due(people: dict[Role, User]) -> None:
    record, owner = open_finding(default_team()), people[Role.MODEL_OWNER]
    second = make_person("second owner", default_team(), [Role.MODEL_OWNER])
    due = date.today() + timedelta(days=3)
    FindingRecord.objects.update(owner=second, due=due)
    actions.tell_people()
    assert told("is overdue") == set()
    for days in (1, 2):
        with time_machine.travel(due + timedelta(days=days)):
            actions.tell_people()
            assert told(f"{record.number} is overdue since") == {second.username}
            assert Notice.objects.filter(kind="finding_overdue").count() == 1
    FindingRecord.objects.update(owner=None, due=due + timedelta(days=4))
    with time_machine.travel(due + timedelta(days=6)):
        actions.tell_people()
        assert told("is overdue since") == {owner.username, second.username}
        assert Notice.objects.filter(kind="finding_overdue").count() == 3


def test_what_was_told_of_costs_no_more_queries_however_much_is_overdue(
    people: dict[Role, User], django_assert_num_queries: Any
) -> None:
    record = open_finding(default_team())
    FindingRecord.objects.update(due=date.today() - timedelta(days=1), owner=people[Role.MODEL_OWNER])
    actions.tell_people()
    with CaptureQueriesContext(connection) as one:
        actions.tell_people()
    for serial in range(100, 110):
        again = FindingRecord.objects.get(pk=record.pk)
        again.pk, again.serial, again.fingerprint, again._state.adding = None, serial, f"{serial:064d}", True
        again.save()
    actions.tell_people()
    with django_assert_num_queries(len(one)):
        actions.tell_people()


def test_a_table_that_waits_and_an_upload_that_ended_are_told_to_who_sent_them(people: dict[Role, User]) -> None:
    officer = people[Role.COMPLIANCE_OFFICER]
    asked = {"team": default_team(), "file_name": "a.csv", "size": 9, "actor": actor_of(officer)}
    row = actions.request_upload(name="Loans", **asked)
    actions.keep_upload(registration=row, file="data/a.csv", actor=actor_of(officer))
    resting = actions.request_upload(name="Cards", **asked)
    actions.end_upload(registration=resting, actor=ACTOR)
    actions.tell_people()
    assert told("A table waits") == set()
    assert Notice.objects.get(kind="registration_failed").title == "Cards"
    for days in (4, 5):
        with time_machine.travel(date.today() + timedelta(days=days)):
            actions.tell_people()
            assert told("A table waits") == {officer.username}
    assert Notice.objects.filter(kind="table_waits").count() == 1


def test_a_design_is_told_to_those_who_approve_and_its_fate_to_who_wrote_it(people: dict[Role, User]) -> None:
    from tests.compliance.factories import make_plan

    team, officer = default_team(), people[Role.COMPLIANCE_OFFICER]
    draft = actions.begin_draft(team=team, name="Small", origin="nothing", text="", actor=actor_of(officer))
    plan = actions.register_draft(draft=draft, plan=make_plan(), actor=actor_of(officer))
    actions.tell_people()
    assert told("A design waits for approval") == {name(Role.VALIDATOR)}
    actions.decide_on_design(plan=plan, state="approved", reason="Read.", actor=actor_of(people[Role.VALIDATOR]))
    actions.tell_people()
    assert told("Your design was approved") == {officer.username}


def test_a_proposed_system_is_told_to_the_other_administrators(people: dict[Role, User]) -> None:
    make_person("second", default_team(), [Role.ADMINISTRATOR])
    actor = actor_of(people[Role.ADMINISTRATOR])
    row = actions.propose_system(team=default_team(), text=listing_text("scorer"), reason="asked", actor=actor)
    actions.tell_people()
    assert told("A system waits") == {"second"}
    assert Notice.objects.get(words__contains="A system waits").link == row.get_absolute_url()


def test_a_failed_registration_is_told_to_who_asked_without_its_error(people: dict[Role, User]) -> None:
    officer = people[Role.COMPLIANCE_OFFICER]
    row = actions.request_upload(team=default_team(), name="Loans", file_name="a.csv", size=9, actor=actor_of(officer))
    actions.fail_registration(registration=row, error="applicant 17: race is 'x'", actor=ACTOR)
    actions.tell_people()
    notice = Notice.objects.get(kind="registration_failed")
    assert (notice.user, notice.title) == (officer, "Loans")
    assert "applicant" not in f"{notice.words}{notice.title}{notice.link}"


def test_an_audit_without_an_account_behind_it_is_told_to_who_may_run_it(people: dict[Role, User]) -> None:
    make_team_audit(default_team(), name="own")
    actions.tell_people()
    assert told("Audit A-0001 finished") == {name(Role.COMPLIANCE_OFFICER)}


def test_a_release_and_its_withdrawal_are_told_to_the_examiner(people: dict[Role, User]) -> None:
    audit = make_team_audit(default_team(), name="own")
    release = actions.release_audit(
        audit=audit, reader=people[Role.EXAMINER], until=timezone.now() + timedelta(days=2), reason="asked", actor=ACTOR
    )
    actions.tell_people()
    assert told("was released to you") == {name(Role.EXAMINER)}
    actions.withdraw_release(release=release, actor=ACTOR)
    actions.tell_people()
    assert told("is released to you no more") == {name(Role.EXAMINER)}


def test_what_was_told_is_not_told_again(people: dict[Role, User]) -> None:
    open_finding(default_team())
    actions.tell_people()
    before = Notice.objects.count()
    assert actions.tell_people() == 0
    NoticeCursor.objects.update(seq=0)  # as after a copy of an older row was put back
    actions.tell_people()
    assert Notice.objects.count() == before > 0


def test_an_event_that_cannot_be_told_stops_none_after_it(
    people: dict[Role, User], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from compliance.notices import kinds

    def breaks(told: Any) -> Any:
        raise KeyError("from")

    monkeypatch.setattr(kinds, "TELLS", {**TELLS, "audit.finished": breaks})
    record = open_finding(default_team())
    actions.tell_people()
    assert told(f"{record.number} was opened") == {name(Role.MODEL_OWNER)}
    assert "nobody could be told of it" in caplog.text


def test_whoever_chose_so_is_not_told_of_a_kind(people: dict[Role, User], client: Client) -> None:
    owner = people[Role.MODEL_OWNER]
    client.force_login(owner)
    everything = {f"{how}_{kind}": "on" for kind in KINDS for how in ("site", "mail")}
    del everything["site_finding_opened"], everything["mail_finding_opened"]
    assert client.post("/notices/choices/", everything)["Location"] == "/notices/choices/"
    open_finding(default_team())
    actions.tell_people()
    assert told("was opened") == set()
    assert NoticeChoice.objects.filter(user=owner, on_site=False).count() == 1
    page = client.get("/notices/choices/").content.decode()
    assert 'name="site_finding_opened"' in page
    assert page.count("checked") == 2 * len(KINDS) - 2
    with pytest.raises(StateError, match="is not a kind of notice"):
        actions.choose_notices(choices={"weather": (True, True)}, actor=actor_of(owner))


def test_the_header_counts_what_is_not_read_until_it_is(people: dict[Role, User], client: Client) -> None:
    open_finding(default_team())
    actions.tell_people()
    client.force_login(people[Role.MODEL_OWNER])
    assert f"Notices 1 unread Help {name(Role.MODEL_OWNER)}" in text_of(client.get("/").content)
    page = client.get("/notices/").content.decode()
    assert "was opened" in page
    assert 'class="count"' in page  # reading the list marks nothing
    notice = Notice.objects.get(user=people[Role.MODEL_OWNER])
    client.post("/notices/read/", {"notice": [notice.pk, "x", "9" * 30]})
    assert 'class="count"' not in client.get("/").content.decode()
    assert "No notice here" in client.get("/notices/?show=unread").content.decode()


def test_nobody_reads_or_marks_the_notices_of_others(people: dict[Role, User], client: Client) -> None:
    open_finding(default_team())
    actions.tell_people()
    client.force_login(people[Role.VALIDATOR])
    assert "was opened" not in client.get("/notices/").content.decode()
    client.post("/notices/read/", {"notice": Notice.objects.get(user=people[Role.MODEL_OWNER]).pk, "all": "1"})
    assert Notice.objects.get(user=people[Role.MODEL_OWNER]).read_at is None


def test_whoever_left_a_team_reads_nothing_more_of_it(people: dict[Role, User], client: Client) -> None:
    owner = people[Role.MODEL_OWNER]
    record = open_finding(default_team())
    actions.tell_people()
    client.force_login(owner)
    Membership.objects.filter(user=owner).update(role=Role.EXAMINER)
    page = client.get("/notices/").content.decode()
    assert "not yours to see any more" in page
    assert record.title not in page
    assert record.title not in b"".join(client.get("/notices/?as=csv")).decode()
    Membership.objects.filter(user=owner).delete()
    assert "No notice here" in client.get("/notices/").content.decode()


def test_every_kind_of_event_that_is_told_is_one_that_the_site_writes() -> None:
    import compliance

    written = "".join(path.read_text() for path in Path(compliance.__file__).parent.rglob("actions/*.py"))
    states = {f"finding.{state}" for state in FindingState}
    assert [action for action in TELLS if f'"{action}"' not in written and action not in states] == []
    assert Event._meta.get_field("action").max_length >= max(map(len, TELLS))


@pytest.mark.parametrize(
    ("name", "role", "where"),
    [
        ("notices", Role.MODEL_OWNER, "/notices/"),
        ("what I am told", Role.MODEL_OWNER, "/notices/choices/"),
        ("webhooks", Role.ADMINISTRATOR, "/notices/webhooks/"),
        ("webhook", Role.ADMINISTRATOR, "/notices/webhooks/{hook}/"),
    ],
)
def test_the_pages_of_notices_cost_so_many_queries_however_many_rows(
    people: dict[Role, User], client: Client, settings: LazySettings, tmp_path: Path, name: str, role: Role, where: str
) -> None:
    settings.KEYS_FILE = tmp_path / "system-keys"
    client.force_login(people[role])
    actor = actor_of(people[Role.ADMINISTRATOR])
    record = open_finding(default_team())
    said: dict[str, Any] = {"team": default_team(), "name": "SIEM", "url": "http://127.0.0.1:9/x", "networks": []}
    first, _ = actions.set_webhook(actor=actor, kinds=["release"], **said)
    address, costs, now = where.format(hook=first.pk), [], timezone.now()
    for number in (1, 4):
        for _ in range(number):
            hook, _ = actions.set_webhook(actor=actor, kinds=["release"], **said)
            key = f"test {hook.pk}"
            WebhookDelivery.objects.create(
                webhook=first, key=key, kind="release", words="x", body="{}", made_at=now, due_at=now
            )
            Notice.objects.create(
                user=people[Role.MODEL_OWNER], key=key, kind="finding_opened", team=record.team,
                subject="findingrecord", subject_id=record.pk, words="x", link="/", made_at=now,
            )  # fmt: skip
        client.get(address)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(address).status_code == 200
        costs.append(len(queries))
    assert {name: costs} == {name: [json.loads(COUNTS.read_text(encoding="utf-8"))[name]] * 2}
