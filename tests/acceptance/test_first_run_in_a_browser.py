"""The whole way in a real Chromium, on ``manage.py serve`` as people start it, with its worker and the real demo model.

Empty installation, first administrator's link, first steps, model, data and plan registered, an audit estimated and
started in the administration, watched, read down to a prompt, its report downloaded and verified. On every page on the
way: no error in the console, nothing refused by the policy, nothing that axe calls serious or critical.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page, sync_playwright

from auditor.language_models.store import ModelStore
from tests.acceptance.commands import ROOT, manage
from tests.acceptance.sites import Site
from tests.acceptance.test_admin_in_a_browser import CHROMIUM, QUIET, WATCH
from tests.acceptance.test_pages_in_a_browser import SCHEMES, WIDTHS, serious, take_picture

pytestmark = [
    pytest.mark.browser,
    pytest.mark.model,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium, or set PLUMBLINE_TEST_CHROMIUM"),
]

PASSWORD = "correct horse battery"
# The two-minute plan in half a minute: eight applications in chunks of some three.
CUTS = {
    "limit = 120": "limit = 8",
    "reask = 20 ": "reask = 2 ",
    "threads = 2": "threads = 1",
    "chunk_tokens = 7000": "chunk_tokens = 900",
}


BARS = "[...document.querySelectorAll('#live dl.strip progress')].map(bar => bar.value / bar.max)"


@dataclass
class Visit:
    """A page that is looked at wherever the way leads."""

    page: Page
    troubles: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Keep what the console says in anger."""
        self.page.on("console", lambda said: self._heard(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self._heard(str(error)))

    def look(self, name: str) -> None:
        """Look at the page that is open."""
        self.page.wait_for_load_state("networkidle")
        heard = len(self.troubles)
        found = serious(self.page)
        del self.troubles[heard:]  # axe itself copies style sheets in ways that the policy rightly refuses
        self.troubles += found
        self.seen.append(name)

    def keep(self, name: str) -> None:
        """Keep pictures of the page that is open, where a folder for them is named."""
        if folder := os.environ.get("PLUMBLINE_TEST_PICTURES"):
            for scheme, width in product(SCHEMES, WIDTHS):
                self.page.emulate_media(color_scheme=scheme)
                self.page.set_viewport_size({"width": width, "height": 900})
                take_picture(self.page, Path(folder) / f"{name}-{scheme}-{width}.png")
            self.page.emulate_media(color_scheme="light")
            self.page.set_viewport_size({"width": 1280, "height": 900})

    def _heard(self, text: str) -> None:
        self.troubles.append(f"{self.page.url}: {text}")


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    """A folder of ready-made plans with a cut of the quick one."""
    text = (ROOT / "plans" / "quick.toml").read_text(encoding="utf-8")
    for given, cut in CUTS.items():
        assert text.count(given) == 1, given
        text = text.replace(given, cut)
    folder = tmp_path / "plans"
    folder.mkdir()
    (folder / "quick.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def served(tmp_path: Path, plans: Path, demo_store: ModelStore) -> Iterator[tuple[Site, str]]:
    """An installation with nothing in it, as ``serve`` starts it; and what it printed when it was up."""
    demo_store.import_model("demo:underwriter")  # once a machine; in the way of nobody else's minute here
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = tmp_path / "data"
    data.mkdir()
    site = Site(
        data, plans / "quick.toml", PLUMBLINE_MODELS=str(demo_store.root), PLUMBLINE_PLANS=str(plans),
        PLUMBLINE_LEASE_SECONDS="60",
    )  # fmt: skip
    process = site.start("serve", "--address", f"127.0.0.1:{port}")
    log = data / "serve-0.log"
    limit = time.monotonic() + 60
    while "/first-run/" not in log.read_text() and time.monotonic() < limit:
        time.sleep(0.2)
    time.sleep(1)
    yield site, log.read_text()
    site.stop(process)
    assert process.returncode == 0, log.read_text()


def test_an_empty_installation_is_led_to_a_report_that_verifies(served: tuple[Site, str], tmp_path: Path) -> None:
    site, printed = served
    link = re.search(r"http://\S+/first-run/\S+/", printed)
    assert link is not None, printed
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        context = browser.new_context(accept_downloads=True)
        context.set_default_timeout(120_000)
        context.add_init_script(WATCH)
        visit = Visit(context.new_page())
        visit.listen()
        become_administrator(visit, link.group())
        register(visit)
        values = run(visit)
        read(visit)
        files = download(visit, tmp_path)
        browser.close()
    assert not visit.troubles, "\n".join(sorted(set(visit.troubles)))
    assert len(visit.seen) == len(set(visit.seen)) == 16
    assert any(0 < value < 1 for value in values), f"no progress was seen: {sorted(values)}"
    checked = manage(site.data, "verify", *files, "--events")
    assert (checked.returncode, checked.stderr) == (0, "")
    lines = checked.stdout.splitlines()
    assert [line for line in lines if ": equal, to the last byte, to " in line], lines
    for path in files:
        assert any(line.startswith(f"{path}: ") for line in lines), lines


def answering(link: str) -> None:
    """Wait until the site listens: it says where it will be before its server is up."""
    address = urlsplit(link)
    limit = time.monotonic() + 90
    while True:
        try:
            with socket.create_connection((address.hostname, address.port), timeout=5):
                return
        except OSError:
            assert time.monotonic() < limit, f"nothing listens at {address.netloc}"
            time.sleep(0.3)


def become_administrator(visit: Visit, link: str) -> None:
    page = visit.page
    answering(link)
    page.goto(link)
    visit.look("first administrator")
    page.locator("[name=username]").fill("ada")
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("[name=again]").fill(PASSWORD)
    page.get_by_role("button", name="Make this account").click()
    page.get_by_role("heading", name="First steps to a report").wait_for()
    visit.look("home of an empty installation")


def register(visit: Visit) -> None:
    page = visit.page
    # The worker's first heartbeat comes by itself.
    page.get_by_role("button", name="Register demo:underwriter").click()
    page.get_by_role("button", name="Register demo:loanapp").click()
    page.locator("#ready-made").select_option(label="Mortgage approval decisions, quick look at 120 applications")
    visit.look("first steps")
    visit.keep("first")
    page.get_by_role("button", name="Register this plan").click()
    page.get_by_role("link", name="Register", exact=True).click()
    visit.look("registrations")
    page.get_by_role("link", name="Demonstration underwriter").click()
    visit.look("registration")
    page.goto(page.url.partition("/register/")[0] + "/first-steps/")


def run(visit: Visit) -> set[float]:
    """Start the audit and watch it to its end; the shares of prompts that its page showed."""
    page = visit.page
    page.get_by_role("link", name="Estimate the audit").click()
    page.get_by_role("heading", name="Run audit").wait_for()
    visit.look("estimate")
    visit.keep("estimate")
    assert re.search(r"\d", page.locator("table.data tbody td.num").first.inner_text())
    page.get_by_role("button", name="Start audit").click()
    page.wait_for_url("**/audits/A-0001/")
    visit.look("live")
    values: set[float] = set()
    kept, limit = False, time.monotonic() + 240
    while not page.locator("#verdict").is_visible():
        assert time.monotonic() < limit, page.inner_text("main")
        with suppress(PlaywrightError):  # the finished page was being loaded in its place
            values |= set(page.evaluate(BARS))
        if not kept and any(0.4 <= value < 1 for value in values):
            visit.keep("run")
            kept = True
        time.sleep(0.3)
    return values


def read(visit: Visit) -> None:
    page = visit.page
    visit.look("audit")
    assert "Demonstration underwriter" in page.locator(".crumbs").inner_text()
    page.get_by_role("link", name=re.compile("^Cases")).click()
    visit.look("cases")
    page.locator("table.data tbody th a").first.click()
    page.wait_for_url("**/cases/?*" if "?" in page.url else "**/cases/*/")
    visit.look("case")
    assert "You are a mortgage underwriter." in page.locator(".prompt").first.inner_text()
    for name in ("Audits", "Models"):
        page.get_by_role("navigation", name="Main").get_by_role("link", name=name).click()
        visit.look(name)
    page.get_by_role("link", name="Demonstration underwriter").click()
    visit.look("model")
    page.goto("/".join(page.url.split("/")[:3]) + "/first-steps/")
    visit.look("first steps, done")
    page.get_by_role("link", name="Home").click()
    page.wait_for_load_state()
    assert page.locator("#first-steps").count() == 0
    visit.look("home after the first report")
    page.get_by_role("navigation", name="Main").get_by_text("More").click()
    page.get_by_role("link", name="Administration").click()
    visit.look("administration")


def download(visit: Visit, folder: Path) -> list[Path]:
    """The report and its bundle as the site hands them out."""
    page = visit.page
    page.goto("/".join(page.url.split("/")[:3]) + "/audits/A-0001/")
    kept = []
    for name in ("report.pdf", "evidence.zip"):
        with page.expect_download() as found:
            page.get_by_role("link", name=name).click()
        path = folder / found.value.suggested_filename
        found.value.save_as(path)
        kept.append(path)
    assert kept[0].read_bytes().startswith(b"%PDF-")
    return kept
