"""Whatever is done to an account leaves an event that names who did it: on any page, or at a terminal."""

from __future__ import annotations

import io
import json

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.db import transaction
from django.test import Client

from compliance.access.roles import Role
from compliance.governance.events import verify_chain
from compliance.models import Event, Membership, default_team
from tests.compliance.teams import make_person

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


def told(action: str) -> tuple[Event, dict[str, object]]:
    """The last event of that kind, and what it says."""
    event = Event.objects.filter(action=action).first()
    assert event is not None, list(Event.objects.values_list("action", flat=True))
    return event, json.loads(event.payload.data_json)


def test_an_account_made_changed_and_deleted_in_the_administration(root: Client) -> None:
    made = {"username": "eve", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    assert root.post("/admin/auth/user/add/", made).status_code == 302
    eve = User.objects.get(username="eve")
    event, said = told("account.created")
    assert (event.actor, event.role, event.object, event.team) == ("root", "administration", f"account {eve.pk}", None)
    assert (said["username"], said["is_superuser"]) == ("eve", False)

    form = {
        "username": "eve",
        "is_active": "on",
        "is_superuser": "on",
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00",
    }
    assert root.post(f"/admin/auth/user/{eve.pk}/change/", form).status_code == 302
    _, said = told("account.changed")
    assert said == {"username": "eve", "is_superuser": {"from": False, "to": True}}

    new = {"password1": f"{PASSWORD}!", "password2": f"{PASSWORD}!", "usable_password": "true"}
    assert root.post(f"/admin/auth/user/{eve.pk}/password/", new).status_code == 302
    event, said = told("account.changed")
    assert said == {"username": "eve", "password": "changed"}
    eve.refresh_from_db()
    assert eve.password not in event.payload.data_json

    assert root.post(f"/admin/auth/user/{eve.pk}/delete/", {"post": "yes"}).status_code == 302
    event, said = told("account.deleted")
    assert (event.actor, said["username"], said["is_superuser"]) == ("root", "eve", True)
    assert verify_chain().problem is None


def test_several_deleted_at_once_are_an_event_each(root: Client) -> None:
    keys = [make_person(name, default_team(), [Role.DEVELOPER]).pk for name in ("one", "two")]
    form = {"action": "delete_selected", "_selected_action": keys, "post": "yes"}
    assert root.post("/admin/auth/user/", form).status_code == 302
    assert Event.objects.filter(action="account.deleted").count() == 2
    assert told("account.deleted")[1]["roles"] == [{"team": "Default", "role": "developer"}]
    assert not Membership.objects.filter(user__in=keys).exists()


def test_accounts_made_and_passwords_set_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", "--noinput", username="ada", email="", stdout=io.StringIO())
    event, said = told("account.created")
    assert (event.role, event.actor_user_id) == ("command line", None)
    assert (said["username"], said["is_superuser"]) == ("ada", True)
    monkeypatch.setattr("getpass.getpass", lambda **_: f"{PASSWORD}?")
    call_command("changepassword", "ada", stdout=io.StringIO())
    assert told("account.changed")[1] == {"username": "ada", "password": "changed"}


def test_a_password_changed_by_its_owner_is_an_event_of_theirs(client: Client) -> None:
    eve = User.objects.create_user("eve", password=PASSWORD)
    client.force_login(eve)
    form = {"oldpassword": PASSWORD, "password1": f"{PASSWORD}!", "password2": f"{PASSWORD}!"}
    assert client.post("/password/", form).status_code == 302
    event, said = told("account.changed")
    assert (event.actor, event.actor_user_id, said["password"]) == ("eve", eve.pk, "changed")


def test_signing_in_is_no_change_of_the_account(client: Client) -> None:
    User.objects.create_user("eve", password=PASSWORD)
    before = Event.objects.count()
    assert client.post("/login/", {"login": "eve", "password": PASSWORD}).status_code == 302
    assert User.objects.get().last_login is not None
    assert Event.objects.count() == before


def test_groups_and_permissions_given_and_taken_from_either_side() -> None:
    eve, group = User.objects.create_user("eve"), Group.objects.create(name="clerks")
    view = Permission.objects.get(codename="view_audit")
    steps = (
        (lambda: eve.groups.add(group), "account.given", "clerks"),
        (lambda: group.user_set.remove(eve), "account.taken", "eve"),
        (lambda: eve.user_permissions.set([view]), "account.given", "view_audit"),
        (eve.user_permissions.clear, "account.taken", "every permission"),
        (lambda: group.permissions.add(view), "group.given", "view_audit"),
        (group.delete, "group.deleted", "clerks"),
    )
    for step, action, what in steps:
        before = Event.objects.count()
        step()
        event, said = told(action)
        assert event.seq == Event.objects.count() == before + 1
        assert what.rpartition("_")[2] in json.dumps(said).lower(), (action, said)


def test_what_is_rolled_back_leaves_neither_account_nor_event() -> None:
    before = Event.objects.count()
    with transaction.atomic():
        User.objects.create_user("eve")
        assert Event.objects.count() == before + 1
        transaction.set_rollback(True)
    assert (User.objects.count(), Event.objects.count()) == (0, before)


@pytest.mark.django_db(transaction=True)
def test_an_account_whose_event_cannot_be_written_is_not_made(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from compliance.accounts import records

    monkeypatch.setattr(records, "append_event", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        User.objects.create_user("eve")
    assert not User.objects.exists()
