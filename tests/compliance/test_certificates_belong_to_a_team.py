"""What one team shows to a server, no other may show: client certificates lie in the folder of their team."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import LazySettings
from django.test import Client

from auditor.exceptions import ModelError
from compliance import actions
from compliance.access.roles import Role
from compliance.governance.events import Actor
from compliance.models import SystemListing, SystemState, Team, default_team
from compliance.registry.system_tables import text_sha256
from compliance.registry.systems import listed_systems
from tests.compliance.teams import listing_text, make_person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(settings: LazySettings, tmp_path: Path) -> Path:
    settings.DATA_FOLDER, settings.CERTIFICATE_FOLDER = tmp_path / "data", tmp_path / "certificates"
    return tmp_path / "certificates"


def admin(name: str, team: Team) -> Actor:
    return Actor(name=name, role="site", user=make_person(name, team, [Role.ADMINISTRATOR]))


def propose(by: Actor, team: Team, **named: Path) -> SystemListing:
    text = listing_text("x", url="https://models.example/v1", **{key: str(path) for key, path in named.items()})
    return actions.propose_system(team=team, text=text, reason="To be audited.", actor=by)


def test_a_team_names_its_own_certificate_and_a_shared_authority(folder: Path) -> None:
    team = default_team()
    own = folder / f"team-{team.pk}"
    row = propose(
        admin("ann", team),
        team,
        authority_file=folder / "ca.pem",
        certificate_file=own / "client.pem",
        certificate_key_file=own / "client.key",
    )
    actions.approve_system(listing=row, reason="Read.", actor=admin("bob", team))
    assert row.state == SystemState.LISTED
    assert listed_systems("endpoint:x", team_id=team.pk).read_text() == row.text


@pytest.mark.parametrize("where", ["", "team-{other}/", "team-{own}/../team-{other}/", "team-{own}0/"])
@pytest.mark.parametrize("key", ["certificate_file", "certificate_key_file"])
def test_a_certificate_outside_the_folder_of_the_team_is_refused(folder: Path, where: str, key: str) -> None:
    team, other = default_team(), Team.objects.create(name="Elsewhere")
    path = folder / f"{where.format(own=team.pk, other=other.pk)}client.pem"
    own = folder / f"team-{team.pk}" / "client.pem"
    named = {"certificate_file": own, "certificate_key_file": own, key: path}
    with pytest.raises(ModelError, match=rf"endpoint\.x\.{key}: is not in the folder of the team; expected a path"):
        propose(admin("ann", team), team, **named)


def test_an_authority_of_another_team_is_refused(folder: Path) -> None:
    team, other = default_team(), Team.objects.create(name="Elsewhere")
    with pytest.raises(ModelError, match=r"endpoint\.x\.authority_file: is in the folder of another team"):
        propose(admin("ann", team), team, authority_file=folder / f"team-{other.pk}" / "ca.pem")


def test_a_link_into_the_folder_of_another_team_is_followed_and_refused(folder: Path) -> None:
    team, other = default_team(), Team.objects.create(name="Elsewhere")
    theirs, own = folder / f"team-{other.pk}", folder / f"team-{team.pk}"
    theirs.mkdir(parents=True)
    (theirs / "client.pem").write_text("theirs")
    own.mkdir()
    (own / "client.pem").symlink_to(theirs / "client.pem")
    with pytest.raises(ModelError, match="is not in the folder of the team"):
        propose(admin("ann", team), team, certificate_file=own / "client.pem")


def test_a_listing_from_before_is_asked_no_more_with_a_shared_certificate(folder: Path) -> None:
    team = default_team()
    ann, bob = admin("ann", team), admin("bob", team)
    text = listing_text("x", url="https://models.example/v1", certificate_file=str(folder / "client.pem"))
    SystemListing.objects.create(
        team=team, kind="endpoint", name="x", version=1, text=text, text_sha256=text_sha256(text), reason="x",
        state="listed", proposed_by="ann", proposed_by_user=ann.user, approved_by="bob", approved_by_user=bob.user,
    )  # fmt: skip
    with pytest.raises(ModelError, match="is not in the folder of the team"):
        listed_systems("endpoint:x", team_id=team.pk)


def test_the_form_says_so_beside_the_table(client: Client, folder: Path) -> None:
    team = default_team()
    client.force_login(make_person("ann", team, [Role.ADMINISTRATOR]))
    text = listing_text("x", url="https://models.example/v1", certificate_file=str(folder / "client.pem"))
    answer = client.post("/systems/propose/", {"team": team.pk, "text": text, "reason": "x"})
    assert answer.status_code == 400
    assert f"expected a path below team-{team.pk}/ there" in answer.content.decode()
