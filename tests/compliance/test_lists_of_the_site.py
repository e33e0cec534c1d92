"""Every list of the site is made of one component: searched, narrowed, ordered, paged, with columns to choose."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

import compliance
from compliance import actions
from compliance.access.roles import Role
from compliance.dashboard import event_views
from compliance.dashboard.list_pages import LISTS
from compliance.models import (
    Approval,
    DataSetVersion,
    Event,
    LanguageModel,
    PolicyPackVersion,
    Team,
    Worker,
    default_team,
)
from compliance.models.approvals import approval_words
from reports.lint import forbidden_phrases
from tests.compliance.factories import ACTOR, make_audit
from tests.compliance.teams import WORKING, make_person, make_team_audit, rows_of
from tests.compliance.test_officers_site import COUNTS, text_of
from tests.compliance.test_tables_are_taken_away import rows_in
from tests.records import NO_FILES
from tests.reports.conftest import PACKS

ADDRESSES = {
    "audits": "/audits/", "data_sets": "/data/", "events": "/events/", "findings": "/findings/", "models": "/models/",
    "packs": "/packs/", "plans": "/plans/", "registrations": "/register/", "releases": "/releases/",
    "systems": "/systems/", "workers": "/workers/",
}  # fmt: skip
PINNED = {
    "data sets": "/data/", "data set": "/data/{datasetversion.pk}/", "packs": "/packs/",
    "pack": "/packs/{policypackversion.pk}/", "releases": "/releases/", "workers": "/workers/", "events": "/events/",
    "register": "/register/", "run an audit": "/audits/request/",
}  # fmt: skip
FILES = {"evidence.zip"}
Rows = dict[str, Any]


@pytest.fixture
def rows(db: None) -> Rows:
    return rows_of(default_team(), name="own")


@pytest.fixture
def desk(client: Client, rows: Rows) -> Client:
    client.force_login(make_person("desk", default_team(), WORKING))
    return client


def shown(client: Client, address: str) -> list[str]:
    """The first cell of every row of the last table of a page, in words."""
    page = client.get(address).content.decode()
    body = page.rpartition("<tbody>")[2].partition("</tbody>")[0]
    return [text_of(cell.encode()) for cell in re.findall(r'<th scope="row"[^>]*>(.*?)</th>', body, flags=re.DOTALL)]


def test_every_list_of_which_a_view_can_be_kept_has_an_address_here() -> None:
    assert set(ADDRESSES) | {"cases"} == LISTS


@pytest.mark.parametrize("name", ADDRESSES)
def test_every_order_every_column_and_every_choice_of_a_list_can_be_asked_for(desk: Client, name: str) -> None:
    at = ADDRESSES[name]
    found = desk.get(at).context["list"]
    for sort in found.listing.sorts:
        assert desk.get(at, {"sort": sort.name}).context["list"].sort.name == sort.name
    for item, _ in found.filters:
        for value, _ in item.offered:
            assert desk.get(at, {item.name: value}).status_code == 200, (item.name, value)
    columns = [column.name for column in found.table.columns]
    page = desk.get(at, {"column": columns})
    assert [column.name for column in page.context["list"].table.shown] == columns
    assert "not-a-column" in html.unescape(desk.get(at, {"column": "not-a-column"}).content.decode())
    assert desk.get(at, {"column": "not-a-column"}).status_code == 404
    if found.searched:
        assert 'type="search"' in page.content.decode()
        assert not desk.get(at, {"q": "nothing of the kind"}).context["lines"]


@pytest.mark.parametrize("name", ADDRESSES)
def test_the_file_of_a_list_has_the_rows_of_its_choice(desk: Client, name: str) -> None:
    at = ADDRESSES[name]
    found = desk.get(at).context["list"]
    joined = f"{at}?table={found.table.name}&as=json"
    assert len(rows_in(desk, joined)) == found.page.paginator.count > 0
    assert rows_in(desk, f"{joined}&q=nothing+of+the+kind") == []


def test_a_column_that_files_alone_have_is_shown_when_it_is_chosen(desk: Client, rows: Rows) -> None:
    usual = text_of(desk.get("/data/").content)
    assert "Fingerprint" in usual  # as a choice
    assert rows["datasetversion"].fingerprint not in usual
    chosen = desk.get("/data/", {"column": ["fingerprint", "rows"]}).content.decode()
    assert rows["datasetversion"].fingerprint in chosen
    assert re.findall(r'<th scope="col"[^>]*>.*?</th>', chosen)[1].count("Rows") == 1
    assert "column=rows&amp;column=fingerprint" in chosen, "pages and orders keep the choice"


def test_the_head_of_a_column_leads_to_its_orders_one_after_the_other(desk: Client) -> None:
    make_audit(name="second")

    def head(page: str) -> tuple[str, str]:
        found = re.search(r'<th scope="col"([^>]*)><a href="([^"]*)">Audit</a>', page)
        assert found is not None
        return found[1].strip(), html.unescape(found[2])

    first = desk.get("/audits/").content.decode()
    assert head(first) == ('aria-sort="descending"', "?sort=oldest")
    second = desk.get("/audits/?sort=oldest").content.decode()
    assert head(second) == ('aria-sort="ascending"', "?")
    assert shown(desk, "/audits/") == list(reversed(shown(desk, "/audits/?sort=oldest")))


def test_a_page_is_jumped_to_with_the_choice_in_force(signed_in: Client) -> None:
    for number in range(28):
        make_audit(name=f"audit {number}")
    page = signed_in.get("/audits/?state=under-way&sort=oldest").content.decode()
    form = page.partition('<form class="jump"')[2].partition("</form>")[0]
    sent = dict(re.findall(r'type="hidden"\s+name="([^"]+)"\s+value="([^"]*)"', form))
    assert sent == {"state": "under-way", "sort": "oldest"}
    assert shown(signed_in, "/audits/?state=under-way&sort=oldest&page=2")[0].startswith("A-0026")


def test_models_without_an_audit_are_listed_and_have_a_page(desk: Client, rows: Rows) -> None:
    actions.open_language_model(team=default_team(), description={"name": "Nothing yet"}, actor=ACTOR)
    version = actions.register_model(source="demo:unaudited", sha256="a" * 64, manifest=NO_FILES, actor=ACTOR)
    names = shown(desk, "/models/")
    assert names[-2:] == ["Nothing yet no version yet", "demo:unaudited"]
    assert shown(desk, "/models/?audited=no&q=unaudited") == ["demo:unaudited"]
    page = desk.get(f"/models/{version.pk}/")
    assert page.status_code == 200
    assert "No governed audit yet." in text_of(page.content)
    assert "model version registered" in text_of(page.content)


def test_the_list_says_which_models_are_retired_and_which_versions_are_approved(desk: Client, rows: Rows) -> None:
    model = rows["languagemodel"]
    assert model.name in shown(desk, "/models/?use=in_use")
    assert model.name not in shown(desk, "/models/?use=retired")
    said = {line["model"].pk: line["approved"] for line in desk.get("/models/").context["lines"]}
    assert said[model.pk] == approval_words(model)
    LanguageModel.objects.filter(pk=model.pk).update(approval=Approval.RETIRED)
    assert shown(desk, "/models/?use=retired") == [model.name]


def test_the_page_of_a_data_set_says_what_it_is_what_uses_it_and_what_happened(desk: Client, rows: Rows) -> None:
    data: DataSetVersion = rows["datasetversion"]
    page = desk.get(f"/data/{data.pk}/")
    text = text_of(page.content)
    assert f"{data.rows} " in text
    for name in ("mapping", "designs", "audits", "events"):
        assert rows_in(desk, f"/data/{data.pk}/?table={name}&as=json"), name
    listed = desk.get(f"/audits/?data={data.pk}").context["lines"]
    assert [line["audit"] for line in listed] == [line["audit"] for line in page.context["lines"]] != []
    assert "data set registered" in text
    assert f'href="/plans/from/{data.pk}/"' in page.content.decode()


def test_another_teams_data_set_is_no_choice_of_the_audits(desk: Client) -> None:
    elsewhere = make_team_audit(Team.objects.create(name="Elsewhere"), name="foreign")
    answer = desk.get("/audits/", {"data": elsewhere.data_id})
    assert answer.status_code == 404
    assert f"data: '{elsewhere.data_id}' is unknown" in html.unescape(answer.content.decode())


def test_the_page_of_a_pack_says_what_it_asks_for_and_takes_a_review(desk: Client, rows: Rows) -> None:
    pack = PolicyPackVersion.objects.get(pack_id="us-ecoa-regb")
    text = text_of(desk.get(f"/packs/{pack.pk}/").content)
    for words in ("12 CFR 1002.4(a)", "this platform's default; no law sets it", "at most, in either direction, 0.02"):
        assert words in text
    for name in ("clauses", "thresholds", "attributes"):
        assert rows_in(desk, f"/packs/{pack.pk}/?table={name}&as=json"), name
    late = desk.post(f"/packs/{pack.pk}/review/", {"due": "2020-01-01", "note": "Read it all."})
    assert late.status_code == 409
    assert "Read it all." in late.content.decode(), "what was written is kept"
    done = desk.post(f"/packs/{pack.pk}/review/", {"due": "2099-01-01", "note": "Read it all."}, follow=True)
    assert "The review is recorded under your name." in text_of(done.content)
    assert rows_in(desk, f"/packs/{pack.pk}/?table=reviews&as=json")[0]["note"] == "Read it all."
    assert pack.reviews.get().reviewer == "desk"


def test_workers_are_told_apart_by_their_last_heartbeat(desk: Client) -> None:
    gone = Worker.objects.create(key="9" * 32, host="away", queues=["audits"], seen_at="2020-01-01T00:00:00Z")
    assert [line.host for line in desk.get("/workers/?stands=gone").context["lines"]] == [gone.host]
    assert "away" not in " ".join(shown(desk, "/workers/?stands=there"))
    make_audit()
    text = text_of(desk.get("/workers/").content)
    assert "Queues" in text


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        ({"actor": "lister own"}, lambda event: event.actor == "lister own"),
        ({"object": "A-0001"}, lambda event: event.object == "A-0001"),
        ({"kind": "plan.decided"}, lambda event: event.action == "plan.decided"),
        ({"until": "2001-01-01"}, lambda event: event.ts < "2001-01-02"),
        ({"from": "2001-01-01", "object": "A-0001"}, lambda event: event.object == "A-0001"),
    ],
)
def test_events_are_searched_by_person_object_kind_and_day(
    desk: Client, asked: dict[str, str], holds: Callable[[Event], bool]
) -> None:
    found = rows_in(desk, "/events/?" + "&".join(f"{k}={v}" for k, v in asked.items()) + "&as=json")
    expected = [event.seq for event in Event.objects.filter(team=default_team()) if holds(event)]
    assert [row["seq"] for row in found] == expected


def test_a_day_that_is_none_is_refused_in_one_line(desk: Client) -> None:
    answer = desk.get("/events/?from=yesterday")
    assert answer.status_code == 404
    assert "from: 'yesterday' is not a day; expected one such as 2026-11-30" in html.unescape(answer.content.decode())


def test_events_of_another_team_are_in_nobodys_log(desk: Client) -> None:
    foreign = rows_of(Team.objects.create(name="Elsewhere"), name="foreign")
    assert rows_in(desk, f"/events/?object={foreign['audit'].number}&as=json") == []


def test_every_kind_of_event_has_words(desk: Client) -> None:
    known = {kind for kind, _ in event_views.KINDS}
    assert set(Event.objects.values_list("action", flat=True)) <= known
    families = "|".join(sorted({kind.partition(".")[0] for kind in known}))
    written = re.compile(rf'"((?:{families})\.[a-z]+(?:_[a-z]+)*)"')
    code = [path.read_text(encoding="utf-8") for path in Path(compliance.__file__).parent.rglob("*.py")]
    assert {kind for text in code for kind in written.findall(text)} - known <= FILES
    assert all(":" in words and "{" not in words for _, words in event_views.KINDS)


@pytest.mark.parametrize("name", PINNED)
def test_pages_cost_so_many_queries_and_say_no_forbidden_word(desk: Client, rows: Rows, name: str) -> None:
    at = PINNED[name].format(**rows)
    desk.get(at)
    with CaptureQueriesContext(connection) as queries:
        answer = desk.get(at)
    assert answer.status_code == 200
    assert not [str(hit) for hit in forbidden_phrases(text_of(answer.content), PACKS)]
    assert {name: len(queries)} == {name: json.loads(COUNTS.read_text(encoding="utf-8"))[name]}


@pytest.mark.parametrize("name", ADDRESSES)
def test_more_rows_cost_no_more_queries(desk: Client, name: str) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert desk.get(ADDRESSES[name]).status_code == 200
        return len(queries)

    desk_person = User.objects.get(username="desk")
    few = [asked(), asked()][-1]
    count = desk.get(ADDRESSES[name]).context["listed"].paginator.count
    for number in range(2):
        team = Team.objects.create(name=f"team {number}")
        rows_of(team, name=f"more-{number}")
        desk_person.memberships.create(team=team, role=Role.INTERNAL_AUDIT)
        make_team_audit(default_team(), name=f"again {number}")
        Worker.objects.create(key=f"{5 + number}" * 32, host="x", queues=[], seen_at="2020-01-01T00:00:00Z")
    assert asked() == few
    more = desk.get(ADDRESSES[name]).context["listed"].paginator.count
    assert more > count or name == "packs"  # which all teams share
