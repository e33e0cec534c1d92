"""Sessions of one's own are listed and ended; who is locked out is seen by the administrators of their team."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from compliance import actions
from compliance.access.permissions import NotPermitted
from compliance.access.roles import Role
from compliance.accounts.sign_ins import browser_words
from compliance.exceptions import StateError
from compliance.governance.events import Actor
from compliance.models import Event, LockOut, SignIn, Team, default_team
from tests.compliance.teams import make_person
from tests.compliance.test_tables_are_taken_away import rows_in

SECRET_WORD = "a long password"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0"
EDGE = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0"


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    cache.clear()


@pytest.fixture
def grace(db: None) -> User:
    return make_person("grace", default_team(), [Role.VALIDATOR])


@pytest.fixture
def adam(db: None) -> User:
    return make_person("adam", default_team(), [Role.ADMINISTRATOR])


def log_in(name: str, password: str = SECRET_WORD, browser: str = FIREFOX) -> tuple[Client, Any]:
    client = Client(headers={"User-Agent": browser})
    return client, client.post("/login/", {"login": name, "password": password})


def lock(name: str) -> None:
    for _ in range(5):
        log_in(name, "wrong")


def is_in(client: Client) -> bool:
    return client.get("/plans/").status_code == 200


def test_ones_sessions_are_listed_and_each_can_be_ended(grace: User) -> None:
    here, there = log_in("grace")[0], log_in("grace", browser=EDGE)[0]
    rows = rows_in(here, "/account/?as=json")
    assert [(row["browser"], row["this_one"]) for row in rows] == [
        ("Edge, Windows", "another one"), ("Firefox, Linux", "this session"),
    ]  # fmt: skip
    key = SignIn.objects.order_by("-pk")[0].pk
    assert here.post(f"/account/sessions/{key}/end/")["Location"] == "/account/"
    assert (is_in(here), is_in(there)) == (True, False)
    assert Event.objects.filter(action="account.session_ended", actor="grace").count() == 1
    assert here.post(f"/account/sessions/{key}/end/").status_code == 409


def test_all_others_are_ended_at_once_and_nobody_elses(grace: User, adam: User) -> None:
    here, *others = (log_in("grace")[0] for _ in range(3))
    foreign, _ = log_in("adam")
    here.post("/account/sessions/end-others/")
    assert [is_in(client) for client in (here, *others, foreign)] == [True, False, False, True]
    key = SignIn.objects.get(user=adam).pk
    assert here.post(f"/account/sessions/{key}/end/").status_code == 409
    assert is_in(foreign)


def test_a_new_password_keeps_this_session_in_the_list_and_drops_the_others(grace: User) -> None:
    here, _ = log_in("grace")
    log_in("grace", browser=EDGE)
    said = {"oldpassword": SECRET_WORD, "password1": "another horse entirely", "password2": "another horse entirely"}
    assert here.post("/password/", said).status_code == 302
    rows = rows_in(here, "/account/?as=json")
    assert [(row["browser"], row["this_one"]) for row in rows] == [("Firefox, Linux", "this session")]


def test_what_is_long_over_is_forgotten(grace: User) -> None:
    log_in("grace")
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        log_in("grace")
        assert SignIn.objects.count() == 1


def test_browsers_are_named_in_words() -> None:
    assert browser_words(EDGE) == "Edge, Windows"
    assert browser_words("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0) Version/19.0 Safari/604.1") == "Safari, iPhone"
    assert browser_words("") == "unknown"


def test_a_lock_out_is_seen_by_the_administrators_of_the_team_and_by_nobody_else(grace: User, adam: User) -> None:
    lock("GRACE")
    assert log_in("grace")[1].status_code == 200  # the right password, too late
    row = LockOut.objects.get()
    assert (row.user, row.why, row.address, row.state) == (grace, "passwords", "127.0.0.1", "in force")
    seen = Client()
    seen.force_login(adam)
    (line,) = rows_in(seen, "/people/?as=json&table=lock_outs")
    assert (line["account"], line["why"], line["stands"]) == ("grace", "Wrong passwords", "in force")
    assert "Locked out" in seen.get(f"/people/{default_team().pk}/{grace.pk}/").content.decode()
    for name, roles, team in (
        ("vera", [Role.VALIDATOR], default_team()),
        ("eve", [Role.ADMINISTRATOR], Team.objects.create(name="Elsewhere")),
    ):
        other = Client()
        other.force_login(make_person(name, team, roles))
        assert rows_in(other, "/people/?as=json&table=lock_outs") == []
        assert other.post(f"/people/{team.pk}/{grace.pk}/lock-outs/{row.pk}/lift/").status_code in (403, 404)
    assert Event.objects.get(action="account.locked_out").object == f"account {grace.pk}"


def test_it_is_lifted_by_an_administrator_with_an_event_and_the_password_works_at_once(
    grace: User, adam: User, django_capture_on_commit_callbacks: Any
) -> None:
    lock("grace")
    seen = Client()
    seen.force_login(adam)
    where = f"/people/{default_team().pk}/{grace.pk}/"
    with django_capture_on_commit_callbacks(execute=True):
        assert seen.post(f"{where}lock-outs/{LockOut.objects.get().pk}/lift/")["Location"] == where
    assert LockOut.objects.get().lifted_by == "adam"
    event = Event.objects.get(action="account.lock_out_lifted")
    assert (event.actor, event.team) == ("adam", default_team())
    assert log_in("grace")[1].status_code == 302
    assert seen.post(f"{where}lock-outs/{LockOut.objects.get().pk}/lift/").status_code == 409


def test_nobody_lifts_their_own_or_without_the_permission(grace: User, adam: User) -> None:
    lock("adam")
    own = LockOut.objects.get()
    with pytest.raises(StateError, match="is of your own account; expected another administrator"):
        actions.lift_lock_out(lock_out=own, team=default_team(), actor=Actor(name="adam", role="site", user=adam))
    with pytest.raises(NotPermitted):
        actions.lift_lock_out(lock_out=own, team=default_team(), actor=Actor(name="grace", role="site", user=grace))


def test_names_that_nobody_has_leave_no_trace(db: None) -> None:
    lock("nobody")
    assert not LockOut.objects.exists()
    assert not Event.objects.filter(action="account.locked_out").exists()


@pytest.mark.django_db(transaction=True)
def test_a_lock_out_is_noted_once_and_is_over_in_time_on_either_database(database: str) -> None:
    user = make_person("grace")
    for _ in range(2):
        actions.note_lock_out(user=user, why=LockOut.Why.PASSWORDS, address="", seconds=300)
    assert LockOut.objects.get().state == "in force"
    with time_machine.travel(timezone.now() + timedelta(seconds=301)):
        assert LockOut.objects.get().state == "over"
        actions.note_lock_out(user=user, why=LockOut.Why.PASSWORDS, address="", seconds=300)
        assert LockOut.objects.count() == 2
