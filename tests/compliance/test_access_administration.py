"""What may be changed in the administration, and that it is an event each time."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.test import Client

from compliance import actions
from compliance.access.roles import Role
from compliance.exceptions import StateError
from compliance.governance.events import Actor
from compliance.models import (
    Event,
    LanguageModel,
    Membership,
    PolicyPackReview,
    PolicyPackVersion,
    Release,
    Team,
    default_team,
)
from tests.compliance.factories import ACTOR
from tests.compliance.teams import WORKING, make_person, make_team_audit
from tests.records import NO_FILES

NEXT_YEAR = date.today() + timedelta(days=300)


@pytest.fixture
def browser(client: Client, db: None) -> Client:
    client.force_login(make_person("ada", default_team(), WORKING, is_staff=True))
    return client


def model() -> LanguageModel:
    return actions.open_language_model(team=default_team(), description={"name": "U", "owner": "Eve"}, actor=ACTOR)


def actions_told() -> list[str]:
    """What was recorded, but for the accounts that these tests make."""
    rows = Event.objects.exclude(action__startswith="account.").order_by("seq")
    return list(rows.values_list("action", flat=True))


def test_a_language_model_is_described_anew_and_the_event_says_what_changed(browser: Client) -> None:
    row = model()
    page = f"/admin/compliance/languagemodel/{row.pk}/change/"
    form = {
        "name": "U", "owner": "Ada", "purpose": "Loans", "decision_role": "advisory", "risk_tier": "1",
        "access": "internals",
    }  # fmt: skip
    assert browser.post(page, form).status_code == 302
    row.refresh_from_db()
    assert (row.owner, row.risk_tier) == ("Ada", 1)
    event = Event.objects.filter(action="language_model.described")[0]
    assert '"owner":{"from":"Eve","to":"Ada"}' in event.payload.data_json
    history = browser.get(f"/admin/compliance/languagemodel/{row.pk}/history/").content.decode()
    assert "language_model.described" in history
    assert event.hash[:12] in history
    count = Event.objects.count()
    browser.post(page, form)
    assert Event.objects.count() == count


def test_a_model_is_retired_and_taken_into_use_again(browser: Client) -> None:
    # By somebody else than the browser's account: nobody approves what they registered.
    another = Actor(name="another", role="command line")
    row = actions.register_model(source="U", sha256="1" * 64, manifest=NO_FILES, actor=another).language_model
    page = "/admin/compliance/languagemodel/"
    for action, state in (("retire", "retired"), ("propose", "proposed")):
        browser.post(page, {"action": action, "_selected_action": [row.pk]})
        row.refresh_from_db()
        assert row.approval == state
    assert actions_told().count("language_model.decided") == 2
    answer = browser.post(page, {"action": "propose", "_selected_action": [row.pk]}, follow=True)
    assert "U: is in use; expected retired" in answer.content.decode()


def test_only_whoever_validates_may_retire(client: Client, db: None) -> None:
    row = model()
    client.force_login(make_person("officer", default_team(), [Role.COMPLIANCE_OFFICER], is_staff=True))
    client.post("/admin/compliance/languagemodel/", {"action": "retire", "_selected_action": [row.pk]})
    row.refresh_from_db()
    assert row.approval == "proposed"


def test_roles_are_given_and_taken(browser: Client) -> None:
    person = make_person("bob")
    form = {"team": default_team().pk, "user": person.pk, "role": "validator"}
    add = "/admin/compliance/membership/add/"
    assert browser.post(add, form).status_code == 302
    held = Membership.objects.get(user=person)
    answer = browser.post(add, {**form, "role": "examiner_readonly"})
    assert "Bob: works in Default, or examines it; expected one of the two" in answer.content.decode()
    assert browser.post(f"/admin/compliance/membership/{held.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Membership.objects.filter(user=person).exists()
    assert actions_told() == ["team.member_added", "team.member_removed"]


def test_roles_are_given_in_ones_own_teams_only(browser: Client) -> None:
    other, person = Team.objects.create(name="Elsewhere"), make_person("bob")
    answer = browser.post(
        "/admin/compliance/membership/add/", {"team": other.pk, "user": person.pk, "role": "validator"}
    )
    assert answer.status_code == 200
    assert "Select a valid choice" in answer.content.decode()
    assert not Membership.objects.filter(team=other).exists()


def test_audits_are_released_and_the_release_is_taken_back(browser: Client) -> None:
    audit = make_team_audit(default_team(), name="one")
    reader = make_person("reader", default_team(), [Role.EXAMINER])
    form = {
        "audit": audit.pk, "reader": reader.pk, "reason": "asked", "expires_at_0": NEXT_YEAR.isoformat(),
        "expires_at_1": "12:00",
    }  # fmt: skip
    assert browser.post("/admin/compliance/release/add/", form).status_code == 302
    release = Release.objects.get()
    assert (release.released_by, release.current) == ("ada", True)
    assert browser.post(f"/admin/compliance/release/{release.pk}/delete/", {"post": "yes"}).status_code == 302
    release.refresh_from_db()
    assert not release.current
    assert actions_told()[-2:] == ["audit.released", "audit.release_withdrawn"]


def test_whoever_administers_makes_and_names_teams(client: Client, db: None) -> None:
    client.force_login(User.objects.create_superuser("root"))
    client.post("/admin/compliance/team/add/", {"name": "Cards"})
    team = Team.objects.get(name="Cards")
    client.post(f"/admin/compliance/team/{team.pk}/change/", {"name": "Cards Europe"})
    team.refresh_from_db()
    assert team.name == "Cards Europe"
    assert actions_told() == ["team.named", "team.named"]
    assert client.post(f"/admin/compliance/team/{team.pk}/delete/", {"post": "yes"}).status_code == 403


def test_every_shipped_pack_is_entered_once(db: None) -> None:
    before = set(PolicyPackVersion.objects.values_list("sha256", flat=True))
    assert len(before) >= 18
    actions.load_shipped_packs()
    assert set(PolicyPackVersion.objects.values_list("sha256", flat=True)) == before


@pytest.mark.parametrize(
    "sql", ["UPDATE compliance_policypackversion SET version = 'x'", "DELETE FROM compliance_policypackversion"]
)
def test_a_pack_cannot_be_changed(db: None, sql: str) -> None:
    with pytest.raises(DatabaseError, match="evidence cannot be"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)


def test_a_pack_whose_review_is_overdue_says_so(browser: Client) -> None:
    pack = PolicyPackVersion.objects.all()[0]
    page = f"/admin/compliance/policypackversion/{pack.pk}/change/"
    assert "Stale:" not in browser.get(page).content.decode()
    answer = browser.post(
        f"/admin/compliance/policypackversion/{pack.pk}/review/", {"due": NEXT_YEAR.isoformat(), "note": "read it"}
    )
    assert answer.status_code == 302
    assert (PolicyPackReview.objects.get().reviewer, actions_told()) == ("ada", ["pack.reviewed"])
    with time_machine.travel(NEXT_YEAR + timedelta(days=1), tick=False):
        browser.force_login(User.objects.get(username="ada"))
        assert "Stale: the review was due" in browser.get(page).content.decode()
    with pytest.raises(StateError, match="is past; expected a date in the future"):
        actions.review_pack(pack=pack, due=date(2020, 1, 1), note="", actor=ACTOR)


def test_the_difference_between_two_versions_is_shown(browser: Client) -> None:
    pack = PolicyPackVersion.objects.get(pack_id="us-ecoa-regb")
    content = pack.content_json.replace('"version":"2026.11"', '"version":"2027.05"')
    assert content != pack.content_json
    newer = PolicyPackVersion.objects.create(
        pack_id=pack.pack_id, version="2027.05", name=pack.name, as_of=date(2027, 5, 1), content_json=content,
        sha256="f" * 64,
    )  # fmt: skip
    page = browser.get(f"/admin/compliance/policypackversion/{newer.pk}/diff/{pack.pk}/").content.decode()
    assert "-  &quot;version&quot;: &quot;2026.11&quot;" in page
    assert "+  &quot;version&quot;: &quot;2027.05&quot;" in page
    listed = browser.get(f"/admin/compliance/policypackversion/{newer.pk}/change/").content.decode()
    assert f"/admin/compliance/policypackversion/{newer.pk}/diff/{pack.pk}/" in listed


def test_versions_are_numbered_in_their_team_and_name(browser: Client) -> None:
    versions = [
        actions.register_model(
            source="demo:x", sha256=str(n) * 64, manifest=NO_FILES, actor=ACTOR, language_model=model()
        )
        for n in range(3)
    ]
    listed = browser.get("/admin/compliance/languagemodelversion/", {"q": "2222"}).context["cl"].queryset
    assert [(row.pk, row.number) for row in listed] == [(versions[2].pk, 3)]
