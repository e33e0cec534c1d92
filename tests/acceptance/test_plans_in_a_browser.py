"""Writing a plan in a real Chromium: copied, mistyped, told, mended, previewed, registered, approved by somebody else.

``PLUMBLINE_TEST_PICTURES=docs/pictures`` also writes pictures of the editor there.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from auditor.demo_data import load_loanapp
from compliance import actions
from compliance.access.roles import Role
from compliance.models import PlanDecision, PlanDraft, PlanVersion, default_team
from compliance.plans.shelf import ready_made
from tests.acceptance.test_admin_in_a_browser import CHROMIUM, QUIET
from tests.acceptance.test_pages_in_a_browser import WIDTHS, open_page, serious, take_picture
from tests.compliance.factories import ACTOR
from tests.compliance.teams import make_person

LOOKED_AT = ((1280, "light"), (390, "dark"))  # both widths and both lights; axe takes seconds
WRONG = "plan: thresholds.alpha: 5: input should be less than 0.5"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium, or set PLUMBLINE_TEST_CHROMIUM"),
]


def session_of(user: User) -> str:
    client = Client()
    client.force_login(user)
    return client.cookies["sessionid"].value


def watch(page: Page) -> list[str]:
    troubles: list[str] = []
    page.on("console", lambda said: troubles.append(f"{page.url}: {said.text}") if said.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(f"{page.url}: {error}"))
    return troubles


def look(page: Page, troubles: list[str], name: str) -> None:
    """In both lights and widths: nothing scrolls sideways, axe finds nothing serious."""
    page.wait_for_load_state()  # a link that was pressed may have led no further than to an empty document
    before = len(troubles)
    found: list[str] = []
    folder = os.environ.get("PLUMBLINE_TEST_PICTURES")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} scrolls sideways"
            if folder:
                take_picture(page, Path(folder) / f"{name}-{scheme}-{width}.png")
            if (width, scheme) in LOOKED_AT:
                found += serious(page)
    del troubles[before:]  # axe itself copies style sheets in ways that the policy rightly refuses
    troubles += found
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")


def test_a_plan_is_copied_mistyped_mended_registered_and_approved_by_a_second_person(
    transactional_db: None, live_server: LiveServer
) -> None:
    actions.register_data(data=load_loanapp(), actor=ACTOR)
    people = {
        "writer": session_of(make_person("writer", default_team(), [Role.COMPLIANCE_OFFICER])),
        "vera": session_of(make_person("vera", default_team(), [Role.VALIDATOR])),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        page = open_page(browser, live_server, people["writer"])
        troubles = watch(page)
        page.goto("/plans/")
        look(page, troubles, "plans")
        page.get_by_role("link", name="Copy Mortgage approval decisions, quick look").click()
        page.get_by_role("button", name="Copy").click()
        page.wait_for_url("**/plans/drafts/*/")
        assert page.locator("#toml").input_value() == ready_made()["quick"].text
        assert page.locator(".prompt mark").count() > 50
        # Mistyped in the form: the line stands beside the box, and the TOML says what was typed.
        page.get_by_label("Alpha", exact=True).fill("5")
        page.locator("#e-f-thresholds-alpha").get_by_text(WRONG).wait_for()
        assert "alpha = 5\n" in page.locator("#toml").input_value()
        assert page.get_by_label("Alpha", exact=True).get_attribute("aria-invalid") == "true"
        # Mended in the TOML: the form follows, and the prompts are back.
        text = page.locator("#toml").input_value().replace("alpha = 5\n", "alpha = 0.01  # stricter\n")
        page.locator("#toml").fill(text)
        page.get_by_text("Nothing to mend").wait_for()
        assert page.get_by_label("Alpha", exact=True).input_value() == "0.01"
        assert page.get_by_label("Alpha", exact=True).get_attribute("aria-invalid") is None
        page.get_by_label("Limit").fill("90")
        page.locator("#difference").get_by_text("cases.limit").wait_for()
        assert "# stricter" in page.locator("#toml").input_value()
        page.locator("#preview").get_by_text("Prompt 3", exact=True).first.wait_for()
        look(page, troubles, "plan-editor")
        if folder := os.environ.get("PLUMBLINE_TEST_PICTURES"):
            page.locator("section:has(#preview)").screenshot(path=Path(folder) / "plan-preview-light-1280.png")
        page.get_by_role("button", name="Register the plan").click()
        page.wait_for_url("**/plans/*/")
        page.get_by_text("Nobody has decided on it yet").wait_for()
        assert not page.get_by_role("button", name="Record the decision").is_visible()
        address = page.url
        page.context.close()
        page = open_page(browser, live_server, people["vera"])
        troubles += (more := watch(page))
        page.goto(address)
        page.get_by_label("What was looked at").fill("Read against the policy of 2026.")
        page.get_by_role("button", name="Record the decision").click()
        page.get_by_text("The design is approved.").wait_for()
        look(page, more, "plan")
        troubles += more
        browser.close()
    assert not troubles, "\n".join(sorted(set(troubles)))
    plan = PlanVersion.objects.get()
    assert plan.design["thresholds"]["alpha"] == 0.01
    assert "# stricter" in PlanDraft.objects.get().text
    assert PlanDecision.objects.get().decided_by == "vera"
