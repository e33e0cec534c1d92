"""A messy table in a real Chromium: uploaded, mapped by the table, registered, written as a plan, previewed.

Once with scripts and once without. On every page on the way: no error in the console, nothing refused by the policy,
nothing that axe calls serious or critical, and nothing wider than a phone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connections
from playwright.sync_api import Browser, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from compliance import actions
from compliance.access.roles import Role
from compliance.models import Registration, default_team
from compliance.registry.registration import perform_registration
from tests.acceptance.test_admin_in_a_browser import CHROMIUM, QUIET, SECRET, WATCH
from tests.acceptance.test_first_run_in_a_browser import Visit
from tests.acceptance.test_systems_in_a_browser import fits_a_phone
from tests.compliance.messy import messy_csv
from tests.compliance.teams import make_person

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium, or set PLUMBLINE_TEST_CHROMIUM"),
]
CASES = Path(__file__).parents[1] / "data" / "cases"
HMDA = CASES / "14-hmda-codes" / "hmda.csv"


@pytest.fixture
def site(transactional_db: None, live_server: LiveServer, settings: LazySettings, tmp_path: Path) -> str:
    """The site with an officer, and uploads below a folder of its own."""
    settings.DATA_FOLDER = tmp_path
    actions.load_shipped_packs()
    assert SECRET == "a long password"  # that of every person of these tests
    make_person("ann", default_team(), [Role.COMPLIANCE_OFFICER])
    return str(live_server.url)


@pytest.fixture
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


def outside(work: Callable[[], Any]) -> Any:
    """Work with the database, in a thread: Playwright keeps an event loop, where Django refuses to ask."""

    def done() -> Any:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(done).result()


def register_what_waits() -> None:
    """What a worker does with the registrations that wait."""
    for key in Registration.objects.filter(state="waiting").values_list("pk", flat=True):
        perform_registration(key)


def visit(browser: Browser, site: str, *, scripts: bool) -> Visit:
    context = browser.new_context(base_url=site, java_script_enabled=scripts, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(120_000)
    if scripts:
        context.add_init_script(WATCH)
    found = Visit(context.new_page())
    found.listen()
    page = found.page
    page.goto("/login/?next=/register/data/")
    page.get_by_label("User name").fill("ann")
    page.get_by_label("Password").fill(SECRET)
    page.get_by_role("button", name="Log in").click()
    return found


def upload(walk: Visit, name: str, content: bytes) -> None:
    page = walk.page
    file: Any = {"name": name, "mimeType": "text/csv", "buffer": content}
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("heading", name="What the columns mean").wait_for()


def mean(walk: Visit, column: str, words: dict[str, str]) -> None:
    """Say what the codes of a column mean, in its row."""
    row = walk.page.locator("tr", has=walk.page.get_by_role("rowheader", name=column)).first
    row.locator("summary").click()
    for code, said in words.items():
        row.get_by_label(f"What {code} means in {column}").fill(said)


def to_a_plan(walk: Visit) -> None:
    page = walk.page
    page.get_by_role("button", name="Register the data set").click()
    outside(register_what_waits)
    page.reload()
    page.get_by_role("link", name="Write a plan from this table").click()
    page.get_by_role("heading", name="Write a plan from").wait_for()


def test_a_messy_table_is_mapped_by_its_table_and_becomes_a_plan(site: str, chromium: Browser) -> None:
    walk = visit(chromium, site, scripts=True)
    page = walk.page
    upload(walk, "loans.csv", messy_csv())
    walk.look("proposed")
    walk.keep("mapping")
    fits_a_phone(page)
    shown = page.inner_text("main")
    for secret in ("Schmidt", "100-10-1000", "01.03.1950", "called on day"):
        assert secret not in shown
    assert page.get_by_label("Role of Race Cd").input_value() == "protected"
    mean(walk, "Race Cd", {"1": "White", "2": "Black", "3": "Asian"})
    mean(walk, "Sex Code", {"1": "male", "2": "female"})
    page.get_by_role("button", name="Check").click()
    page.get_by_role("heading", name="What the columns mean").wait_for()
    assert '"2" = "female"' in page.locator("textarea[name=mapping]").input_value()
    to_a_plan(walk)
    page.get_by_label("Template: what is audited").select_option("weights")
    page.get_by_label("Jurisdiction").select_option("US")
    page.get_by_role("button", name="Propose packs again").click()
    walk.look("plan from the table")
    walk.keep("plan-from-table")
    fits_a_phone(page)
    page.get_by_role("button", name="Write the plan").click()
    page.get_by_role("group", name="Prompt 3").wait_for()
    walk.look("draft")
    assert page.locator("#data option[selected]").inner_text().startswith("loans")
    assert "Annual income" in page.inner_text("#preview")
    assert not walk.troubles, "\n".join(sorted(set(walk.troubles)))


def test_the_same_without_scripts_and_with_codes_of_a_register(site: str, chromium: Browser) -> None:
    walk = visit(chromium, site, scripts=False)
    page = walk.page
    upload(walk, "hmda.csv", HMDA.read_bytes())
    assert page.get_by_label("Role of derived_race").input_value() == "protected"
    assert page.get_by_label("Side of 4 in action_taken").input_value() == ""
    page.get_by_label("Find a column").fill("derived")
    page.get_by_role("button", name="Find").click()
    expect(page.locator("table.columns tbody tr")).to_have_count(3)
    page.get_by_label("Role of derived_ethnicity").select_option("")
    page.get_by_role("button", name="Check").click()
    assert 'derived_ethnicity = "left out by hand"' in page.locator("textarea[name=mapping]").input_value()
    to_a_plan(walk)
    assert page.get_by_label("Template: what is audited").input_value() == "record"
    assert "reference" in page.inner_text("main")
    page.get_by_role("button", name="Write the plan").click()
    page.get_by_text("Nobody is asked: these are the first rows of").wait_for()


def test_a_wrong_box_says_so_at_its_row_and_a_failed_file_is_removed(site: str, chromium: Browser) -> None:
    walk = visit(chromium, site, scripts=True)
    page = walk.page
    upload(walk, "loans.csv", messy_csv())
    row = page.locator("tr", has=page.get_by_role("rowheader", name="Int Rate")).first
    row.locator("summary").click()
    row.get_by_label("Decimals shown").fill("two")
    page.get_by_role("button", name="Check").click()
    row.get_by_text("expected a whole number from 0 to 10").wait_for()
    assert row.get_by_label("Decimals shown").input_value() == "two"
    walk.look("a wrong box")
    walk.keep("mapping-wrong")
    page.get_by_label("may go").check()
    page.get_by_role("button", name="Remove the file").click()
    page.get_by_text("loans.csv and what was said of its columns are removed.").wait_for()
    assert not walk.troubles, "\n".join(sorted(set(walk.troubles)))
