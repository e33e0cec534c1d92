"""In a real Chromium: a session that ends while somebody writes, saving by itself, leaving, and a second factor."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import LazySettings
from django.core.cache import cache
from playwright.sync_api import Browser, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from compliance.access.roles import Role
from compliance.accounts import totp
from compliance.models import default_team
from tests.acceptance.test_admin_in_a_browser import CHROMIUM, QUIET, WATCH
from tests.compliance.governed import open_finding
from tests.compliance.teams import make_person

SECRET = "a long password"
MINUTE = 60
PICTURES = os.environ.get("PLUMBLINE_TEST_PICTURES")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium, or set PLUMBLINE_TEST_CHROMIUM"),
]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that have gone by for the server, to be set."""
    now, real = [0.0], time.time
    monkeypatch.setattr(time, "time", lambda: real() + now[0])
    return now


@pytest.fixture
def finding(transactional_db: None, settings: LazySettings, tmp_path: Path) -> str:
    """The page of a finding that olive answers for."""
    settings.KEYS_FILE = tmp_path / "keys"
    cache.clear()
    make_person("olive", default_team(), [Role.MODEL_OWNER])
    make_person("adam", default_team(), [Role.ADMINISTRATOR])
    return f"/findings/{open_finding(default_team()).number}/"


@pytest.fixture
def browser(finding: str) -> Iterator[Browser]:  # Playwright keeps an event loop, where Django refuses to ask
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield opened
        opened.close()


def new_page(browser: Browser, live_server: LiveServer, **options: Any) -> tuple[Page, list[str]]:
    context = browser.new_context(base_url=live_server.url, viewport={"width": 1280, "height": 900}, **options)
    context.set_default_timeout(120_000)
    if options.get("java_script_enabled", True):
        context.add_init_script(WATCH)
    page, troubles = context.new_page(), []
    page.on("pageerror", lambda error: troubles.append(f"{page.url}: {error}"))
    page.on("console", lambda said: troubles.append(said.text) if said.text.startswith("policy:") else None)
    return page, troubles


def log_in(page: Page, name: str) -> None:
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(SECRET)
    page.get_by_role("button", name="Log in", exact=True).click()


def answer_form(page: Page) -> Any:
    return page.get_by_role("form", name="Answer")


def shoot(page: Page, name: str) -> None:
    if not PICTURES:
        return
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.screenshot(path=str(Path(PICTURES) / f"{name}-light-{width}.png"), full_page=True)
    page.set_viewport_size({"width": 1280, "height": 900})


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{item['id']}: {item['nodes'][0]['html'][:160]}" for item in found if item["impact"] in ("serious", "critical")
    ]


def test_the_session_warns_is_prolonged_ends_and_comes_back_to_the_same_text(
    browser: Browser, live_server: LiveServer, finding: str, clock: list[float]
) -> None:
    page, troubles = new_page(browser, live_server)
    page.goto(finding)
    log_in(page, "olive")
    page.wait_for_url(f"**{finding}")
    assert "Without a further request this session ends at" in page.locator("#session").inner_text()

    # A minute and a half before its end the page is opened; the click moves the end by what a session lasts.
    answer_form(page).get_by_label("Response").fill("We saw it.")
    page.wait_for_selector("text=Kept for you at")
    clock[0] = 28.6 * MINUTE
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    # The browser's own clock stands still meanwhile: it learns the server's time by asking.
    page.evaluate(f"Date.now = ((real) => () => real() + {28.6 * MINUTE * 1000})(Date.now)")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    warning = page.get_by_role("alertdialog")
    warning.wait_for()
    assert re.search(r"Your session ends at \d\d:\d\d UTC if you do nothing\.", warning.inner_text())
    shoot(page, "session-warns")
    warning.get_by_role("button", name="Stay logged in").click()
    warning.wait_for(state="hidden")
    assert answer_form(page).get_by_label("Response").input_value() == "We saw it."

    # It ends while somebody writes; what is sent then is not carried out, and stands there after the login.
    clock[0] += 31 * MINUTE
    answer_form(page).get_by_label("Remediation plan").fill("Prompt 7 goes, and <b>here</b> is why.\nTwo lines.")
    answer_form(page).get_by_role("button", name="Save the answer").click()
    page.wait_for_url("**/login/**")
    assert "Nothing was carried out." in page.inner_text("main")
    shoot(page, "login-keeps")
    log_in(page, "olive")
    page.wait_for_url("**?kept=*")
    assert "Your session had ended when you sent this" in page.inner_text("main")
    assert answer_form(page).get_by_label("Response").input_value() == "We saw it."
    assert answer_form(page).get_by_label("Remediation plan").input_value().startswith("Prompt 7 goes, and <b>here</b>")
    assert serious(page) == []
    shoot(page, "written-again")
    page.reload()
    assert "nobody yet" in page.inner_text("main")
    answer_form(page).get_by_role("button", name="Save the answer").click()
    page.wait_for_selector("text=Saved.")
    assert "Prompt 7 goes, and <b>here</b> is why." in page.inner_text("main")
    assert "had ended" not in page.inner_text("main")
    assert troubles == []


def test_without_scripts_the_text_comes_back_by_the_buttons_alone(
    browser: Browser, live_server: LiveServer, finding: str, clock: list[float]
) -> None:
    page, _ = new_page(browser, live_server, java_script_enabled=False)
    page.goto(finding)
    log_in(page, "olive")
    page.wait_for_url(f"**{finding}")
    assert not page.get_by_role("alertdialog").is_visible()
    clock[0] = 31 * MINUTE
    answer_form(page).get_by_label("Response").fill("Without a script.")
    answer_form(page).get_by_role("button", name="Save the answer").click()
    page.wait_for_url("**/login/**")
    log_in(page, "olive")
    page.wait_for_url("**?kept=*")
    assert answer_form(page).get_by_label("Response").input_value() == "Without a script."
    page.get_by_role("button", name="Throw this away").click()
    page.wait_for_url(f"**{finding}")
    assert answer_form(page).get_by_label("Response").input_value() == ""


def test_what_is_typed_saves_itself_and_leaving_asks_while_it_is_not_saved(
    browser: Browser, live_server: LiveServer, finding: str
) -> None:
    page, troubles = new_page(browser, live_server)
    page.goto(finding)
    log_in(page, "olive")
    page.wait_for_url(f"**{finding}")
    asked: list[str] = []

    def dismissed(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", dismissed)
    box = answer_form(page).get_by_label("Response")
    box.click()
    page.keyboard.type("Half a sen")
    page.get_by_role("link", name="Findings", exact=True).first.click(no_wait_after=True)
    page.wait_for_timeout(500)
    assert asked == ["beforeunload"]
    assert page.url.endswith(finding)
    page.wait_for_selector("text=Kept for you at")
    page.get_by_role("link", name="Findings", exact=True).first.click()
    page.wait_for_url("**/findings/")
    assert asked == ["beforeunload"]  # by now it was saved
    page.goto(finding)
    assert "did not send it" in page.inner_text("main")
    assert answer_form(page).get_by_label("Response").input_value() == "Half a sen"
    answer_form(page).get_by_role("button", name="Save the answer").click()
    page.wait_for_selector("text=Saved.")
    assert "did not send it" not in page.inner_text("main")
    assert troubles == []


def test_a_second_factor_is_set_up_used_and_lost(
    browser: Browser, live_server: LiveServer, finding: str, settings: LazySettings, clock: list[float]
) -> None:
    settings.SECOND_FACTOR = ["model_owner"]
    page, troubles = new_page(browser, live_server)
    page.goto(finding)
    log_in(page, "olive")
    page.wait_for_url("**/account/second-factor/")
    assert "Set it up to go on." in page.inner_text("main")
    page.get_by_role("button", name="Set it up").click()
    secret = page.locator("code").inner_text().replace(" ", "")
    assert page.locator("svg.qr").is_visible()
    assert serious(page) == []
    shoot(page, "second-factor")
    page.get_by_label("Your password").fill(SECRET)
    page.get_by_label("Code").fill(totp.code_of(secret, int(time.time()) // 30))
    page.get_by_role("button", name="Take it into use").click()
    page.wait_for_selector("text=They are shown this once.")
    recovery = page.locator(".recovery code").first.inner_text()
    assert serious(page) == []
    shoot(page, "recovery-codes")
    page.goto("/account/")
    assert "in use since" in page.inner_text("main")
    assert serious(page) == []
    shoot(page, "account")

    other, _ = new_page(browser, live_server)
    other.goto(finding)
    log_in(other, "olive")
    other.wait_for_url("**/login/code/")
    assert serious(other) == []
    other.get_by_label("Code").fill("000000")
    other.get_by_role("button", name="Log in").click()
    assert "is not the one that the device shows now" in other.inner_text("main")
    shoot(other, "login-code")
    other.get_by_label("Code").fill(recovery)
    other.get_by_role("button", name="Log in").click()
    other.wait_for_url(f"**{finding}")

    office, _ = new_page(browser, live_server)
    office.goto("/people/")
    log_in(office, "adam")
    office.get_by_role("link", name="olive").click()
    office.get_by_role("button", name="Make a link for a lost device").click()
    link = office.get_by_role("link", name="/join/").inner_text()
    shoot(office, "person")
    lost, _ = new_page(browser, live_server)
    lost.goto(link)
    lost.get_by_label("Your password").fill(SECRET)
    lost.get_by_role("button", name="Let go of the device").click()
    lost.wait_for_url("**/login/")
    log_in(lost, "olive")
    lost.wait_for_url("**/account/second-factor/")
    page.goto(finding)
    page.wait_for_url("**/login/**")
    assert troubles == []


def test_a_lock_out_is_seen_and_lifted_on_the_page_of_the_person(
    browser: Browser, live_server: LiveServer, finding: str
) -> None:
    page, _ = new_page(browser, live_server)
    page.goto("/login/")
    for _ in range(5):
        page.get_by_label("User name").fill("olive")
        page.get_by_label("Password").fill("a guess")
        page.get_by_role("button", name="Log in").click()
        page.wait_for_selector(".note")
    log_in(page, "olive")
    page.wait_for_selector(".note")
    assert page.url.endswith("/login/")
    office, _ = new_page(browser, live_server)
    office.goto("/people/")
    log_in(office, "adam")
    office.wait_for_url("**/people/")
    assert "in force" in office.get_by_role("region", name="Lock-outs").inner_text()
    assert serious(office) == []
    shoot(office, "lock-outs")
    office.get_by_role("region", name="Lock-outs").get_by_role("link", name="olive").click()
    shoot(office, "locked-out")
    office.get_by_role("button", name="Lift this lock-out").click()
    office.wait_for_selector("text=The lock-out is lifted")
    log_in(page, "olive")
    page.wait_for_url(live_server.url + "/")


def test_what_scripts_say_is_said_in_the_language_of_the_page(
    browser: Browser, live_server: LiveServer, finding: str, clock: list[float]
) -> None:
    page, troubles = new_page(browser, live_server)
    page.goto(finding)
    log_in(page, "olive")
    page.wait_for_url(f"**{finding}")
    page.context.add_cookies([{"name": "plumbline_language", "value": "de", "url": live_server.url}])
    page.reload()
    page.locator("textarea[name$=response]").first.fill("We saw it.")
    page.wait_for_selector("text=Für Sie gespeichert um")
    said = page.locator(".kept-says").first.inner_text()
    assert re.fullmatch(r"Für Sie gespeichert um \d\d:\d\d UTC, noch nicht gesendet\.", said)
    clock[0] = 28.6 * MINUTE
    page.evaluate(f"Date.now = ((real) => () => real() + {28.6 * MINUTE * 1000})(Date.now)")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    warning = page.get_by_role("alertdialog")
    warning.wait_for()
    assert re.search(r"Ihre Sitzung endet um \d\d:\d\d UTC, wenn Sie nichts tun\.", warning.inner_text())
    shoot(page, "session-warns-in-german")
    assert troubles == []
