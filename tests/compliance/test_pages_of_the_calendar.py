"""Pages of schedules and approvals: pinned queries however many rows, filters, refusals that keep what was typed."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from compliance import actions
from compliance.models import AuditSchedule, ScheduleState, default_team
from tests.compliance.calendars import counted, officer, scheduled, validator
from tests.compliance.governed import actor_of, approved_plan
from tests.compliance.test_officers_site import COUNTS, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _folder(settings: Any, tmp_path: Path) -> None:
    settings.DATA_FOLDER = tmp_path


@pytest.fixture
def rows(client: Client) -> dict[str, Any]:
    """A schedule, and a version that is proposed; the browser of an officer."""
    ola, audit = officer(), counted()
    day = timezone.now().date() + timedelta(days=9)
    row = scheduled(ola, first_on=day, plan=audit.plan, model=audit.model)
    actions.propose_version(version=audit.model, audits=[audit.number], reason="For loans.", actor=actor_of(ola))
    client.force_login(ola)
    return {"schedule": row, "version": audit.model, "audit": audit}


PAGES = {
    "schedules": "/schedules/?q=small&state=active",
    "schedule": "/schedules/{schedule.pk}/",
    "schedule new": "/schedules/new/",
    "approval": "/models/{version.pk}/approval/",
}


def queries(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as found:
        assert client.get(address).status_code == 200
    return len(found)


@pytest.mark.parametrize("name", PAGES)
def test_query_counts_are_pinned_and_more_rows_cost_no_more(name: str, client: Client, rows: dict[str, Any]) -> None:
    address = PAGES[name].format(**rows)
    expected = {name: json.loads(COUNTS.read_text(encoding="utf-8"))[name]}
    assert {name: queries(client, address)} == expected
    for number in range(3):
        plan = approved_plan(default_team(), name=f"small-{number}")
        audit = counted(plan=plan)
        scheduled(officer(f"o{number}"), first_on=rows["schedule"].next_on, plan=plan, model=audit.model)
    assert {name: queries(client, address)} == expected


def test_the_list_is_searched_and_narrowed(client: Client, rows: dict[str, Any]) -> None:
    def found(**asked: str) -> list[AuditSchedule]:
        return list(client.get("/schedules/", asked).context["listed"].object_list)

    assert found() == found(q="demo:x small") == found(state="active") == [rows["schedule"]]
    assert found(q="another") == found(state="paused") == []
    assert client.get("/schedules/", {"state": "asleep"}).status_code == 404
    assert text_of(client.get("/schedules/", {"q": "another"}).content).count("No schedule here.") == 1


def test_a_refused_schedule_keeps_what_was_typed(client: Client, rows: dict[str, Any]) -> None:
    audit = rows["audit"]
    sent = {
        "plan": audit.plan_id, "language_model": audit.model.language_model_id, "data": audit.data_id,
        "every_months": "7", "first_on": "2020-01-01",
    }  # fmt: skip
    answer = client.post("/schedules/new/", sent)
    assert answer.status_code == 409
    assert "the first day, 1 Jan 2020, is past; expected today or a day to come" in text_of(answer.content)
    assert b'value="7"' in answer.content
    assert b'value="2020-01-01"' in answer.content
    assert client.post("/schedules/new/", {**sent, "every_months": "500"}).status_code == 400


def test_a_schedule_is_paused_gone_on_with_and_ended_on_its_page(client: Client, rows: dict[str, Any]) -> None:
    row, later = rows["schedule"], (timezone.now().date() + timedelta(days=30)).isoformat()
    move = f"{row.get_absolute_url()}move/"
    assert client.post(move, {"to": "paused", "revision": "1"})["Location"] == row.get_absolute_url()
    stale = client.post(move, {"to": "active", "revision": "1", "next_on": later})
    assert (stale.status_code, "changed it in the meantime" in text_of(stale.content)) == (409, True)
    client.post(move, {"to": "active", "revision": "2", "next_on": later})
    row.refresh_from_db()
    assert (row.state, row.next_on.isoformat()) == (ScheduleState.ACTIVE, later)
    client.post(move, {"to": "ended", "revision": "3"})
    page = text_of(client.get(row.get_absolute_url()).content)
    assert "none; it is ended" in page
    assert "gone on with, next on" in page
    assert client.post(move, {"to": "held", "revision": "4"}).status_code == 409


def test_who_may_not_run_audits_sees_a_schedule_without_its_buttons(client: Client, rows: dict[str, Any]) -> None:
    client.force_login(validator())
    page = client.get(rows["schedule"].get_absolute_url())
    assert page.status_code == 200
    assert b"End this schedule" not in page.content
    assert client.get("/schedules/new/").status_code == 403
