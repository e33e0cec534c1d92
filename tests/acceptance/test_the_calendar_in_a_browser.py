"""The calendar in a real Chromium: returned, corrected, approved, scheduled; then the day comes and the audit starts.

``PLUMBLINE_TEST_PICTURES=docs/pictures`` also writes pictures of the pages there.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
import time_machine
from django.conf import LazySettings
from django.db import connection
from django.utils import timezone
from playwright.sync_api import Browser, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from compliance import actions
from compliance.access.roles import Role
from compliance.execution.schedules import keep_calendar
from compliance.models import Audit, PlanVersion, default_team
from tests.acceptance.test_admin_in_a_browser import CHROMIUM, QUIET
from tests.acceptance.test_pages_in_a_browser import open_page
from tests.acceptance.test_plans_in_a_browser import look, session_of, watch
from tests.compliance.calendars import counted, officer, validator
from tests.compliance.factories import make_plan
from tests.compliance.governed import actor_of
from tests.compliance.messages import keep_messages
from tests.compliance.teams import make_person

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium, or set PLUMBLINE_TEST_CHROMIUM"),
]
T = TypeVar("T")


def aside(step: Callable[[], T]) -> T:
    """Something done with rows while a browser is open: Playwright keeps an event loop, where Django refuses to ask."""

    def act() -> T:
        try:
            return step()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as one:
        return one.submit(act).result()


class Desk:
    """One browser, at which people sit down one after the other."""

    def __init__(self, browser: Browser, server: LiveServer, people: dict[str, Any]) -> None:
        self._browser, self._server, self._people = browser, server, people
        self._watched: list[list[str]] = []

    @property
    def troubles(self) -> list[str]:
        """What went wrong on any page so far."""
        return [line for lines in self._watched for line in lines]

    def sit(self, name: str, at: str = "/") -> Page:
        page = open_page(self._browser, self._server, aside(lambda: session_of(self._people[name])))
        self._watched.append(watch(page))
        page.goto(at)
        return page

    def expect(self, words: str) -> None:
        """Take what a browser writes of a refusal that was meant for what it is: one line, and no other."""
        (line,) = self._watched[-1]
        assert words in line
        self._watched[-1].clear()

    def look(self, page: Page, name: str) -> None:
        look(page, self._watched[-1], name)


def test_a_design_and_a_version_come_back_are_corrected_and_approved_and_the_day_that_is_scheduled_starts_an_audit(
    transactional_db: None,
    live_server: LiveServer,
    settings: LazySettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.DATA_FOLDER = tmp_path
    called = keep_messages(monkeypatch)
    people = {"ola": officer(), "vera": validator(), "mo": make_person("mo", default_team(), [Role.MODEL_OWNER])}
    audit = counted()
    draft = actions.begin_draft(
        team=default_team(), name="second", origin="nothing", text="", actor=actor_of(people["ola"])
    )
    design = actions.register_draft(draft=draft, plan=make_plan("second"), actor=actor_of(people["ola"]))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        desk = Desk(browser, live_server, people)
        # A design comes back with comments.
        page = desk.sit("vera")
        page.get_by_role("link", name="Decide on a design").click()
        page.get_by_label("Decision").select_option("returned")
        page.get_by_label("Comments, or what was looked at").fill("Name the loans in the title.")
        page.get_by_role("button", name="Record the decision").click()
        page.get_by_text("The design is returned with comments.").wait_for()
        page.context.close()
        # Whoever wrote it corrects a copy, with the comments above it.
        page = desk.sit("ola")
        page.get_by_role("link", name="Returned to you: correct a design").click()
        desk.look(page, "design-returned")
        page.get_by_role("link", name="Correct it in a copy").click()
        page.get_by_role("button", name="Copy").click()
        page.get_by_text("Name the loans in the title.").wait_for()
        page.get_by_label("Title", exact=True).fill("Small loans")
        page.locator("#difference").get_by_text("Small loans").first.wait_for()
        page.get_by_role("button", name="Register the plan").click()
        page.get_by_text("Nobody has decided on it yet").wait_for()
        corrected = page.url
        page.goto("/")
        assert page.get_by_role("link", name="Returned to you").count() == 0
        page.context.close()
        page = desk.sit("vera")
        page.get_by_role("link", name="Decide on a design").click()
        page.wait_for_url(corrected)
        page.get_by_label("Comments, or what was looked at").fill("Read against the policy.")
        page.get_by_role("button", name="Record the decision").click()
        page.get_by_text("The design is approved.").wait_for()
        page.context.close()
        # A version is proposed, comes back, is proposed again and approved.
        page = desk.sit("mo", f"/models/{audit.model_id}/")
        desk.look(page, "model-with-its-calendar")
        page.get_by_role("link", name="Version 1").click()
        page.get_by_label("Why it may be used").fill("For loans.")
        page.get_by_role("button", name="Propose this version").click()
        page.get_by_text("It is proposed. A second person decides on it.").wait_for()
        page.context.close()
        page = desk.sit("vera")
        page.get_by_role("link", name="Decide on a version of a model").click()
        desk.look(page, "version-to-decide-on")
        page.get_by_label("Return it with comments").check()
        page.get_by_label("Comments, or what was looked at").fill("Which loans?")
        page.get_by_role("button", name="Record the decision").click()
        page.get_by_text("It is returned, with your comments.").wait_for()
        page.context.close()
        page = desk.sit("mo")
        page.get_by_role("link", name="Returned to you: a version of a model").click()
        page.get_by_text("Which loans?").first.wait_for()
        page.get_by_label("Why it may be used").fill("For loans below 50,000.")
        page.get_by_role("button", name="Propose this version").click()
        page.context.close()
        page = desk.sit("vera")
        page.get_by_role("link", name="Decide on a version of a model").click()
        page.get_by_role("radio", name="Approve this version").check()
        page.get_by_label("Comments, or what was looked at").fill("The audit was read.")
        page.get_by_role("button", name="Record the decision").click()
        page.get_by_text("is not confirmed").wait_for()
        desk.expect("409 (Conflict)")
        page.get_by_label("I have read the audits").check()
        page.get_by_role("button", name="Record the decision").click()
        page.get_by_text("This version is approved.").wait_for()
        page.context.close()
        # The corrected design is scheduled on the model.
        page = desk.sit("ola", corrected)
        page.get_by_role("link", name="Schedule", exact=True).click()
        desk.look(page, "schedule-new")
        page.get_by_label("Model").select_option(label="demo:x")
        page.get_by_label("Data").select_option(index=1)
        page.get_by_label("Every so many months").fill("3")
        page.get_by_label("First day").fill((timezone.now() + timedelta(days=10)).date().isoformat())
        page.get_by_role("button", name="Schedule it").click()
        page.get_by_text("It is scheduled; the first run is on").wait_for()
        schedule = page.url
        page.context.close()
        assert aside(keep_calendar) == 0
        # The day comes.
        with time_machine.travel(timezone.now() + timedelta(days=11), tick=True):
            assert (aside(keep_calendar), aside(keep_calendar)) == (1, 0)
            page = desk.sit("ola", schedule)
            page.get_by_role("link", name="A-0002").wait_for()
            desk.look(page, "schedule")
            page.goto("/schedules/")
            desk.look(page, "schedules")
            page.get_by_role("link", name="A-0002").click()
            page.get_by_text("design approved by vera").wait_for()
            page.context.close()
        browser.close()
    assert not desk.troubles, "\n".join(desk.troubles)
    started = Audit.objects.get(serial=2)
    second = PlanVersion.objects.exclude(pk=design.pk).get(title="Small loans")
    assert (started.plan, started.governed, started.requested_by) == (second, True, "ola")
    assert ("compliance.work_on", started.pk) in called
