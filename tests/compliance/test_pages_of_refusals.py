"""Who is refused reads why, who could help, and that nothing was changed."""

from __future__ import annotations

import pytest
from django.core.exceptions import SuspiciousOperation
from django.test import Client, RequestFactory
from django.views.defaults import bad_request, server_error

from compliance.access.roles import PERMISSIONS, Role
from compliance.accounts.refusals import permission_words
from compliance.models import Membership, Team, default_team
from tests.compliance.teams import make_person

pytestmark = pytest.mark.django_db


def refused(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 403
    return " ".join(answer.content.decode().split())


def test_the_page_names_the_permission_the_roles_that_have_it_and_who_gives_them(client: Client) -> None:
    team = default_team()
    make_person("adam", team, [Role.ADMINISTRATOR])
    client.force_login(make_person("grace", team, [Role.VALIDATOR]))
    page = refused(client, "/plans/new/")
    assert "Your account has no permission to add plans." in page
    assert "Who has it: Compliance officer." in page
    assert "Roles are given by adam." in page
    assert "Nothing was changed." in page


def test_people_of_another_team_are_not_named(client: Client) -> None:
    make_person("mallory", Team.objects.create(name="Elsewhere"), [Role.ADMINISTRATOR])
    client.force_login(make_person("grace", default_team(), [Role.VALIDATOR]))
    page = refused(client, "/plans/new/")
    assert "mallory" not in page
    assert "Whoever administers the installation gives roles." in page


def test_somebody_without_a_team_is_told_what_is_missing(client: Client) -> None:
    client.force_login(make_person("grace"))
    assert not Membership.objects.exists()
    assert "no permission to look at audits" in refused(client, "/audits/")


def test_every_permission_of_a_role_has_words() -> None:
    for permission in frozenset().union(*PERMISSIONS.values()):
        words = permission_words(permission)
        assert "_" not in words
        assert words.split()[-1].endswith("s"), words


def test_a_form_without_its_token_says_that_nothing_was_changed() -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_person("grace", default_team(), [Role.VALIDATOR]))
    answer = strict.post("/password/", {"oldpassword": "x"})
    assert answer.status_code == 403
    assert "This form is out of date" in answer.content.decode()


def test_what_cannot_be_read_and_what_went_wrong_have_pages_of_the_site() -> None:
    request = RequestFactory().get("/")
    for answer, code, words in (
        (bad_request(request, SuspiciousOperation("x")), 400, "This cannot be read"),
        (server_error(request), 500, "Something went wrong"),
    ):
        page = answer.content.decode()
        assert (answer.status_code, words in page, "look.css" in page) == (code, True, True)
