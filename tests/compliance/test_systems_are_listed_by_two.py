"""A system may be asked when one administrator proposed it and a second approved it; each step is an event."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from auditor.exceptions import ModelError
from auditor.systems.listing import read_listed
from compliance import actions
from compliance.access.roles import Role
from compliance.exceptions import StateError
from compliance.governance.events import Actor, verify_chain
from compliance.governance.told import decisions
from compliance.models import Event, SystemListing, SystemState, Team, default_team
from compliance.registry.registration import check_model_source
from compliance.registry.systems import listed_systems
from tests.compliance.factories import ACTOR
from tests.compliance.teams import listing_text, make_person

LOOK = Role.INTERNAL_AUDIT


def admin(name: str, team: Team | None = None, *roles: Role) -> Actor:
    user = make_person(name, team or default_team(), [Role.ADMINISTRATOR, *roles])
    return Actor(name=name, role="site", user=user)


def propose(by: Actor, text: str | None = None, team: Team | None = None) -> SystemListing:
    text = listing_text("underwriter") if text is None else text
    return actions.propose_system(team=team or default_team(), text=text, reason="To be audited.", actor=by)


def listed(by: Actor, second: Actor, text: str | None = None) -> SystemListing:
    row = propose(by, text)
    actions.approve_system(listing=row, reason="Read.", actor=second)
    return row


@pytest.mark.django_db
def test_a_second_administrator_lists_what_the_first_proposed() -> None:
    ann, bob = admin("ann"), admin("bob")
    row = propose(ann)
    assert (row.state, row.version, row.source) == (SystemState.PROPOSED, 1, "endpoint:underwriter")
    actions.approve_system(listing=row, reason="Address and prices read.", actor=bob)
    assert (row.state, row.approved_by) == (SystemState.LISTED, "bob")
    told = Event.objects.filter(object=row.event_object).order_by("seq")
    assert [(event.action, event.actor) for event in told] == [("system.proposed", "ann"), ("system.listed", "bob")]
    said = json.loads(told[1].payload.data_json)
    assert said == {
        "url": "http://127.0.0.1:9/v1", "networks": [], "text_sha256": row.text_sha256,
        "reason": "Address and prices read.",
    }  # fmt: skip
    assert verify_chain().problem is None


@pytest.mark.django_db
def test_nobody_approves_what_they_proposed_by_account_or_by_name() -> None:
    row = propose(admin("ann"))
    ann = Actor(name="ann", role="site", user=row.proposed_by_user)
    with pytest.raises(StateError, match="ann proposed it; expected a second administrator"):
        actions.approve_system(listing=row, reason="Read.", actor=ann)
    root = make_person("ANNE", is_superuser=True)
    with pytest.raises(StateError, match="Ann proposed it"):
        actions.approve_system(listing=row, reason="Read.", actor=Actor(name="Ann", role="site", user=root))
    with pytest.raises(IntegrityError), transaction.atomic():
        SystemListing.objects.filter(pk=row.pk).update(state="listed", approved_by_user=row.proposed_by_user_id)
    row.refresh_from_db()
    assert row.state == SystemState.PROPOSED


@pytest.mark.django_db
@pytest.mark.parametrize("role", [role for role in Role if role != Role.ADMINISTRATOR])
def test_whoever_is_no_administrator_reads_and_lists_nothing(role: Role) -> None:
    row = propose(admin("ann"))
    other = Actor(name="o", role="site", user=make_person("o", default_team(), [role]))
    for act in (
        lambda: propose(other, listing_text("mine")),
        lambda: actions.approve_system(listing=row, reason="x", actor=other),
        lambda: actions.withdraw_system(listing=row, reason="x", actor=other),
    ):
        with pytest.raises(PermissionDenied):
            act()
    with pytest.raises(PermissionDenied, match="with an account"):
        propose(ACTOR, listing_text("mine"))


@pytest.mark.django_db
def test_an_administrator_of_another_team_neither_sees_nor_decides(client: Client) -> None:
    row = propose(admin("ann"))
    other = Team.objects.create(name="Elsewhere")
    stranger = admin("stranger", other)
    with pytest.raises(PermissionDenied):
        actions.approve_system(listing=row, reason="x", actor=stranger)
    with pytest.raises(StateError, match="endpoint:underwriter: another team's system is called so"):
        propose(stranger, team=other)
    client.force_login(stranger.user)
    assert client.get(f"/systems/{row.pk}/").status_code == 404
    assert client.post(f"/systems/{row.pk}/approve/", {"reason": "x"}).status_code == 404
    assert list(client.get("/systems/").context["listed"]) == []


@pytest.mark.django_db
def test_another_version_takes_the_place_of_the_one_before() -> None:
    ann, bob = admin("ann"), admin("bob")
    first = listed(ann, bob)
    with pytest.raises(StateError, match="is listed with this table already"):
        propose(ann)
    second = propose(bob, listing_text("underwriter", most_requests=5))
    with pytest.raises(StateError, match="version 2: is proposed already"):
        propose(ann, listing_text("underwriter", most_requests=6))
    assert first.state == SystemState.LISTED  # until somebody approves the second
    actions.approve_system(listing=second, reason="Cap read.", actor=ann)
    first.refresh_from_db()
    assert (first.state, first.withdrawal_reason) == (SystemState.WITHDRAWN, "version 2 took its place")
    assert second.version == 2
    with pytest.raises(StateError, match="version 1: is withdrawn; expected proposed or listed"):
        actions.withdraw_system(listing=first, reason="x", actor=ann)
    with pytest.raises(StateError, match="version 1: is withdrawn; expected proposed"):
        actions.approve_system(listing=first, reason="x", actor=bob)


@pytest.mark.django_db
def test_the_engine_reads_what_is_listed_and_nothing_else(settings: Any, tmp_path: Any) -> None:
    settings.DATA_FOLDER = tmp_path
    ann, bob = admin("ann"), admin("bob")
    row = listed(ann, bob, listing_text("underwriter", most_requests=7))
    propose(ann, listing_text("waiting"))
    table = read_listed(listed_systems("endpoint:underwriter", team_id=row.team_id), "underwriter")
    assert (table.url, table.most_requests) == ("http://127.0.0.1:9/v1", 7)
    with pytest.raises(ModelError, match="'endpoint:waiting': is not listed"):
        read_listed(listed_systems("endpoint:waiting", team_id=row.team_id), "waiting")
    assert check_model_source(" endpoint:underwriter ", team_id=row.team_id) == "endpoint:underwriter"
    actions.withdraw_system(listing=row, reason="The contract ended.", actor=ann)
    with pytest.raises(ModelError, match="is not listed; expected a system of this team"):
        read_listed(listed_systems("endpoint:underwriter", team_id=row.team_id), "underwriter")
    for team in (row.team_id, None):
        with pytest.raises(ModelError, match="'endpoint:underwriter': is not listed; expected a system of this team"):
            check_model_source("endpoint:underwriter", team_id=team)


@pytest.mark.django_db
def test_what_was_proposed_stays_as_it_is_in_the_database_too() -> None:
    row = propose(admin("ann"))
    for change in ({"text": "x"}, {"proposed_by": "x"}, {"name": "x"}):
        with pytest.raises(DatabaseError), transaction.atomic():
            SystemListing.objects.filter(pk=row.pk).update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        SystemListing.objects.filter(pk=row.pk).delete()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x = ", "table: is not valid TOML (Invalid value (at end of document)); expected one table, [endpoint.NAME]"),
        ("", "table: holds nothing at its top; expected one table"),
        (listing_text("a") + listing_text("b"), "table: holds 'a', 'b' below endpoint; expected one table"),
        ("[model.x]\n", "table: holds 'model' at its top; expected one table"),
        (listing_text('"a b"'), "table: the name 'a b' cannot be used; expected letters"),
        (listing_text("x", dialect="smalltalk"), "endpoint.x.dialect: expected one of anthropic_messages"),
        (listing_text("x", speed=1), "endpoint.x.speed: Extra inputs are not permitted"),
        (
            listing_text("x", url="http://models.example/v1"),
            "endpoint.x.url: http://models.example is not encrypt",
        ),
        (listing_text("x", url="https://10.1.2.3/v1"), "endpoint.x.url: 10.1.2.3 is 10.1.2.3, in a range that is not"),
        (
            listing_text("x", url="https://169.254.169.254/", networks=["169.254.0.0/16"]),
            "endpoint.x.url: 169.254.169.254 is 169.254.169.254, where a cloud hands out credentials",
        ),
        (listing_text("x", url="https://u:p@models.example/"), "endpoint.x.url: carries a user, password"),
        (listing_text("x", networks=["ten"]), "endpoint.x.url: networks: 'ten' does not appear to be"),
        (listing_text("x", key_file="/etc/passwd"), "endpoint.x.key_file: names a file; expected none: the key is set"),
        (listing_text("x", authority_file="/etc/passwd"), "endpoint.x.authority_file: is outside its folder"),
        (listing_text("x") + 'headers = {X-Api-Key = "abc"}', "endpoint.x.headers: expected no keys here; 'X-Api-Key'"),
        (listing_text("x") + 'extra = {api_key = "abc"}', "endpoint.x.extra: expected no keys here"),
        (
            listing_text("x") + '[endpoint.x.oauth]\ntoken_url = "http://id.example/t"\nclient_id = "c"',
            "endpoint.x.oauth.token_url: http://id.example is not encrypted",
        ),
        (
            '[service.s]\nurl = "https://s.example"\n[[service.s.steps]]\nbody = {income = "{income}"}\n'
            '[service.s.read]\nchoice = "$.d"\nfavourable = ["Y"]\nadverse = ["N"]\n',
            "service.s.example: lacks 'income'; expected a made-up application, which the probe hands in",
        ),
        (
            '[service.s]\nurl = "https://s.example"\n[[service.s.steps]]\nbody = {password = "hunter22"}\n'
            '[service.s.read]\nchoice = "$.d"\nfavourable = ["Y"]\nadverse = ["N"]\n',
            "service.s: password: looks like a key; expected none here",
        ),
    ],
)
def test_a_table_that_is_not_as_it_should_be_is_refused_in_one_line(client: Client, text: str, line: str) -> None:
    ann = admin("ann")
    with pytest.raises(ModelError) as refused:
        propose(ann, text)
    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)
    assert "hunter22" not in str(refused.value)
    client.force_login(ann.user)
    if not text:
        return  # the form says itself that a box is empty
    answer = client.post("/systems/propose/", {"team": default_team().pk, "text": text, "reason": "x"})
    assert answer.status_code == 400
    assert line in html.unescape(answer.content.decode())
    assert not SystemListing.objects.exists()


@pytest.mark.django_db
def test_a_token_that_a_step_takes_is_no_key() -> None:
    row = propose(
        admin("ann"),
        '[service.s]\nurl = "https://s.example"\n[[service.s.steps]]\npath = "/t"\ntake = {token = "$.token"}\n'
        '[[service.s.steps]]\nbody = {token = "{token}"}\n'
        '[service.s.read]\nchoice = "$.d"\nfavourable = ["Y"]\nadverse = ["N"]\n',
    )
    assert row.source == "service:s"


@pytest.mark.django_db
def test_on_the_pages_two_people_list_a_system_with_its_prices(client: Client) -> None:
    ann, bob = admin("ann"), admin("bob")
    client.force_login(ann.user)
    assert "[endpoint.NAME]" in client.get("/systems/propose/").content.decode()
    assert "[service.NAME]" in client.get("/systems/propose/?kind=service").content.decode()
    sent = {"team": default_team().pk, "text": listing_text("underwriter"), "reason": "To be audited."}
    assert client.post("/systems/propose/", {**sent, "prompt": "0.6"}).status_code == 400
    prices = {"currency": "USD", "prompt": "0.6", "answer": "2.4", "request": "0.001"}
    answer = client.post("/systems/propose/", {**sent, **prices})
    page = answer["Location"]
    row = SystemListing.objects.get()
    shown = client.get(page).content.decode()
    assert "You proposed this system" in shown
    assert "Approve the system" not in shown
    assert client.post(f"{page}approve/", {"reason": "read"}).status_code == 409
    assert client.post("/systems/propose/", {**sent, **prices, "text": row.text}).status_code == 400  # prices twice
    client.force_login(bob.user)
    shown = client.get(page).content.decode()
    for words in ("USD 0.6", "USD 2.4", "USD 0.001", "http://127.0.0.1:9/v1", "chat_completions", "Approve the system"):
        assert words in shown
    assert client.post(f"{page}approve/", {"reason": "Prices read."})["Location"] == page
    shown = client.get(page).content.decode()
    assert "system listed" in shown
    assert "Prices read." in shown
    client.force_login(make_person("reader", default_team(), [LOOK]))
    shown = client.get(page).content.decode()
    assert "<textarea" not in shown
    assert client.post(f"{page}withdraw/", {"reason": "x"}).status_code == 403
    assert client.get("/systems/propose/").status_code == 403
    client.force_login(ann.user)
    assert row.text in html.unescape(client.get(f"/systems/propose/?from={row.pk}").content.decode())
    assert client.post(f"{page}withdraw/", {"reason": ""}).status_code == 400
    assert client.post(f"{page}withdraw/", {"reason": "The contract ended."})["Location"] == page
    assert "The contract ended." in client.get(page).content.decode()


@pytest.mark.django_db
def test_a_form_registers_listed_systems_of_its_own_team_alone(client: Client, settings: Any, tmp_path: Any) -> None:
    settings.DATA_FOLDER = tmp_path
    ann, bob = admin("ann", None, Role.MODEL_OWNER), admin("bob")
    listed(ann, bob)
    elsewhere = Team.objects.create(name="Elsewhere")
    ann.user.memberships.create(team=elsewhere, role=Role.MODEL_OWNER)
    client.force_login(ann.user)
    assert "endpoint:underwriter" in client.get("/register/model/?source=endpoint:underwriter").content.decode()
    sent = {
        "name": "Underwriter", "owner": "Ann", "purpose": "Mortgages", "decision_role": "advisory", "risk_tier": "1",
        "access": "outputs", "source": "endpoint:underwriter",
    }  # fmt: skip
    refused = client.post("/register/model/", {**sent, "team": elsewhere.pk})
    assert refused.status_code == 400
    assert "is not listed; expected a system of this team" in html.unescape(refused.content.decode())
    assert client.post("/register/model/", {**sent, "team": default_team().pk}).status_code == 302


@pytest.mark.django_db
def test_the_event_log_shows_a_listing_that_was_changed_past_the_site() -> None:
    ann, bob = admin("ann"), admin("bob")
    first, second = listed(ann, bob), propose(ann, listing_text("other"))
    assert list(decisions()) == []
    SystemListing.objects.filter(pk=second.pk).update(state="listed", approved_by="bob", approved_by_user=bob.user)
    SystemListing.objects.filter(pk=first.pk).update(approved_by="carl")
    told = list(decisions())
    assert len(told) == 2
    assert told[0].startswith("system endpoint:other, version 1: is listed, event ")
    assert told[1].startswith("system endpoint:underwriter, version 1: by carl")


@pytest.mark.parametrize("name", ["systems", "system"])
def test_query_counts_are_pinned(client: Client, db: None, name: str) -> None:
    ann, bob = admin("ann"), admin("bob")
    row = listed(ann, bob)
    for number in range(3):
        propose(ann, listing_text(f"other{number}"))
    client.force_login(bob.user)
    address = "/systems/" if name == "systems" else f"/systems/{row.pk}/"
    assert client.get(address).status_code == 200
    with CaptureQueriesContext(connection) as captured:
        client.get(address)
    pinned = json.loads((Path(__file__).parents[1] / "query_counts.json").read_text())
    assert len(captured) == pinned[name], [query["sql"][:90] for query in captured]


@pytest.mark.django_db
def test_the_list_has_one_row_a_system_with_its_current_version(client: Client) -> None:
    ann, bob = admin("ann"), admin("bob")
    first = listed(ann, bob)
    client.force_login(bob.user)

    def rows() -> list[tuple[int, str]]:
        return [(row.pk, row.state) for row in client.get("/systems/").context["listed"]]

    assert rows() == [(first.pk, "listed")]
    second = propose(ann, listing_text("underwriter", most_requests=5))
    assert rows() == [(first.pk, "listed")]
    assert "Listed; another version is proposed" in client.get("/systems/").content.decode()
    actions.approve_system(listing=second, reason="Cap read.", actor=bob)
    assert rows() == [(second.pk, "listed")]
    assert f'href="/systems/{first.pk}/"' in client.get(f"/systems/{second.pk}/").content.decode()
    actions.withdraw_system(listing=second, reason="Moved.", actor=ann)
    assert rows() == [(second.pk, "withdrawn")]
