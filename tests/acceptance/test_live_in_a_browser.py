"""Starting an audit and watching it in a real Chromium: the policy refuses nothing, the page keeps up by itself."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from playwright.sync_api import sync_playwright
from pytest_django.live_server_helper import LiveServer

from compliance import actions
from compliance.execution.ledger import DatabaseLedger
from compliance.models import Audit
from tests.acceptance.test_admin_in_a_browser import CHROMIUM, QUIET, SECRET, WATCH, _serious
from tests.compliance.factories import ACTOR
from tests.compliance.jobs import freeze, versions

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium, or set PLUMBLINE_TEST_CHROMIUM"),
]


def elsewhere(step: Callable[[], None]) -> None:
    """In a thread: Playwright keeps an event loop in this one, where Django refuses to ask the database."""

    def then_close() -> None:
        try:
            step()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as worker:
        worker.submit(then_close).result()


def begin() -> None:
    actions.begin_audit(audit=freeze(Audit.objects.get()), actor=ACTOR)


def score() -> None:
    ledger = DatabaseLedger(Audit.objects.get())
    ledger.claim(0)
    ledger.complete(0, b"decisions")


def end_sessions() -> None:
    Session.objects.all().delete()


def test_an_audit_is_started_by_a_double_click_and_its_page_keeps_up(
    transactional_db: None, live_server: LiveServer, tmp_path: Path
) -> None:
    User.objects.create_superuser("ada", password=SECRET)
    plan = versions()["plan"].pk
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        context = browser.new_context(base_url=live_server.url)
        context.set_default_timeout(120_000)
        context.add_init_script(WATCH)
        page = context.new_page()
        troubles: list[str] = []
        page.on("console", lambda said: troubles.append(f"{page.url}: {said.text}") if said.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(f"{page.url}: {error}"))
        page.goto(f"/admin/compliance/planversion/{plan}/change/")
        page.get_by_label("User name").fill("ada")
        page.get_by_label("Password").fill(SECRET)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("link", name="Run audit").click()
        page.wait_for_url("**/request/**")
        serious = _serious(page)
        troubles.clear()  # axe itself copies style sheets in ways that the policy rightly refuses
        page.screenshot(path=tmp_path / "request.png", full_page=True)
        page.get_by_role("button", name="Start audit").dblclick()
        page.wait_for_url("**/audits/A-0001/")
        page.get_by_text("No worker is listening").wait_for()
        elsewhere(begin)
        page.get_by_text("0 of 6 prompts scored").wait_for()
        elsewhere(score)
        page.get_by_text("2 of 6 prompts scored").wait_for()
        page.screenshot(path=tmp_path / "live.png", full_page=True)
        assert not troubles, "\n".join(troubles)
        serious += _serious(page)
        page.get_by_role("button", name="Stop audit").click()
        page.get_by_text("Stopping", exact=True).first.wait_for()
        elsewhere(end_sessions)
        page.wait_for_url("**/login/?next=/audits/A-0001/")  # the whole page, not a form where progress stood
        browser.close()
    assert not serious, "\n".join(serious)
    assert list(Audit.objects.values_list("serial", "state")) == [(1, "cancelling")]
