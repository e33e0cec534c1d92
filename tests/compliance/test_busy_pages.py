"""A click while another process holds the database: one line with 503 and nothing half done, or it waits and succeeds.

The locks are real: ``BEGIN IMMEDIATE`` on the embedded database, the row of the event chain on PostgreSQL.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, connections
from django.test import Client

from compliance.database.busy import BUSY
from compliance.execution.job import JobState
from compliance.models import Audit, PlanDraft, PlanVersion, Registration, default_team
from tests.compliance.factories import ACTOR, make_plan
from tests.compliance.jobs import request, versions
from tests.compliance.messages import keep_messages

pytestmark = pytest.mark.django_db(transaction=True)
SHORT = 0.3  # seconds that a statement waits
TABLE = b"race,income,approved\n" + b"".join(f"{'AB'[n % 2]},{n},{n % 2}\n".encode() for n in range(40))
MODEL = {
    "source": "demo:underwriter", "name": "Underwriter", "owner": "Ada", "purpose": "Mortgages",
    "decision_role": "advisory", "risk_tier": "1", "access": "internals",
}  # fmt: skip


@pytest.fixture(autouse=True)
def hasty(database: str, settings: LazySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement waits for a moment only; no worker is called."""
    settings.DATABASE_SECONDS, settings.DATA_FOLDER = SHORT, tmp_path / "data"
    settings.DATA_FOLDER.mkdir()
    if database == "sqlite":
        connections.settings["default"]["OPTIONS"]["timeout"] = SHORT
    connections["default"].close()
    keep_messages(monkeypatch)


@pytest.fixture
def browser(hasty: None) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("root", password="a long password"))
    return client


@contextmanager
def locked(*, seconds: float | None = None) -> Iterator[None]:
    """Somebody else writes, for so long or as long as the block."""
    holds, over = Flag(), Flag()
    parameters = connection.get_connection_params() if connection.vendor == "postgresql" else {}
    file = str(connection.settings_dict["NAME"])

    def hold() -> None:
        if connection.vendor == "sqlite":
            other: Any = sqlite3.connect(file, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
        else:
            wanted = {name: parameters[name] for name in ("host", "port", "user", "dbname") if name in parameters}
            other = psycopg.connect(**wanted)
            other.execute("SELECT * FROM compliance_chainhead FOR UPDATE")
        holds.set()
        over.wait(seconds if seconds is not None else 60)
        other.rollback()
        other.close()

    thread = Thread(target=hold)
    thread.start()
    assert holds.wait(10)
    try:
        yield
    finally:
        if seconds is None:
            over.set()
        thread.join()


def kept() -> dict[str, list[Any]]:
    """Every row of the application."""
    models = apps.get_app_config("compliance").get_models()
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in models}


def click(browser: Client, name: str) -> Any:
    """One of the site's buttons."""
    team = default_team().pk
    if name == "register a model":
        return lambda: browser.post("/register/model/", {"team": team, **MODEL})
    if name == "upload a table":
        return lambda: browser.post(
            "/register/data/", {"team": team, "name": "Loans", "file": SimpleUploadedFile("loans.csv", TABLE)}
        )
    if name == "first step":
        return lambda: browser.post(f"/first-steps/{team}/model/")
    if name == "begin a plan":
        return lambda: browser.post("/plans/new/", {"team": team, "origin": "ready:quick"})
    if name == "register a plan":
        browser.post("/plans/new/", {"team": team, "origin": "ready:quick"})
        draft = PlanDraft.objects.get()
        form = {"text": draft.text, "agreed": draft.text, "revision": draft.revision, "register": ""}
        return lambda: browser.post(draft.get_absolute_url(), form)
    found = versions()
    if name == "approve a design":
        plan = found["plan"]
        return lambda: browser.post(f"/plans/{plan.pk}/decide/", {"state": "approved", "reason": "seen"})
    if name == "run two audits":
        from compliance import actions

        other = actions.register_plan(plan=make_plan("other"), actor=ACTOR)
        form = {
            "plans": [found["plan"].pk, other.pk], "models": found["model"].pk, "data": found["data"].pk,
            "queue": "audits", "priority": 0, "token": "a" * 32,
        }  # fmt: skip
        return lambda: browser.post("/admin/compliance/audit/request/", form)
    assert name == "stop"
    request()
    return lambda: browser.post("/audits/A-0001/stop/")


CLICKS = (
    "register a model", "upload a table", "first step", "begin a plan", "register a plan", "approve a design",
    "run two audits", "stop",
)  # fmt: skip


@pytest.mark.parametrize("name", CLICKS)
def test_a_click_while_the_database_is_locked_is_told_in_one_line_and_leaves_nothing_half(
    browser: Client, name: str
) -> None:
    go = click(browser, name)
    before = kept()
    with locked():
        began = time.monotonic()
        answer = go()
        assert time.monotonic() - began < 60 * SHORT
    assert answer.status_code == 503
    assert BUSY in answer.content.decode()
    assert "Traceback" not in answer.content.decode()
    assert answer["Retry-After"]
    assert kept() == before
    assert go().status_code == 302  # the same click, once the lock is gone


def test_a_click_waits_for_a_lock_that_is_shorter_than_its_patience(browser: Client) -> None:
    go = click(browser, "stop")
    with locked(seconds=SHORT / 3):
        assert go().status_code == 302
    assert Audit.objects.get().state in (JobState.CANCELLING, JobState.CANCELLED)


def test_signing_in_while_the_database_is_locked_is_no_trace(database: str, browser: Client) -> None:
    if database == "postgresql":
        return  # a session is a row of its own there, which nobody holds
    browser.logout()
    with locked():
        answer = browser.post("/login/", {"login": "root", "password": "a long password"})
    assert (answer.status_code, BUSY in answer.content.decode()) == (503, True)


def test_pages_are_read_while_the_database_is_locked(browser: Client) -> None:
    request()
    with locked():
        for address in ("/", "/audits/", "/models/", "/findings/", "/plans/", "/register/", "/audits/A-0001/live/"):
            assert browser.get(address).status_code in (200, 286), address


def test_a_script_is_told_the_same_as_json_and_sends_the_last_part_again(browser: Client) -> None:
    team = default_team().pk
    sent = {"team": team, "name": "Loans", "file_name": "loans.csv", "size": len(TABLE)}
    part = browser.post("/register/data/uploads/", sent).json()["part"]

    def send() -> Any:
        return browser.post(f"{part}?offset=0", TABLE, content_type="text/csv", headers={"Accept": "application/json"})

    with locked():
        refused = send()
    assert (refused.status_code, refused.json()) == (503, {"error": BUSY, "busy": True})
    assert browser.get(part).json()["received"] == 0
    assert send().json()["next"]
    assert Registration.objects.get().received == len(TABLE)


def test_an_error_that_does_not_pass_is_not_called_busy(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def full(**_: Any) -> None:
        raise OperationalError("database or disk is full") from psycopg.errors.DiskFull()

    monkeypatch.setattr("compliance.actions.begin_draft", full)
    answer = click(browser, "begin a plan")()
    assert (answer.status_code, PlanVersion.objects.count()) == (500, 0)
    assert BUSY not in answer.content.decode()
