"""The way of a decision file in a real Chromium: uploaded, described, registered, audited, its sheet read.

Nobody is asked and no model is loaded. On every page on the way: no error in the console, nothing refused by the
policy, nothing that axe calls serious or critical, and nothing wider than a phone.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from auditor.mapping_files import write_mapping
from tests.acceptance.sites import Site
from tests.acceptance.test_admin_in_a_browser import CHROMIUM, QUIET, WATCH
from tests.acceptance.test_first_run_in_a_browser import PASSWORD, Visit
from tests.acceptance.test_systems_in_a_browser import fits_a_phone, prepared_site
from tests.observed.made_up import mapping, table

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium, or set PLUMBLINE_TEST_CHROMIUM"),
]

PLAN = """
schema = 2
name = "loan-desk"
title = "Decisions of the loan desk"

[run]
model = "decisions:made_up"

[use]
business_use = "Loans"
decision_role = "advisory"
policy_packs = ["us-fha"]

[[attributes]]
field = "race"
groups = ["White", "Black"]
reference = "White"

[tests]
run = ["observed_rates", "observed_prices"]
"""
SETTING = """
from pathlib import Path
from django.contrib.auth.models import User
from auditor.plan import read_plan
from compliance import actions
from compliance.access.roles import Role
from compliance.governance.events import Actor
from compliance.models import Membership, default_team
user = User.objects.create_user("ann", password=PASSWORD, is_staff=True)
for role in (Role.ADMINISTRATOR, Role.COMPLIANCE_OFFICER):
    Membership.objects.create(team=default_team(), user=user, role=role)
actions.register_plan(plan=read_plan(Path(PLAN)), actor=Actor(name="olga", role="officer"))
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Site, str]]:
    """An installation with an officer and a plan that asks nobody."""
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN, encoding="utf-8")
    with prepared_site(tmp_path / "data", plan, SETTING) as found:
        yield found


def until_ready(page: Page) -> None:
    limit = time.monotonic() + 90
    while "Ready" not in page.locator("dl.pairs").first.inner_text():
        assert time.monotonic() < limit, page.inner_text("main")
        assert "Failed" not in page.locator("dl.pairs").first.inner_text(), page.inner_text("main")
        time.sleep(0.5)
        page.reload()


def import_file(visit: Visit, base: str, file: Path) -> None:
    page = visit.page
    page.goto(f"{base}/login/?next=/register/data/")
    page.get_by_label("User name").fill("ann")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    words = page.locator("textarea[name=mapping]")
    words.wait_for()
    words.fill(write_mapping(mapping()))
    visit.look("described")
    fits_a_phone(page)
    page.get_by_role("button", name="Register the data set").click()
    until_ready(page)
    page.goto(f"{base}/register/model/")
    page.locator("[name=source]").fill("decisions:made_up")
    page.locator("[name=name]").fill("Loan desk")
    page.get_by_label("Owner").fill("Olga")
    page.get_by_label("Purpose").fill("Approves loans")
    page.get_by_role("button", name="Register the model").click()
    until_ready(page)


def run(visit: Visit, base: str) -> None:
    page = visit.page
    page.goto(f"{base}/plans/")
    page.get_by_role("link", name="Decisions of the loan desk").first.click()
    page.get_by_role("link", name="Run audit").click()
    page.locator("select[name=models]").select_option(index=0)
    page.get_by_role("button", name="Estimate").click()
    page.get_by_role("button", name="Start audit").click()
    page.wait_for_url("**/audits/A-0001/")
    limit = time.monotonic() + 120
    while not page.locator("#verdict").is_visible():
        assert time.monotonic() < limit, page.inner_text("main")
        time.sleep(0.3)


def read_the_sheet(visit: Visit) -> None:
    page = visit.page
    visit.look("audit of a file")
    visit.keep("audit-of-a-file")
    fits_a_phone(page)
    said = page.inner_text("main")
    assert "comparisons" in said
    assert "cannot say" in said
    assert "Decisions taken: applicants with race Black" in said
    sheet = page.locator("#outputs").text_content() or ""
    assert "Decisions taken: how did groups fare?" in sheet
    assert "Rate of favourable decisions on file" in sheet
    assert "among approved applicants" in sheet


def test_a_decision_file_is_imported_described_audited_and_its_sheet_is_read(
    served: tuple[Site, str], tmp_path: Path
) -> None:
    _, base = served
    file = tmp_path / "decisions.csv.gz"
    file.write_bytes(gzip.compress(table(1200, bias=1.5).write_csv().encode()))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        context = browser.new_context()
        context.set_default_timeout(120_000)
        context.add_init_script(WATCH)
        visit = Visit(context.new_page())
        visit.listen()
        import_file(visit, base, file)
        run(visit, base)
        read_the_sheet(visit)
        browser.close()
    assert not visit.troubles, "\n".join(sorted(set(visit.troubles)))
