"""The way in: a link that works once, then a login that limits how often a password is tried."""

from __future__ import annotations

import hashlib
import io
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from compliance.access.first_run import VALID_FOR, first_run_link
from compliance.governance.events import verify_chain
from compliance.models import Event, FirstRunLink
from tests.compliance.teams import make_person

BASE = "http://127.0.0.1:8000"
FORM = {"username": "ada", "password": "correct horse battery", "again": "correct horse battery"}


def new_link() -> str:
    link = first_run_link(BASE)
    assert link is not None
    assert link.startswith(f"{BASE}/first-run/")
    return link.removeprefix(BASE)


def test_the_link_makes_an_administrator_and_logs_them_in(db: None, client: Client) -> None:
    link = new_link()
    assert client.get(link).status_code == 200
    assert client.post(link, FORM)["Location"] == "/"
    user = User.objects.get()
    assert (user.username, user.is_superuser, user.check_password(FORM["password"])) == ("ada", True, True)
    assert client.get("/").status_code == 200
    assert Event.objects.filter(action="account.first_administrator", actor="ada").count() == 1
    assert verify_chain().problem is None


def test_the_link_works_once(db: None, client: Client) -> None:
    link = new_link()
    client.post(link, FORM)
    for answer in (client.get(link), client.post(link, {**FORM, "username": "eve"})):
        assert answer.status_code == 404
        assert "This link cannot be used" in answer.content.decode()
    assert User.objects.count() == 1


def test_a_used_link_stays_used_when_the_administrator_is_gone(db: None, client: Client) -> None:
    link = new_link()
    client.post(link, FORM)
    User.objects.all().delete()
    assert client.get(link).status_code == 404
    assert client.get(new_link()).status_code == 200


def test_the_link_ends_after_a_day(db: None, client: Client) -> None:
    link = new_link()
    with time_machine.travel(timezone.now() + VALID_FOR + timedelta(seconds=1)):
        assert client.post(link, FORM).status_code == 404
    assert not User.objects.exists()


def test_a_new_link_ends_the_one_before(db: None, client: Client) -> None:
    first, second = new_link(), new_link()
    assert client.get(first).status_code == 404
    assert client.get(second).status_code == 200


def test_there_is_no_link_once_somebody_administers(db: None, client: Client) -> None:
    link = new_link()
    User.objects.create_superuser("root")
    assert first_run_link(BASE) is None
    assert client.post(link, FORM).status_code == 404
    User.objects.update(is_active=False)
    assert first_run_link(BASE) is not None


def test_only_the_hash_of_the_secret_is_kept(db: None) -> None:
    secret = new_link().removeprefix("/first-run/").rstrip("/")
    kept = FirstRunLink.objects.get()
    assert kept.secret_sha256 == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in str(vars(kept))


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"again": "another horse battery"}, "is not the same; type the same password twice"),
        ({"password": "short", "again": "short"}, "too short"),
        ({"password": "123456789012345", "again": "123456789012345"}, "entirely numeric"),
        ({"username": "a b"}, "Enter a valid username"),
        ({"username": "taken"}, "is taken, as &#x27;taken&#x27;; expected another one"),
    ],
)
def test_what_cannot_be_an_account_is_said_and_the_link_stays(
    db: None, client: Client, given: dict[str, str], line: str
) -> None:
    make_person("taken")
    link = new_link()
    answer = client.post(link, {**FORM, **given})
    assert answer.status_code == 400
    assert line in answer.content.decode()
    assert client.post(link, FORM).status_code == 302


def test_the_command_prints_the_link_or_says_that_there_is_none(db: None, client: Client) -> None:
    out, err = io.StringIO(), io.StringIO()
    call_command("first_admin", "--base-url", "https://audits.example/", stdout=out)
    assert client.get(out.getvalue().strip().removeprefix("https://audits.example")).status_code == 200
    User.objects.create_superuser("root")
    with pytest.raises(SystemExit) as ended:
        call_command("first_admin", stderr=err)
    assert ended.value.code == 1
    assert err.getvalue() == ("first_admin: there is an administrator already; expected an installation without one\n")


def test_a_wrong_password_is_refused_in_one_line_and_the_name_is_kept(db: None, client: Client) -> None:
    cache.clear()
    make_person("ada")
    page = client.post("/login/", {"login": "ada", "password": "wrong"}).content.decode()
    assert "The username and/or password you specified are not correct." in page
    assert 'value="ada"' in page


def test_a_password_is_tried_five_times_and_then_not_even_the_right_one_helps(db: None, client: Client) -> None:
    cache.clear()
    make_person("ada")
    for _ in range(5):
        client.post("/login/", {"login": "ada", "password": "wrong"})
    answer = client.post("/login/", {"login": "ada", "password": "a long password"})
    assert answer.status_code == 200
    assert "Too many failed login attempts" in answer.content.decode()
    assert client.get("/").status_code == 302
    cache.clear()


def test_a_name_is_counted_whatever_host_is_asked_and_however_it_is_typed(db: None, client: Client) -> None:
    cache.clear()
    make_person("ada")
    for n, name in enumerate(("ada", "Ada", "ADA", "ada", "aDa")):
        host = {"HTTP_HOST": f"testserver:{8000 + n}", "REMOTE_ADDR": f"10.0.0.{n}"}
        client.post("/login/", {"login": name, "password": "wrong"}, **host)
    answer = client.post("/login/", {"login": "ada", "password": "a long password"}, HTTP_HOST="testserver:9000")
    assert answer.status_code == 200
    assert "Too many failed login attempts" in answer.content.decode()
    cache.clear()


def test_a_machine_that_tries_many_names_is_slowed_down(db: None, client: Client) -> None:
    cache.clear()
    codes = [client.post("/login/", {"login": f"name{n}", "password": "wrong"}).status_code for n in range(31)]
    assert codes[-1] == 429
    cache.clear()


def test_the_login_leads_where_somebody_wanted_to_go_and_nowhere_else(db: None, client: Client) -> None:
    cache.clear()
    make_person("ada")
    page = client.get("/login/?next=/findings/").content.decode()
    assert 'name="next"' in page
    entry = {"login": "ada", "password": "a long password"}
    assert client.post("/login/", {**entry, "next": "/findings/"})["Location"] == "/findings/"
    client.post("/logout/")
    assert client.post("/login/", {**entry, "next": "https://evil.example/"})["Location"] == "/"


def test_nobody_signs_up(db: None, client: Client) -> None:
    for address in ("/signup/", "/accounts/signup/", "/accounts/login/"):
        assert client.get(address).status_code == 404


def test_people_change_their_password_and_stay_logged_in(db: None, client: Client) -> None:
    cache.clear()
    user = make_person("ada")
    client.force_login(user)
    form = {"oldpassword": "a long password", "password1": "another long one", "password2": "another long one"}
    assert client.post("/password/", form)["Location"] == "/"
    user.refresh_from_db()
    assert user.check_password("another long one")
    assert client.get("/password/").status_code == 200
