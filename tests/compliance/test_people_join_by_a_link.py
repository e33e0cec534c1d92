"""Nobody who administers people knows a password: people make their account, or a new password, by a link of theirs."""

from __future__ import annotations

import logging
import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils import timezone

from compliance import actions
from compliance.access.roles import Role
from compliance.actions.account_links import VALID_FOR
from compliance.exceptions import StateError
from compliance.governance.events import Actor, verify_chain
from compliance.models import AccountLink, Event, Membership, Team, default_team
from compliance.shown import LineFormatter
from tests.compliance.teams import make_person

FORM = {"username": "grace", "password": "correct horse battery", "again": "correct horse battery"}


@pytest.fixture
def administrator(db: None, client: Client) -> User:
    user = make_person("adam", default_team(), [Role.ADMINISTRATOR])
    client.force_login(user)
    return user


def invitation(client: Client, *, role: Role = Role.VALIDATOR) -> str:
    said = {"team": default_team().pk, "name": "Grace of model risk", "role": role}
    return link_in(client.post("/people/invite/", said).content.decode())


def link_in(page: str) -> str:
    found = re.search(r"/join/[\w-]+/", page)
    assert found is not None
    return found[0]


def held(name: str) -> set[str]:
    return set(Membership.objects.filter(user__username=name).values_list("role", flat=True))


def test_an_invitation_makes_an_account_with_its_role_and_is_shown_once(client: Client, administrator: User) -> None:
    link = invitation(client)
    assert link not in client.get("/people/").content.decode()
    stranger = Client()
    assert "adam invited Grace of model risk" in stranger.get(link).content.decode()
    assert stranger.post(link, FORM)["Location"] == "/"
    assert held("grace") == {Role.VALIDATOR}
    assert stranger.get("/plans/").status_code == 200
    assert [event.action for event in Event.objects.filter(actor="grace")] == ["account.joined"]
    assert Event.objects.get(action="team.member_added").actor == "adam"
    assert verify_chain().problem is None


def test_a_link_works_once(client: Client, administrator: User) -> None:
    link = invitation(client)
    Client().post(link, FORM)
    for answer in (Client().get(link), Client().post(link, {**FORM, "username": "eve"})):
        assert answer.status_code == 404
        assert "This link cannot be used" in answer.content.decode()
    assert not User.objects.filter(username="eve").exists()


def test_a_link_ends_after_three_days(client: Client, administrator: User) -> None:
    link = invitation(client)
    with time_machine.travel(timezone.now() + VALID_FOR + timedelta(seconds=1)):
        assert Client().get(link).status_code == 404


def test_a_link_that_is_withdrawn_leads_nowhere(client: Client, administrator: User) -> None:
    link = invitation(client)
    row = AccountLink.objects.get()
    assert client.post(f"/people/links/{row.pk}/withdraw/")["Location"] == "/people/"
    assert Client().get(link).status_code == 404
    with pytest.raises(StateError, match="is not open; expected a link that was neither used nor withdrawn"):
        actions.withdraw_account_link(link=row, actor=Actor(name="adam", role="site", user=administrator))


def test_the_name_that_is_taken_refuses_and_keeps_the_link(client: Client, administrator: User) -> None:
    link = invitation(client)
    answer = Client().post(link, {**FORM, "username": "ADAM"})
    assert (answer.status_code, "is taken, as" in answer.content.decode()) == (400, True)
    assert Client().post(link, FORM)["Location"] == "/"


def test_a_weak_password_is_refused(client: Client, administrator: User) -> None:
    answer = Client().post(invitation(client), {**FORM, "password": "grace", "again": "grace"})
    assert answer.status_code == 400
    assert not User.objects.filter(username="grace").exists()


def test_a_new_password_is_chosen_by_the_person_and_ends_their_sessions(client: Client, administrator: User) -> None:
    grace = make_person("grace", default_team(), [Role.VALIDATOR])
    working = Client()
    working.force_login(grace)
    answer = client.post(f"/people/{default_team().pk}/{grace.pk}/new-password/")
    link = link_in(answer.content.decode())
    assert working.get("/plans/").status_code == 200  # the old one holds until the link is used
    said = {"password": "another horse entirely", "again": "another horse entirely"}
    assert Client().post(link, said)["Location"] == "/"
    assert working.get("/plans/").status_code == 302
    grace.refresh_from_db()
    assert grace.check_password("another horse entirely")
    assert Event.objects.filter(action="account.link_made", actor="adam").exists()


def test_a_second_link_for_a_password_ends_the_first(client: Client, administrator: User) -> None:
    grace = make_person("grace", default_team(), [Role.VALIDATOR])
    where = f"/people/{default_team().pk}/{grace.pk}/new-password/"
    first, second = (link_in(client.post(where).content.decode()) for _ in range(2))
    assert Client().get(first).status_code == 404
    assert Client().get(second).status_code == 200


def test_nobody_makes_a_link_for_an_account_that_may_more_elsewhere(administrator: User) -> None:
    actor, team = Actor(name="adam", role="site", user=administrator), default_team()
    elsewhere = make_person("grace", team, [Role.VALIDATOR])
    Membership.objects.create(team=Team.objects.create(name="Elsewhere"), user=elsewhere, role=Role.APPROVER)
    root = make_person("root", team, [Role.VALIDATOR], is_superuser=True)
    for user in (elsewhere, root):
        with pytest.raises(PermissionDenied):
            actions.offer_new_password(team=team, user=user, actor=actor)
    with pytest.raises(StateError, match="is your own account"):
        actions.offer_new_password(team=team, user=administrator, actor=actor)
    assert not AccountLink.objects.exists()


@pytest.mark.parametrize("role", [role for role in Role if role not in (Role.ADMINISTRATOR, Role.EXAMINER)])
def test_whoever_administers_nobody_reads_who_is_there_and_changes_nothing(
    client: Client, db: None, role: Role
) -> None:
    team = default_team()
    client.force_login(make_person("ada", team, [role]))
    other = make_person("grace", team, [Role.VALIDATOR])
    page = client.get("/people/").content.decode()
    assert "grace" in page
    assert "Invite somebody" not in page
    where = f"/people/{team.pk}/{other.pk}/"
    for address, said in (
        ("/people/invite/", {"team": team.pk, "name": "x", "role": Role.VALIDATOR}),
        (f"{where}roles/", {"role": Role.APPROVER}),
        (f"{where}roles/{other.memberships.get().pk}/take/", {}),
        (f"{where}new-password/", {}),
    ):
        assert client.post(address, said).status_code == 403, address
    assert held("grace") == {Role.VALIDATOR}
    assert not AccountLink.objects.exists()


def test_roles_are_given_and_taken_on_the_page_of_a_person(client: Client, administrator: User) -> None:
    team, grace = default_team(), make_person("grace", default_team(), [Role.VALIDATOR])
    where = f"/people/{team.pk}/{grace.pk}/"
    assert client.post(f"{where}roles/", {"role": Role.APPROVER})["Location"] == where
    assert held("grace") == {Role.VALIDATOR, Role.APPROVER}
    refused = client.post(f"{where}roles/", {"role": Role.EXAMINER})
    assert refused.status_code == 409
    assert "expected one of the two" in refused.content.decode()
    for number in Membership.objects.filter(user=grace).values_list("pk", flat=True):
        client.post(f"{where}roles/{number}/take/")
    assert held("grace") == set()
    assert client.get(where).status_code == 404


def test_people_of_another_team_are_not_there(client: Client, administrator: User) -> None:
    team = Team.objects.create(name="Elsewhere")
    other = make_person("grace", team, [Role.VALIDATOR])
    assert "grace" not in client.get("/people/").content.decode()
    assert client.get(f"/people/{team.pk}/{other.pk}/").status_code == 404
    assert client.post("/people/invite/", {"team": team.pk, "name": "x", "role": Role.VALIDATOR}).status_code == 400


def test_nobody_gives_themselves_a_role(client: Client, administrator: User) -> None:
    where = f"/people/{default_team().pk}/{administrator.pk}/roles/"
    answer = client.post(where, {"role": Role.APPROVER})
    assert answer.status_code == 409
    assert "expected another administrator to give you a role" in answer.content.decode()
    assert held("adam") == {Role.ADMINISTRATOR}


def test_a_link_for_a_password_ends_when_its_account_may_more(client: Client, administrator: User) -> None:
    grace = make_person("grace", default_team(), [Role.VALIDATOR])
    where = f"/people/{default_team().pk}/{grace.pk}/new-password/"
    said = {"password": "another horse entirely", "again": "another horse entirely"}
    link = link_in(client.post(where).content.decode())
    Membership.objects.create(team=Team.objects.create(name="Elsewhere"), user=grace, role=Role.APPROVER)
    assert "expected a new one" in Client().post(link, said).content.decode()
    grace.memberships.filter(role=Role.APPROVER).delete()
    User.objects.filter(pk=grace.pk).update(is_superuser=True)
    assert Client().post(link, said).status_code == 400
    User.objects.filter(pk=grace.pk).update(is_superuser=False)
    grace.user_permissions.add(Permission.objects.get(codename="change_user"))
    assert Client().post(link, said).status_code == 400
    grace.user_permissions.clear()
    assert Client().post(link, said)["Location"] == "/"


def test_a_link_for_a_password_ends_when_the_person_chooses_another(client: Client, administrator: User) -> None:
    grace = make_person("grace", default_team(), [Role.VALIDATOR])
    link = link_in(client.post(f"/people/{default_team().pk}/{grace.pk}/new-password/").content.decode())
    grace.set_password("chosen by herself")
    grace.save()
    said = {"password": "another horse entirely", "again": "another horse entirely"}
    assert Client().post(link, said).status_code == 400
    grace.refresh_from_db()
    assert grace.check_password("chosen by herself")


@pytest.mark.parametrize("change", ["lost the role", "closed"])
def test_links_end_with_the_rights_of_who_made_them(client: Client, administrator: User, change: str) -> None:
    link = invitation(client, role=Role.ADMINISTRATOR)
    if change == "closed":
        User.objects.filter(pk=administrator.pk).update(is_active=False)
    else:
        administrator.memberships.all().delete()
    assert Client().post(link, FORM).status_code == 400
    assert not User.objects.filter(username="grace").exists()


def test_a_guest_gives_no_role_to_whoever_invited_them(client: Client, administrator: User) -> None:
    guest = Client()
    guest.post(invitation(client, role=Role.ADMINISTRATOR), FORM)
    where = f"/people/{default_team().pk}/{administrator.pk}/roles/"
    assert guest.post(where, {"role": Role.APPROVER}).status_code == 409
    second = Client()
    second.post(invitation(guest, role=Role.ADMINISTRATOR), {**FORM, "username": "second"})
    assert second.post(where, {"role": Role.APPROVER}).status_code == 409
    assert held("adam") == {Role.ADMINISTRATOR}


def test_no_log_holds_a_secret_that_still_works(client: Client, administrator: User) -> None:
    link = invitation(client)
    for path in (link, "/first-run/secret/"):
        record = logging.LogRecord("django.request", logging.WARNING, "", 0, "Bad Request: %s", (path,), None)
        line = LineFormatter("{message}", style="{").format(record)
        assert line == f"Bad Request: /{path.split('/')[1]}/…/"


def test_people_without_anybody_is_a_sentence_and_no_bare_heads(db: None, client: Client) -> None:
    client.force_login(User.objects.create_superuser("root", password="a long password"))
    page = client.get("/people/").content.decode()
    assert "Nobody has a role in your teams yet." in page
    assert "Last logged in" not in page
