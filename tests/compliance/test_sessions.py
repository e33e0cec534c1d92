"""How long somebody stays signed in, and that looking changes nothing in the database."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import DatabaseError, connection
from django.test import Client

from compliance.access.roles import Role
from compliance.accounts import sessions
from compliance.models import Audit, Event, Team, default_team
from tests.compliance.jobs import request
from tests.compliance.teams import WORKING, make_person, rows_of
from tests.compliance.test_access_of_every_address import LINES

pytestmark = pytest.mark.django_db
MINUTE, HOUR = 60, 3600
WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "ALTER", "DROP")
#: Looking at these is itself on record (evidence.viewed, evidence.downloaded).
EVIDENCE = ("cases/", "<published:name>", "/files/")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Minutes that have gone by, to be set."""
    now, real = [0.0], time.time
    monkeypatch.setattr(time, "time", lambda: real() + now[0])
    return now


@pytest.fixture
def officer(client: Client) -> Client:
    client.force_login(make_person("officer", default_team(), WORKING, is_staff=True))
    return client


def signed_in(client: Client) -> bool:
    return client.get("/audits/").status_code == 200


def test_a_session_ends_when_nobody_does_anything_for_half_an_hour(officer: Client, clock: list[float]) -> None:
    for _ in range(4):
        clock[0] += 29 * MINUTE
        assert signed_in(officer)
    clock[0] += 31 * MINUTE
    assert not signed_in(officer)
    assert not signed_in(officer)


@pytest.mark.parametrize("how", ["script", "no script"])
def test_a_page_that_asks_again_by_itself_does_not_prolong_it(how: str, officer: Client, clock: list[float]) -> None:
    audit = request()
    for _ in range(5):
        clock[0] += 6.5 * MINUTE
        if how == "script":
            answer = officer.get(f"/audits/{audit.number}/live/", headers={"HX-Request": "true"})
        else:
            answer = officer.get(f"/audits/{audit.number}/?again")
    assert answer.status_code in (204, 302)
    assert not signed_in(officer)


def test_the_page_without_scripts_says_that_it_asks_by_itself(officer: Client) -> None:
    assert b'content="5; url=?again"' in officer.get(f"/audits/{request().number}/").content


def test_a_session_ends_after_twelve_hours_whatever_somebody_does(officer: Client, clock: list[float]) -> None:
    for _ in range(12 * 4 - 1):
        clock[0] += 15 * MINUTE
        assert signed_in(officer)
    clock[0] += 16 * MINUTE
    assert not signed_in(officer)


def test_a_session_that_began_before_the_clock_was_set_back_is_over(officer: Client, clock: list[float]) -> None:
    clock[0] = 300 * 24 * HOUR  # a clock that was wrong when somebody signed in
    officer.force_login(User.objects.get(username="officer"))
    assert signed_in(officer)
    clock[0] = 0
    assert not signed_in(officer)


def test_a_sign_from_before_the_clock_was_set_back_is_no_sign_of_now(officer: Client, clock: list[float]) -> None:
    for minutes in (29, 58, 87):  # the last sign comes while the clock is ahead; the session began before it was
        clock[0] = minutes * MINUTE
        assert signed_in(officer)
    clock[0] = 40 * MINUTE
    assert not signed_in(officer)


def test_clocks_that_differ_by_seconds_end_nothing(officer: Client, clock: list[float]) -> None:
    assert signed_in(officer)
    clock[0] = -20
    assert signed_in(officer)


def test_the_hours_are_a_setting(officer: Client, clock: list[float], settings: LazySettings) -> None:
    settings.SESSION_COOKIE_AGE = HOUR
    for _ in range(3):
        clock[0] += 19 * MINUTE
        assert signed_in(officer)
    clock[0] += 5 * MINUTE
    assert not signed_in(officer)


def test_the_sign_of_one_session_prolongs_no_other(officer: Client, clock: list[float]) -> None:
    other = Client()
    other.force_login(User.objects.get(username="officer"))
    clock[0] += 29 * MINUTE
    assert signed_in(officer)
    clock[0] += 2 * MINUTE
    other.cookies[sessions.COOKIE] = officer.cookies[sessions.COOKIE].value
    assert not signed_in(other)
    assert signed_in(officer)


def test_a_session_of_which_nobody_knows_when_it_began_is_over(officer: Client) -> None:
    session = officer.session
    del session[sessions.BEGAN]
    session.save()
    assert not signed_in(officer)


def refuse_writes(execute: Any, sql: str, *rest: Any) -> Any:
    if sql.lstrip("( ").upper().startswith(WRITES) or "FOR UPDATE" in sql.upper():
        raise DatabaseError(f"this database is read only: {sql[:200]}")
    return execute(sql, *rest)


def test_reading_any_page_writes_nothing(client: Client) -> None:
    rows = rows_of(default_team(), name="own")
    rows_of(Team.objects.create(name="Elsewhere"), name="foreign")
    people = [
        make_person("officer", default_team(), WORKING, is_staff=True),
        User.objects.get(username="examiner own"),
        User.objects.create_superuser("root"),
    ]
    asked = 0
    for who in (*people, None):
        client.logout()
        if who is not None:
            client.force_login(who)
        with connection.execute_wrapper(refuse_writes):
            for route, line in LINES.items():
                if line.method == "get" and not any(part in route for part in EVIDENCE):
                    assert client.get(line.path.format(**rows)).status_code < 500, route
                    asked += 1
    assert asked > 400


def test_reading_pages_of_audits_under_way_writes_nothing(officer: Client) -> None:
    request()
    for state in ("requested", "queued", "running", "cancelling", "cancelled", "failed"):
        Audit.objects.update(state=state, seen_at=None)
        with connection.execute_wrapper(refuse_writes):
            for path in ("/audits/A-0001/", "/audits/A-0001/live/", "/", "/first-steps/", "/admin/compliance/audit/"):
                assert officer.get(path).status_code in (200, 286), (state, path)


def test_downloads_and_cases_are_on_record_and_downloads_need_the_permission(finished: Audit, client: Client) -> None:
    reader = make_person("reader", default_team(), [Role.INTERNAL_AUDIT])
    client.force_login(reader)
    assert client.get("/audits/A-0001/").status_code == 200
    for name in ("report.pdf", "annex.pdf", "result.json", "evidence.zip"):
        assert name not in client.get("/audits/A-0001/").content.decode().partition("Check the files")[0].replace(
            f'<dt translate="no">{name}</dt>', ""
        )
        assert client.get(f"/audits/A-0001/{name}").status_code == 403
    assert not Event.objects.filter(action="evidence.downloaded").exists()
    assert client.get("/audits/A-0001/cases/?role=actual").status_code == 200
    viewed = Event.objects.get(action="evidence.viewed")
    assert (viewed.actor, viewed.actor_user_id, viewed.object, viewed.team) == (
        "reader", reader.pk, "A-0001", finished.team,
    )  # fmt: skip
    assert viewed.payload.data_json == '{"what":"cases/?role=actual"}'

    client.force_login(make_person("officer of compliance", default_team(), [Role.COMPLIANCE_OFFICER]))
    for name in ("report.pdf", "annex.pdf", "result.json", "evidence.zip"):
        answer = client.get(f"/audits/A-0001/{name}")
        assert len(answer.getvalue()) > 1000
        event = Event.objects.filter(action="evidence.downloaded")[0]
        assert finished.files[name] in event.payload.data_json
    assert Event.objects.filter(action="evidence.downloaded").count() == 4


def test_what_was_released_to_an_examiner_includes_its_files_until_the_release_ends(
    finished: Audit, client: Client
) -> None:
    from datetime import timedelta

    from django.utils import timezone

    from compliance import actions
    from tests.compliance.factories import ACTOR

    examiner = make_person("examiner", finished.team, [Role.EXAMINER])
    client.force_login(examiner)
    assert client.get("/audits/A-0001/report.pdf").status_code == 404
    until = timezone.now() + timedelta(days=7)
    release = actions.release_audit(audit=finished, reader=examiner, until=until, reason="asked", actor=ACTOR)
    assert client.get("/audits/A-0001/report.pdf").getvalue().startswith(b"%PDF")
    assert Event.objects.get(action="evidence.downloaded").actor == "examiner"
    actions.withdraw_release(release=release, actor=ACTOR)
    assert client.get("/audits/A-0001/report.pdf").status_code == 404


def test_wrong_passwords_on_the_administrations_own_page_are_counted(client: Client) -> None:
    client.force_login(make_person("clerk", is_staff=True))
    form = {"oldpassword": "wrong", "password1": "a new password 1", "password2": "a new password 1"}
    codes = [client.post("/admin/password_change/", form).status_code for _ in range(7)]
    assert codes[:5] == [200] * 5
    assert codes[5:] == [429] * 2
