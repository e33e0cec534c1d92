"""A second factor: set up with a device, asked for at the login, required of who decides, let go of when it is lost."""

from __future__ import annotations

import base64
import re
import time
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.core.management import call_command
from django.test import Client

from compliance import actions
from compliance.access.roles import Role
from compliance.accounts import totp
from compliance.environment import HOLDERS, read_environment
from compliance.exceptions import StateError
from compliance.governance.events import Actor, verify_chain
from compliance.models import AccountLink, Event, LockOut, SecondFactor, Team, default_team
from tests.compliance.teams import make_person

SECRET_WORD = "a long password"
WHERE = "/account/second-factor/"


@pytest.fixture(autouse=True)
def installation(settings: LazySettings, tmp_path: Any) -> None:
    settings.KEYS_FILE = tmp_path / "keys"
    cache.clear()


@pytest.fixture
def grace(db: None) -> User:
    return make_person("grace", default_team(), [Role.VALIDATOR])


def actor_of(user: User) -> Actor:
    return Actor(name=user.get_username(), role="site", user=user)


def code_now(user: User, *, later: int = 0) -> str:
    """What the device of an account shows ``later`` periods from now."""
    secret = actions.secret_of(SecondFactor.objects.get(user=user))
    return totp.code_of(secret, int(time.time()) // totp.STEP_SECONDS + later)


def with_device(user: User) -> list[str]:
    """A second factor in use; its recovery codes."""
    actions.begin_second_factor(actor=actor_of(user))
    return actions.confirm_second_factor(code=code_now(user), actor=actor_of(user), session_key=None)


def log_in(client: Client, name: str, password: str = SECRET_WORD) -> Any:
    return client.post("/login/", {"login": name, "password": password, "next": "/plans/"})


@pytest.mark.parametrize(
    ("moment", "code"),
    [(59, "94287082"), (1111111109, "07081804"), (1234567890, "89005924"), (20000000000, "65353130")],
)
def test_codes_are_those_of_the_standard(moment: int, code: str) -> None:
    secret = base64.b32encode(b"12345678901234567890").decode()
    assert totp.code_of(secret, moment // 30, digits=8) == code


def test_a_code_holds_for_its_period_and_the_ones_beside_it_and_once() -> None:
    secret = totp.new_secret()
    for step in (99, 100, 101):
        assert totp.matching_step(secret, totp.code_of(secret, step), now=3000.0, after=0) == step
    assert totp.matching_step(secret, totp.code_of(secret, 97), now=3000.0, after=0) is None
    assert totp.matching_step(secret, totp.code_of(secret, 100), now=3000.0, after=100) is None
    assert totp.matching_step(secret, "", now=3000.0, after=0) is None
    assert totp.matching_step(secret, "twölf", now=3000.0, after=0) is None


def test_it_is_set_up_on_its_page_with_password_and_code_and_asked_for_from_then_on(grace: User) -> None:
    client = Client()
    log_in(client, "grace")
    assert client.post(f"{WHERE}begin/")["Location"] == WHERE
    page = client.get(WHERE).content.decode()
    shown = re.search(r"<code>([A-Z2-7 ]+)</code>", page)
    assert shown is not None
    assert shown[1].replace(" ", "") == actions.secret_of(SecondFactor.objects.get())
    assert "<svg" in page
    wrong = client.post(f"{WHERE}confirm/", {"password": "another one", "code": code_now(grace)})
    assert (wrong.status_code, "password: is not the account" in wrong.content.decode()) == (409, True)
    done = client.post(f"{WHERE}confirm/", {"password": SECRET_WORD, "code": code_now(grace)})
    codes = re.findall(r"<code>([a-z2-7]{4}(?:-[a-z2-7]{4}){3})</code>", done.content.decode())
    assert len(set(codes)) == totp.RECOVERY_CODES
    row = SecondFactor.objects.get()
    assert codes[0] not in str(row.recovery)
    assert Event.objects.filter(action="account.second_factor_set", actor="grace").count() == 1

    other = Client()
    assert log_in(other, "grace")["Location"] == "/login/code/"
    assert other.get("/plans/").status_code == 302  # the password alone opens nothing
    assert "six digits" in other.get("/login/code/").content.decode()
    used = other.post("/login/code/", {"code": code_now(grace)})
    assert used.status_code == 400  # the code that set it up was taken already
    assert other.post("/login/code/", {"code": code_now(grace, later=1)})["Location"] == "/plans/"
    assert other.get("/plans/").status_code == 200
    assert verify_chain().problem is None


def test_the_login_of_the_administration_asks_for_it_too(grace: User) -> None:
    with_device(grace)
    User.objects.filter(pk=grace.pk).update(is_staff=True)
    client = Client()
    asked = client.get("/admin/", follow=True)
    assert asked.request["PATH_INFO"] == "/login/"
    client.post("/admin/login/", {"username": "grace", "password": SECRET_WORD})
    assert client.get("/admin/").status_code == 302


def test_a_recovery_code_works_once_and_its_use_is_recorded(grace: User) -> None:
    codes = with_device(grace)
    for expected in ("/plans/", None):
        client = Client()
        log_in(client, "grace")
        answer = client.post("/login/code/", {"code": f" {codes[3].upper()} "})
        assert answer.headers.get("Location") == expected
    assert answer.status_code == 400
    assert len(SecondFactor.objects.get().recovery) == totp.RECOVERY_CODES - 1
    assert Event.objects.filter(action="account.recovery_code_used").count() == 1


def test_new_recovery_codes_end_the_old_ones(grace: User) -> None:
    old = with_device(grace)
    new = actions.renew_recovery_codes(code=code_now(grace, later=1), actor=actor_of(grace))
    with pytest.raises(StateError, match="is not the one that the device shows now"):
        actions.use_second_factor(user=grace, code=old[0])
    actions.use_second_factor(user=grace, code=new[0])


def test_setting_it_up_ends_the_other_sessions(grace: User) -> None:
    other, own = Client(), Client()
    log_in(other, "grace")
    log_in(own, "grace")
    own.post(f"{WHERE}begin/")
    own.post(f"{WHERE}confirm/", {"password": SECRET_WORD, "code": code_now(grace)})
    assert own.get("/plans/").status_code == 200
    assert other.get("/plans/").status_code == 302


def test_it_is_taken_away_by_a_code_only(grace: User) -> None:
    client = Client()
    log_in(client, "grace")
    client.post(f"{WHERE}begin/")
    client.post(f"{WHERE}confirm/", {"password": SECRET_WORD, "code": code_now(grace)})
    assert client.post(f"{WHERE}remove/", {"code": "000000"}).status_code == 409
    assert client.post(f"{WHERE}remove/", {"code": code_now(grace, later=1)})["Location"] == "/account/"
    assert not SecondFactor.objects.exists()
    assert Event.objects.get(action="account.second_factor_removed").actor == "grace"


def test_taking_it_away_ends_the_other_sessions(grace: User, settings: LazySettings) -> None:
    settings.SECOND_FACTOR = ["validator"]
    codes = with_device(grace)
    own, other = Client(), Client()
    for client, code in zip((own, other), codes, strict=False):
        log_in(client, "grace")
        client.post("/login/code/", {"code": code})
        assert client.get("/plans/").status_code == 200
    assert own.post(f"{WHERE}remove/", {"code": codes[2]}).status_code == 302
    assert own.get("/plans/")["Location"] == WHERE
    assert other.get("/plans/")["Location"].startswith("/login/")


def test_five_wrong_codes_lock_the_account_and_are_seen(grace: User) -> None:
    with_device(grace)
    client = Client()
    log_in(client, "grace")
    for _ in range(5):
        assert client.post("/login/code/", {"code": "000000"}).status_code == 400
    refused = client.post("/login/code/", {"code": code_now(grace, later=1)})
    assert "was wrong too often" in refused.content.decode()
    lock = LockOut.objects.get()
    assert (lock.user, lock.why, lock.state) == (grace, "codes", "in force")


def test_whose_roles_need_one_reaches_the_page_that_sets_it_up_and_no_other(
    grace: User, settings: LazySettings
) -> None:
    settings.SECOND_FACTOR = ["validator"]
    client = Client()
    log_in(client, "grace")
    for address in ("/", "/plans/", "/account/", "/people/", "/admin/", "/nothing/", "/kept/1/discard/"):
        assert client.get(address).headers.get("Location") == WHERE, address
    assert client.post("/plans/new/", {"origin": "ready:quick"})["Location"] == WHERE
    assert "Your roles decide" in client.get(WHERE).content.decode()
    client.post(f"{WHERE}begin/")
    assert client.get("/plans/")["Location"] == WHERE  # begun is not in use
    client.post(f"{WHERE}confirm/", {"password": SECRET_WORD, "code": code_now(grace)})
    assert client.get("/plans/").status_code == 200
    other = Client()
    other.force_login(make_person("dev", default_team(), [Role.DEVELOPER]))
    assert other.get("/plans/").status_code == 200


def test_it_is_required_by_a_setting_of_roles_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(HOLDERS) == {*Role.values, "superuser"}
    monkeypatch.setenv("PLUMBLINE_SECOND_FACTOR", "deciding")
    assert read_environment().second_factor == ["validator", "approver", "counsel", "admin", "superuser"]
    monkeypatch.setenv("PLUMBLINE_SECOND_FACTOR", "approver, developer")
    assert read_environment().second_factor == ["developer", "approver"]
    monkeypatch.setenv("PLUMBLINE_SECOND_FACTOR", "boss")
    with pytest.raises(ImproperlyConfigured, match=r"PLUMBLINE_SECOND_FACTOR: .*'boss' is not known"):
        read_environment()
    monkeypatch.delenv("PLUMBLINE_SECOND_FACTOR")
    assert read_environment().second_factor == []


def test_who_administers_the_installation_is_asked_where_the_setting_says_so(db: None, settings: LazySettings) -> None:
    settings.SECOND_FACTOR = ["superuser"]
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    assert client.get("/")["Location"] == WHERE


def test_a_lost_device_is_let_go_of_by_a_link_of_an_administrator_and_the_password(grace: User) -> None:
    with_device(grace)
    adam = make_person("adam", default_team(), [Role.ADMINISTRATOR])
    client, working, stranger = Client(), Client(), Client()
    client.force_login(adam)
    working.force_login(grace)
    person = f"/people/{default_team().pk}/{grace.pk}/"
    assert "Lost device" in client.get(person).content.decode()
    found = re.search(r"/join/[\w-]+/", client.post(f"{person}new-device/").content.decode())
    assert found is not None
    assert "Your lost device" in stranger.get(found[0]).content.decode()
    assert stranger.post(found[0], {"password": "a guess"}).status_code == 400
    assert SecondFactor.objects.exists()  # who has the link alone has nothing
    assert stranger.post(found[0], {"password": SECRET_WORD})["Location"] == "/login/"
    assert not SecondFactor.objects.exists()
    assert working.get("/plans/").status_code == 302
    assert stranger.get(found[0]).status_code == 404
    assert log_in(stranger, "grace")["Location"] == "/plans/"
    told = [(event.action, event.actor) for event in Event.objects.order_by("seq") if event.action.startswith("acc")]
    assert ("account.link_made", "adam") in told
    assert told[-2:] == [("account.link_used", "grace"), ("account.second_factor_removed", "grace")]


def test_nobody_makes_such_a_link_for_themselves_or_for_who_may_more_elsewhere(grace: User) -> None:
    adam = make_person("adam", default_team(), [Role.ADMINISTRATOR])
    for user in (adam, grace):
        with_device(user)
    with pytest.raises(StateError, match="is your own account; expected another administrator"):
        actions.offer_new_device(team=default_team(), user=adam, actor=actor_of(adam))
    grace.memberships.create(team=Team.objects.create(name="Elsewhere"), role=Role.APPROVER)
    with pytest.raises(PermissionDenied):
        actions.offer_new_device(team=default_team(), user=grace, actor=actor_of(adam))
    assert not AccountLink.objects.exists()


def test_a_link_for_a_new_password_does_not_stand_for_the_device(grace: User) -> None:
    with_device(grace)
    adam = make_person("adam", default_team(), [Role.ADMINISTRATOR])
    secret = actions.offer_new_password(team=default_team(), user=grace, actor=actor_of(adam))
    client = Client()
    said = {"password": "another horse entirely", "again": "another horse entirely"}
    assert client.post(f"/join/{secret}/", said)["Location"] == "/login/"
    assert client.get("/plans/").status_code == 302
    assert log_in(client, "grace", said["password"])["Location"] == "/login/code/"


def test_a_link_of_one_kind_does_nothing_of_the_other(grace: User) -> None:
    with_device(grace)
    adam = make_person("adam", default_team(), [Role.ADMINISTRATOR])
    actions.offer_new_device(team=default_team(), user=grace, actor=actor_of(adam))
    with pytest.raises(StateError, match="this link: was used"):
        actions.set_password_by_link(link=AccountLink.objects.get(), password="chosen by who has the link")
    actions.offer_new_password(team=default_team(), user=grace, actor=actor_of(adam))
    with pytest.raises(StateError, match="this link: was used"):
        actions.let_go_of_device_by_link(link=AccountLink.objects.get(kind="new_password"), password=SECRET_WORD)


def test_the_keys_of_the_installation_can_be_changed(grace: User) -> None:
    with_device(grace)
    before = SecondFactor.objects.get()
    form = actions.keep_form(user=grace, page="/a/", target="/a/", fields={"x": ["y"]}, files=[], sent=False)
    call_command("rotate_keys")
    after = SecondFactor.objects.get()
    assert (after.ring_key != before.ring_key, actions.secret_of(after) != "") == (True, True)
    actions.use_second_factor(user=grace, code=code_now(grace, later=1))
    assert actions.written_by(grace, pk=form.pk)[0].fields == {"x": ["y"]}


@pytest.mark.django_db(transaction=True)
def test_codes_are_taken_once_on_either_database(database: str, settings: LazySettings, tmp_path: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connection

    settings.KEYS_FILE = tmp_path / "keys"
    user = make_person("grace")
    codes = with_device(user)
    code = code_now(user, later=1)

    def take(told: str) -> bool:
        try:
            actions.use_second_factor(user=user, code=told)
        except StateError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(take, [code] * 4)) == 1
        assert sum(pool.map(take, [codes[0]] * 4)) == 1
