"""What one person left open in a browser is kept for nobody who logged in to it since; for themselves it is."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from compliance.access.roles import Role
from compliance.accounts.form_owner import is_of
from compliance.models import FindingRecord, KeptForm, default_team
from tests.compliance.governed import open_finding
from tests.compliance.teams import make_person

pytestmark = pytest.mark.django_db
FROM_HERE = {"HTTP_ORIGIN": "http://testserver", "HTTP_REFERER": "http://testserver/findings/F-0001/"}


def enter(client: Client, person: User) -> None:
    """As a login does: with another session, and another secret for the tokens of its forms."""
    client.force_login(person)
    client.cookies.pop("csrftoken", None)


def opened(client: Client, record: FindingRecord) -> str:
    """The token of a form on the page, as somebody has it before them."""
    page = client.get(record.get_absolute_url()).content.decode()
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def test_a_form_that_one_left_open_is_not_kept_for_the_next_and_nobody_sees_it() -> None:
    record = open_finding()
    ann, bob = (make_person(name, default_team(), [Role.MODEL_OWNER]) for name in ("ann", "bob"))
    client = Client(enforce_csrf_checks=True)
    enter(client, ann)
    token = opened(client, record)
    assert (is_of(token, ann.pk), is_of(token, bob.pk)) == (True, False)
    enter(client, bob)
    client.get("/")
    sent = {"csrfmiddlewaretoken": token, "response": "What Ann alone may know.", "revision": "1"}
    answer = client.post(f"{record.get_absolute_url()}answer/", sent, **FROM_HERE)
    assert answer.status_code == 403
    assert not KeptForm.objects.exists()
    assert "What Ann alone may know" not in answer.content.decode()
    assert "What Ann alone may know" not in client.get(record.get_absolute_url()).content.decode()


def test_a_form_of_an_earlier_login_of_the_same_account_is_kept_and_stands_there_again() -> None:
    record = open_finding()
    ann = make_person("ann", default_team(), [Role.MODEL_OWNER])
    client = Client(enforce_csrf_checks=True)
    enter(client, ann)
    token = opened(client, record)
    enter(client, ann)
    client.get("/")
    sent = {"csrfmiddlewaretoken": token, "response": "Written before.", "revision": "1"}
    answer = client.post(f"{record.get_absolute_url()}answer/", sent, **FROM_HERE)
    assert answer.status_code == 302
    assert KeptForm.objects.get().user == ann
    assert "Written before." in client.get(answer["Location"]).content.decode()


def test_a_login_by_the_form_begins_a_secret_of_the_account() -> None:
    ann = make_person("ann", default_team(), [Role.MODEL_OWNER])
    client = Client()
    client.post("/login/", {"login": "ann", "password": "a long password"})
    secret = client.cookies["csrftoken"].value
    mask = "a" * 32  # which is zero: the masked secret is the secret
    assert is_of(mask + secret, ann.pk)
    assert not is_of(mask + secret, ann.pk + 1)


@pytest.mark.parametrize("token", ["", "x", "a" * 64, "é" * 64, "a" * 63 + "!"])
def test_what_is_no_token_of_this_site_is_nobodys(token: str) -> None:
    assert not is_of(token, 1)


def test_the_token_of_a_login_is_still_a_token() -> None:
    record = open_finding()
    ann = make_person("ann", default_team(), [Role.MODEL_OWNER])
    client = Client(enforce_csrf_checks=True)
    enter(client, ann)
    sent = {"csrfmiddlewaretoken": opened(client, record), "response": "Seen.", "revision": "1"}
    assert client.post(f"{record.get_absolute_url()}answer/", sent, **FROM_HERE).status_code == 302
    record.refresh_from_db()
    assert record.response == "Seen."
