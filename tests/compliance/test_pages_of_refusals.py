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


def test_an_address_that_takes_no_such_request_says_so_in_a_page(client: Client) -> None:
    client.force_login(make_person("grace", default_team(), [Role.VALIDATOR]))
    for answer in (client.post("/plans/"), client.get("/people/invite/"), Client().get("/logout/")):
        page = answer.content.decode()
        assert (answer.status_code, "This address is not opened like this" in page) == (405, True)
        assert answer["Allow"] in ("GET, HEAD", "POST")
    assert client.post("/plans/", headers={"Accept": "application/json"}).content == b""


def test_what_an_action_refuses_is_a_page_with_its_line_and_no_fault_of_the_server(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compliance import actions
    from compliance.exceptions import StateError

    def refuse(**_: object) -> None:
        raise StateError("plan draft 7: is registered already; expected a copy of it")

    monkeypatch.setattr(actions, "begin_draft", refuse)
    client.force_login(make_person("grace", default_team(), [Role.COMPLIANCE_OFFICER]))
    answer = client.post("/plans/new/", {"team": default_team().pk, "origin": "ready:quick"})
    page = answer.content.decode()
    assert (answer.status_code, "plan draft 7: is registered already; expected a copy of it" in page) == (409, True)
    assert "Nothing was changed." in page


def test_too_many_attempts_and_too_large_a_form_have_pages(client: Client) -> None:
    client.force_login(make_person("grace", default_team(), [Role.VALIDATOR]))
    said = {"oldpassword": "wrong", "password1": "a new password 1", "password2": "a new password 1"}
    answers = [client.post("/password/", said) for _ in range(6)]
    assert (answers[-1].status_code, "Too many attempts" in answers[-1].content.decode()) == (429, True)
    large = client.post("/plans/new/", {"origin": "x" * (5 << 20)})
    assert (large.status_code, "Too large" in large.content.decode()) == (413, True)
