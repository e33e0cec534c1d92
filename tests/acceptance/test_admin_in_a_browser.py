"""The admin in a real Chromium: every register opens, nothing is refused by the policy, axe finds nothing serious."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.apps import apps
from django.contrib.auth.models import User
from playwright.sync_api import Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from compliance import actions
from compliance.models import default_team
from tests.compliance.teams import UNLISTED, rows_of

CHROMIUM = os.environ.get("PLUMBLINE_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
SECRET = "a long password"
REGISTERS = [model._meta.model_name for model in apps.get_app_config("compliance").get_models()
             if model._meta.model_name not in UNLISTED]  # fmt: skip
WATCH = "document.addEventListener('securitypolicyviolation', e => console.error('policy: ' + e.violatedDirective))"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium, or set PLUMBLINE_TEST_CHROMIUM"),
]


@pytest.fixture
def rows(transactional_db: None) -> dict[str, int]:
    """A row of every register: one finished audit, made by the actions; and somebody who may look at all of them."""
    User.objects.create_superuser("ada", password=SECRET)
    actions.load_shipped_packs()
    made = rows_of(default_team(), name="seen")
    # All of it is read before the browser starts: Playwright keeps an event loop, where Django refuses to ask.
    return {name: row.pk for name, row in made.items() if name in REGISTERS}


@pytest.fixture
def page(rows: dict[str, int], live_server: LiveServer, tmp_path: Path) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        context = browser.new_context(base_url=live_server.url)
        context.set_default_timeout(120_000)
        context.add_init_script(WATCH)
        yield context.new_page()
        browser.close()


def test_every_register_and_a_row_of_each_opens_without_an_error(page: Page, rows: dict[str, int]) -> None:
    troubles: list[str] = []
    page.on("console", lambda said: troubles.append(f"{page.url}: {said.text}") if said.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(f"{page.url}: {error}"))
    page.goto("/admin/")
    troubles += _serious(page)
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password").fill(SECRET)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin/")
    assert page.get_by_role("heading", name="Register", exact=True).is_visible()
    assert set(rows) == set(REGISTERS)
    troubles += _serious(page)
    for name, key in rows.items():
        for path in (f"/admin/compliance/{name}/", f"/admin/compliance/{name}/{key}/change/"):
            answer = page.goto(path)
            assert answer is not None
            assert answer.status == 200, path
            page.wait_for_load_state("networkidle")
            opened = len(troubles)
            found = _serious(page)
            del troubles[opened:]  # axe itself copies style sheets in ways that the policy rightly refuses
            troubles += found
    assert not troubles, "\n".join(sorted(set(troubles)))


def test_the_watch_sees_what_the_policy_refuses(page: Page) -> None:
    troubles: list[str] = []
    page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    page.goto("/admin/")
    page.evaluate("() => { const s = document.createElement('script'); s.textContent = '1'; document.body.append(s) }")
    page.wait_for_function("() => true")
    assert any("policy: script-src" in text for text in troubles)


def _serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{page.url}: {item['id']} ({item['impact']}): {item['nodes'][0]['html'][:160]}"
        for item in found
        if item["impact"] in ("serious", "critical")
    ]
