"""One name, one account: a name that differs only in case or form is refused at every door, and old pairs are named."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from compliance import actions
from compliance.access.first_run import find_link, first_run_link
from compliance.exceptions import StateError

PASSWORD = "correct horse battery staple"
PAIRS = [("ada", "Ada"), ("ÄNNE", "änne"), ("straße", "STRASSE"), ("kelvin", "\u212aelvin"), ("ada", "\uff41da")]
LINE = "is taken, as 'ada'; expected one that differs by more than upper and lower case"


@pytest.fixture
def root(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("root"))
    User.objects.create_user("ada")
    return client


@pytest.mark.django_db
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_name_is_one_however_it_is_written(first: str, second: str) -> None:
    User.objects.create_user(first)
    for make in (User.objects.create_user, User.objects.create_superuser, lambda name: User(username=name).save()):
        with pytest.raises(ValidationError, match="is taken, as"):
            make(second)
    assert User.objects.count() == 1


def test_the_administration_says_so_and_makes_none(root: Client) -> None:
    made = {"username": "Ada", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    answer = root.post("/admin/auth/user/add/", made)
    assert answer.status_code == 200
    assert "A user with that username already exists." in answer.content.decode()
    assert User.objects.count() == 2


def test_the_administration_renames_nobody_to_it(root: Client) -> None:
    eve = User.objects.create_user("eve")
    page = f"/admin/auth/user/{eve.pk}/change/"
    form = {"username": "ADA", "is_active": "on", "date_joined_0": "2026-01-01", "date_joined_1": "00:00"}
    answer = root.post(page, form)
    assert answer.status_code == 200
    assert "user name &#x27;ADA&#x27;: is taken, as &#x27;ada&#x27;" in answer.content.decode()
    eve.refresh_from_db()
    assert eve.username == "eve"
    assert root.post(page, {**form, "username": "EVE"}).status_code == 302, "one may write one's own name otherwise"


def test_the_command_refuses_in_one_line(root: Client) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("createsuperuser", username="ADA", email="", interactive=False)
    assert str(refused.value) == f"user name 'ADA': {LINE}"


@pytest.mark.django_db
def test_the_first_run_link_refuses_it_too() -> None:
    User.objects.create_user("ada")
    address = first_run_link("http://127.0.0.1")
    assert address is not None
    link = find_link(address.rstrip("/").rpartition("/")[2])
    assert link is not None
    with pytest.raises(StateError, match="user name 'Ada': is taken, as 'ada'"):
        actions.become_first_administrator(link=link, username="Ada", password=PASSWORD)


@pytest.mark.django_db(transaction=True)
def test_two_made_at_once_are_one(database: str) -> None:
    together, refused = Barrier(2), []

    def make(name: str) -> None:
        together.wait()
        try:
            User.objects.create_user(name)
        except ValidationError as error:
            refused.append(error)
        connection.close()

    threads = [Thread(target=make, args=(name,)) for name in ("ada", "Ada")]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert (len(refused), User.objects.count()) == (1, 1)


@pytest.mark.django_db
def test_pairs_of_before_are_named_by_the_check_and_can_be_renamed() -> None:
    User.objects.bulk_create([User(username=name) for name in ("ada", "Ada", "eve", "ADA")])
    (found,) = run_checks(databases=["default"], tags=["database"])
    assert found.msg.startswith("accounts 'ada', 'Ada', 'ADA': differ only in upper and lower case")
    for name, other in (("Ada", "ada lovelace"), ("ADA", "ada king")):
        user = User.objects.get(username=name)
        user.first_name = "Ada"
        user.save()  # whoever has a name keeps it until somebody renames them
        user.username = other
        user.save()
    assert run_checks(databases=["default"], tags=["database"]) == []
