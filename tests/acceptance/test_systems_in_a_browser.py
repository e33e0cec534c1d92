"""The way of an endpoint in a real Chromium, on a served site with its worker: listed by two people, audited, read.

One administrator proposes it with its prices and sets its key, a second one approves it and registers it; the worker
probes it. The audit is estimated with money, started, watched and read. On every page on the way: no error in the
console, nothing refused by the policy, nothing that axe calls serious or critical, and nothing wider than a phone.
"""

from __future__ import annotations

import re
import socket
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tomlkit
from playwright.sync_api import Page, sync_playwright

from tests.acceptance.commands import ROOT, manage
from tests.acceptance.sites import Site
from tests.acceptance.test_admin_in_a_browser import CHROMIUM, QUIET, WATCH
from tests.acceptance.test_first_run_in_a_browser import PASSWORD, Visit, answering
from tests.once import with_tables
from tests.systems import answering as model_server

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium, or set PLUMBLINE_TEST_CHROMIUM"),
]

KEY = "sk-live-51H8xYqLmNoPqRsTuV"
PEOPLE = """
from django.contrib.auth.models import User
from compliance.access.roles import Role
from compliance.models import Membership, default_team
for name in ("ann", "bob"):
    user = User.objects.create_user(name, password=PASSWORD, is_staff=True)
    for role in (Role.ADMINISTRATOR, Role.COMPLIANCE_OFFICER):
        Membership.objects.create(team=default_team(), user=user, role=role)
from pathlib import Path
from auditor.data_sources import load_data
from auditor.plan import read_plan
from compliance import actions
from compliance.governance.events import Actor
from compliance.registry.keeping import keep
actor = Actor(name="olga", role="officer")
actions.register_plan(plan=read_plan(Path(PLAN)), actor=actor)
data = load_data("demo:loanapp", "")
actions.register_data(data=data, actor=actor)
keep(data)
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """The ready-made plan on a dozen applications, with the words that the test server speaks."""
    text = (ROOT / "plans" / "mortgage-hmda-endpoint.toml").read_text(encoding="utf-8")
    document = tomlkit.parse(text)
    changed = tomllib.loads('limit = 12\nreask = 4\nrun = ["counterfactual", "arm_rates"]\n')
    document["cases"]["limit"] = changed["limit"]  # type: ignore[index]
    document["noise"]["reask"] = changed["reask"]  # type: ignore[index]
    document["tests"]["run"] = changed["run"]  # type: ignore[index]
    document["prompt"]["answers"] = {"favourable": [" approve"], "adverse": [" deny"], "mass_floor": 0.0}  # type: ignore[index]
    path = tmp_path / "few.toml"
    path.write_text(tomlkit.dumps(document), encoding="utf-8")
    return path


@contextmanager
def prepared_site(data: Path, plan: Path, setting: str) -> Iterator[tuple[Site, str]]:
    """An installation as ``serve`` starts it, after a script that reads ``PLAN`` and ``PASSWORD``; its address too."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    site = Site(with_tables(data), plan, PLUMBLINE_LEASE_SECONDS="60")
    site.shell(f"PLAN, PASSWORD = {str(plan)!r}, {PASSWORD!r}\n{setting}")
    process = site.start("serve", "--address", address)
    answering(f"http://{address}/")
    yield site, f"http://{address}"
    site.stop(process)
    assert process.returncode == 0, site.report_all()


@pytest.fixture
def served(tmp_path: Path, plan: Path) -> Iterator[tuple[Site, str]]:
    """An installation with two administrators, a plan and data."""
    with prepared_site(tmp_path / "data", plan, PEOPLE) as found:
        yield found


def log_in(page: Page, base: str, name: str) -> None:
    page.context.clear_cookies()
    page.goto(f"{base}/login/?next=/systems/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Systems", exact=True).wait_for()


def fits_a_phone(page: Page) -> None:
    """Nothing is wider than the narrowest screen, but what scrolls by itself."""
    page.set_viewport_size({"width": 390, "height": 900})
    wide = page.evaluate("document.documentElement.scrollWidth")
    page.set_viewport_size({"width": 1280, "height": 900})
    assert wide <= 390, f"{page.url}: {wide} px"


def propose(visit: Visit, base: str, url: str) -> None:
    page = visit.page
    log_in(page, base, "ann")
    visit.look("no systems")
    page.get_by_role("link", name="Propose a system").click()
    table = page.get_by_label("Table")
    table.fill(table.input_value().replace("NAME", "underwriter").replace("https://models.example.internal/v1", url))
    page.get_by_label("Currency").fill("USD")
    page.get_by_label("Price per million tokens of prompts").fill("0.6")
    page.get_by_label("Price per million tokens of answers").fill("2.4")
    page.get_by_label("Price per request").fill("0.01")
    page.get_by_label("What it is needed for").fill("Underwriting in Boston is to be audited.")
    visit.look("propose")
    fits_a_phone(page)
    page.get_by_role("button", name="Propose the system").click()
    page.get_by_text("You proposed this system").wait_for()
    page.locator("[name=key]").fill(KEY)
    page.get_by_role("button", name="Set the key").click()
    page.get_by_text("A key is set, by ann").wait_for()
    visit.look("proposed")
    assert page.get_by_role("button", name="Approve the system").count() == 0


def approve(visit: Visit, base: str) -> None:
    page = visit.page
    log_in(page, base, "bob")
    visit.look("systems")
    page.get_by_role("link", name="endpoint:underwriter").click()
    visit.keep("system")
    visit.look("waits for a second person")
    fits_a_phone(page)
    page.get_by_label("What was looked at").fill("Address, networks, caps and prices.")
    page.get_by_role("button", name="Approve the system").click()
    page.get_by_text("The system is listed: it may be asked.").wait_for()
    visit.look("listed")


def register(visit: Visit, base: str) -> None:
    page = visit.page
    page.get_by_role("link", name="Register", exact=True).first.click()
    page.goto(f"{base}/systems/")
    page.get_by_role("link", name="endpoint:underwriter").click()
    page.locator(".head .actions").get_by_role("link", name="Register").click()
    assert page.locator("[name=source]").input_value() == "endpoint:underwriter"
    page.get_by_label("Owner").fill("Olga")
    page.get_by_label("Purpose").fill("Approval of home purchase mortgages")
    visit.look("register")
    page.get_by_role("button", name="Register the model").click()
    limit = time.monotonic() + 120
    while "Ready" not in page.locator("dl.pairs").inner_text():
        assert time.monotonic() < limit, page.inner_text("main")
        assert "Failed" not in page.locator("dl.pairs").inner_text(), page.inner_text("main")
        time.sleep(1)
        page.reload()
    visit.look("registered")


def run(visit: Visit, base: str) -> None:
    page = visit.page
    page.goto(f"{base}/plans/")
    page.get_by_role("link", name="Mortgage approval decisions of an endpoint").first.click()
    page.get_by_role("link", name="Run audit").click()
    page.locator("select[name=models]").select_option(index=0)
    page.get_by_role("button", name="Estimate").click()
    cells = page.locator("table.data tbody td.num")
    cells.first.wait_for()
    assert re.search(r"USD \d+\.\d\d", cells.last.inner_text()), cells.last.inner_text()
    assert re.search(r"\d+\s+requests", cells.first.inner_text())
    visit.look("estimate with money")
    visit.keep("estimate-of-a-system")
    page.get_by_role("button", name="Start audit").click()
    page.wait_for_url("**/audits/A-0001/")
    limit = time.monotonic() + 240
    while not page.locator("#verdict").is_visible():
        assert time.monotonic() < limit, page.inner_text("main")
        time.sleep(0.3)
    visit.look("audit of an endpoint")
    page.goto(f"{base}/systems/")
    page.get_by_role("link", name="endpoint:underwriter").click()
    assert "version 1" in page.locator("[aria-labelledby=registered]").inner_text()
    visit.look("with what was registered from it")


def test_an_endpoint_is_listed_by_two_people_and_audited_to_a_report(served: tuple[Site, str], tmp_path: Path) -> None:
    site, base = served
    with model_server.answering() as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        context = browser.new_context(accept_downloads=True)
        context.set_default_timeout(120_000)
        context.add_init_script(WATCH)
        visit = Visit(context.new_page())
        visit.listen()
        propose(visit, base, server.url)
        approve(visit, base)
        assert server.asked == []  # nothing was sent before the worker probes it
        register(visit, base)
        run(visit, base)
        visit.page.goto(f"{base}/audits/A-0001/")
        with visit.page.expect_download() as found:
            visit.page.get_by_role("link", name="report.pdf").click()
        report = tmp_path / "report.pdf"
        found.value.save_as(report)
        keys = {asked.headers.get("Authorization") for asked in server.asked}
        browser.close()
    assert not visit.troubles, "\n".join(sorted(set(visit.troubles)))
    assert keys == {f"Bearer {KEY}"}
    checked = manage(site.data, "verify", report, "--events")
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
    shown = [path for path in site.data.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert shown == []
