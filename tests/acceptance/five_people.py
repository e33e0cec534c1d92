"""The day of five people: an installation that they share, a browser for each, and the steps of their work.

Nothing is done behind the site's back: every step is a page that somebody opens and a button that they press, the
work between two steps is done by the worker, the notifier and the scheduler of ``manage.py serve``.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import tomlkit
from playwright.sync_api import Browser, Locator, Page

from tests.acceptance.commands import ROOT
from tests.acceptance.sites import Site
from tests.acceptance.test_admin_in_a_browser import WATCH
from tests.acceptance.test_first_run_in_a_browser import PASSWORD, Visit, answering
from tests.receivers import Hook, MailServer

SECONDS = 300
DAYS_LATER = 40
ROLES = {
    "olga": "Compliance officer",
    "victor": "Validator",
    "petra": "Approver",
    "erik": "Examiner",
}
NOTHING: Mapping[str, str] = {}
BARS = "bars => bars.map(bar => bar.value)"
#: Every process that starts with this in its path lives so many days later.
LATER = "import datetime, time_machine\ntime_machine.travel(datetime.timedelta(days={days})).start()\n"


@dataclass
class Office:
    """The site while it is served, and the people at their browsers."""

    site: Site
    base: str
    browser: Browser
    people: dict[str, Visit] = field(default_factory=dict)

    def sit(self, name: str) -> Page:
        """The browser of somebody, opened when they come."""
        if name not in self.people:
            context = self.browser.new_context(
                base_url=self.base, viewport={"width": 1280, "height": 900}, accept_downloads=True
            )
            context.set_default_timeout(120_000)
            context.add_init_script(WATCH)
            self.people[name] = Visit(context.new_page())
            self.people[name].listen()
        return self.people[name].page

    def at(self, name: str, path: str) -> Page:
        """Somebody opens a page."""
        page = self.sit(name)
        page.goto(path)
        return page

    def log_in(self, name: str) -> Page:
        """Somebody comes back after their session has ended."""
        page = self.at(name, "/login/?next=/")
        page.get_by_label("User name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"{self.base}/")
        return page

    def until(self, moment: Callable[[], bool]) -> None:
        """Wait for what the worker, the notifier or the scheduler does."""
        limit = time.monotonic() + SECONDS
        while not moment():
            assert time.monotonic() < limit, self.site.report_all()
            time.sleep(0.2)

    @property
    def troubles(self) -> list[str]:
        """What went wrong on any page of anybody."""
        return sorted({line for visit in self.people.values() for line in visit.troubles})


@contextmanager
def served(site: Site, *, port: int, **settings: str) -> Iterator[str]:
    """The site with its worker, notifier and scheduler, until the block ends; what it printed when it was up."""
    log = site.data / f"serve-{len(list(site.data.glob('serve-*.log')))}.log"
    process = site.start("serve", "--address", f"127.0.0.1:{port}", **settings)
    try:
        answering(f"http://127.0.0.1:{port}/")
        yield log.read_text()
    finally:
        site.stop(process)  # it alone ends what it started
    assert process.returncode == 0, site.report_all()


def days_later(folder: Path, *, days: int = DAYS_LATER) -> dict[str, str]:
    """The setting with which every process of an installation lives that many days later."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(LATER.format(days=days), encoding="utf-8")
    return {"PYTHONPATH": f"{folder}:{ROOT}"}


def day(days: int) -> str:
    """A day to come, as browsers send it."""
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def form(page: Page, name: str) -> Locator:
    """The form of a page that is called so."""
    return page.get_by_role("form", name=name, exact=True)


# People


def first_administrator(office: Office, printed: str) -> None:
    """Ada follows the link that was printed."""
    link = re.search(r"http://\S+/first-run/\S+/", printed)
    assert link is not None, printed
    page = office.at("ada", link.group())
    choose_an_account(page, "ada")
    page.get_by_role("heading", name="First steps to a report").wait_for()


def choose_an_account(page: Page, name: str) -> None:
    """Name and password of an account of one's own."""
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").first.fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Make this account").click()


def invite_everybody(office: Office) -> None:
    """A link each, shown once, and followed once."""
    page = office.at("ada", "/people/")
    for name, role in ROLES.items():
        page.get_by_label("For whom").fill(name)
        page.get_by_role("combobox", name="Role").select_option(label=role)
        page.get_by_role("button", name="Make an invitation").click()
        link = page.get_by_role("link", name="/join/").inner_text()
        choose_an_account(office.at(name, link), name)
        office.sit(name).get_by_role("navigation", name="Main").wait_for()


def give_second_roles(office: Office) -> None:
    """Olga also answers for the model, Petra also validates."""
    for name, role in (("olga", "Model owner"), ("petra", "Validator")):
        page = office.at("ada", "/people/")
        page.get_by_role("link", name=name, exact=True).first.click()
        page.get_by_role("combobox", name="Role").select_option(label=role)
        page.get_by_role("button", name="Give this role").click()
        page.locator("dl.pairs dt", has_text=role).wait_for()


def confirm_an_address(office: Office, mail: MailServer, *, address: str) -> None:
    """Erik follows the link that was mailed to his address."""
    page = office.at("erik", "/notices/choices/")
    page.get_by_role("textbox", name="Mail address").fill(address)
    page.get_by_role("button", name="Send the link").click()
    office.until(lambda: bool(mail.arrived))
    ((to, letter),) = mail.arrived
    assert to == [address]
    link = re.search(r"http://\S+", letter.get_content())
    assert link is not None, letter.get_content()
    page.goto(link.group())
    page.get_by_role("button", name="Confirm the address").click()
    page.get_by_text("Your address is confirmed.").wait_for()


def set_a_webhook(office: Office, hook: Hook) -> str:
    """Ada has an address of the team told of everything; its secret, which the page shows once."""
    page = office.at("ada", "/notices/webhooks/")
    page.get_by_label("Name").fill("SIEM")
    page.get_by_label("Address").fill(hook.url)
    for box in page.locator("input[name=kinds]").all():
        box.check()
    page.get_by_role("button", name="Set the webhook").click()
    page.get_by_text("This is its secret").wait_for()
    return page.locator("code.hash").first.inner_text()


# Registers


def register_version(office: Office, folder: Path) -> None:
    """Olga registers the files in a folder, under the name that makes the second a version of the first."""
    page = office.at("olga", "/register/model/")
    page.get_by_label("Source").fill(f"dir:{folder}")
    page.get_by_label("Name").fill("Loan scorer")
    page.get_by_label("Owner").fill("olga")
    page.get_by_label("Purpose").fill("Proposes which applications are approved.")
    for name in ("Decision role", "Risk tier", "Access"):
        page.get_by_label(name).select_option(index=1)
    page.get_by_role("button", name="Register the model").click()
    wait_for(page, "Registered as")


def wait_for(page: Page, words: str) -> None:
    """Load a page again until a worker has done what it says."""
    limit = time.monotonic() + SECONDS
    while not page.get_by_text(words, exact=True).count():
        assert time.monotonic() < limit, page.inner_text("main")
        assert not page.get_by_role("alert").count(), page.inner_text("main")
        time.sleep(0.5)
        page.reload()


def upload(office: Office, name: str, content: bytes) -> Page:
    """Olga uploads a table, and the page proposes what its columns mean."""
    page = office.at("olga", "/register/data/")
    sent: Any = {"name": name, "mimeType": "text/csv", "buffer": content}
    page.locator("input[type=file]").set_input_files(sent)
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("heading", name="What the columns mean").wait_for()
    return page


def mean(page: Page, column: str, words: dict[str, str]) -> None:
    """Say what the codes of a column mean, in its row."""
    row = page.locator("tr", has=page.get_by_role("rowheader", name=column)).first
    row.locator("summary").click()
    for code, said in words.items():
        row.get_by_label(f"What {code} means in {column}").fill(said)


def register_table(page: Page) -> None:
    """The mapping is as it should be."""
    page.get_by_role("button", name="Check").click()
    page.get_by_role("heading", name="What the columns mean").wait_for()
    page.get_by_role("button", name="Register the data set").click()
    wait_for(page, "Registered as")


# The design


def write_a_plan(page: Page, *, use: str, cut: Callable[[Any], None]) -> str:
    """From the page of the table to a registered design, cut to a tiny model in the TOML; its address."""
    page.get_by_role("link", name="Write a plan from this table").click()
    page.get_by_label("Business use").fill(use)
    page.get_by_label("Template: what is audited").select_option("weights")
    page.get_by_label("Jurisdiction").select_option("US")
    page.get_by_label("White is the reference").check()
    page.get_by_label("M is the reference of").check()
    page.get_by_role("button", name="Propose packs again").click()
    page.get_by_text("protects race").first.wait_for()
    page.get_by_role("button", name="Write the plan").click()
    page.get_by_role("group", name="Prompt 3").wait_for()
    text = tomlkit.parse(page.locator("#toml").input_value())
    cut(text)
    page.locator("#toml").fill(tomlkit.dumps(text))
    page.get_by_text("Nothing to mend").wait_for()
    page.locator("#difference").get_by_text("cases.limit").wait_for()
    return register_design(page)


def register_design(page: Page) -> str:
    """What is written becomes a design; its address."""
    page.get_by_role("button", name="Register the plan").click()
    page.get_by_text("Nobody has decided on it yet").wait_for()
    return page.url


def decide(office: Office, name: str, *, said: str, back: bool = False) -> None:
    """Somebody finds a design in their inbox, and approves it or returns it with comments."""
    page = office.at(name, "/")
    page.get_by_role("link", name="Decide on a design").click()
    if back:
        page.get_by_label("Decision").select_option("returned")
    page.get_by_label("Comments, or what was looked at").fill(said)
    page.get_by_role("button", name="Record the decision").click()
    page.get_by_text("returned with comments." if back else "The design is approved.").wait_for()


def correct(office: Office, *, comments: str, title: str) -> str:
    """Olga finds what came back, corrects it in a copy under the comments, and registers that; its address."""
    page = office.at("olga", "/")
    page.get_by_role("link", name="Returned to you: correct a design").click()
    page.get_by_role("link", name="Correct it in a copy").click()
    page.get_by_role("button", name="Copy").click()
    page.get_by_text(comments).wait_for()
    page.get_by_label("Title", exact=True).fill(title)
    page.locator("#difference").get_by_text(title).first.wait_for()
    return register_design(page)


# The run


def run(office: Office, design: str) -> str:
    """Olga estimates and starts the audit, stops it when some of it is scored, and goes on; its number."""
    page = office.at("olga", design)
    page.get_by_role("link", name="Run audit").click()
    page.get_by_role("heading", name="Run audit").wait_for()
    page.get_by_label("Model").select_option(index=0)
    page.get_by_label("Data").select_option(index=0)
    page.get_by_role("button", name="Estimate").click()
    page.get_by_role("button", name="Start audit").click()
    page.wait_for_url("**/audits/A-*/")
    number = page.url.rstrip("/").rpartition("/")[2]
    with partly_scored(office):
        office.until(lambda: any(page.locator("#live dl.strip progress").evaluate_all(BARS)))
        page.get_by_role("button", name="Stop audit").click()
        page.get_by_role("heading", name="Stopping").wait_for()
    page.get_by_role("button", name="Go on").wait_for()
    kept = page.locator("#live").inner_text()
    assert re.search(r"Kept: \d+ of \d+ chunks", kept), kept
    page.get_by_role("button", name="Go on").click()
    concluded(page)
    return number


@contextmanager
def partly_scored(office: Office) -> Iterator[None]:
    """The worker, held as soon as it has scored some of the audit's prompts; it goes on when the block ends.

    All of them take it two seconds, which may be over before somebody at a browser has seen the first of them. So it
    is let go and held by turns of a twentieth of a second until it has some.
    """
    (worker,) = [
        child.pid
        for process in office.site.running()
        for child in psutil.Process(process.pid).children()
        if "worker" in child.cmdline()
    ]

    def some_scored() -> bool:
        os.killpg(worker, signal.SIGCONT)
        time.sleep(0.05)
        os.killpg(worker, signal.SIGSTOP)
        return office.site.done() > 0

    office.until(some_scored)
    try:
        yield
    finally:
        os.killpg(worker, signal.SIGCONT)


def concluded(page: Page) -> None:
    """The page of a run follows it until the verdict stands there."""
    page.locator("#verdict").wait_for(timeout=SECONDS * 1000)


# The findings


def findings_of(office: Office) -> dict[str, str]:
    """Number and title of the findings that are open, as the list has them."""
    page = office.at("olga", "/findings/")
    rows = page.locator("table.data tbody tr").all()
    return {row.get_by_role("link", name="F-").inner_text(): row.inner_text() for row in rows}


def move(office: Office, name: str, finding: str, way: str, to: str, boxes: Mapping[str, str] = NOTHING) -> None:
    """Somebody takes a finding on its way, with what that asks for, to the state that is named."""
    page = office.at(name, f"/findings/{finding}/")
    asked = form(page, way)
    for label, text in boxes.items():
        asked.get_by_label(label).fill(text)
    asked.get_by_role("button").click()
    page.locator(".head .state", has_text=to).wait_for()


def answer(office: Office, finding: str) -> None:
    """Olga takes it, names herself and a day, and says what will be changed."""
    page = office.at("olga", f"/findings/{finding}/")
    asked = form(page, "Answer")
    asked.get_by_label("Owner").select_option(label="olga")
    asked.get_by_label("Due date").fill(day(20))
    asked.get_by_label("Response").fill("We see the same in our own samples.")
    asked.get_by_label("Remediation plan").fill("The next version is trained without the sex of applicants.")
    asked.get_by_role("button", name="Save the answer").click()
    page.get_by_text("Saved.").wait_for()


def propose_a_rejection(office: Office, name: str, finding: str, *, why: str) -> None:
    """Somebody proposes to reject a finding, and reads there that a second person confirms it."""
    page = office.at(name, f"/findings/{finding}/")
    asked = form(page, "Propose a rejection")
    asked.get_by_label("Why it is to be rejected").fill(why)
    asked.get_by_role("button").click()
    page.get_by_text("Rejection proposed", exact=True).wait_for()
    assert not form(page, "Reject").count()


def attach_the_fix(office: Office, finding: str) -> None:
    """Olga attaches what shows the fix."""
    page = office.at("olga", f"/findings/{finding}/")
    asked = form(page, "Comment or attach")
    asked.get_by_label("Comment").first.fill("Trained anew; the change request is attached.")
    change: Any = {"name": "change-118.txt", "mimeType": "text/plain", "buffer": b"The field is no longer read."}
    asked.get_by_label("File").set_input_files(change)
    asked.get_by_label("It is").select_option("fix")
    asked.get_by_role("button", name="Add it").click()
    page.get_by_role("link", name="change-118.txt").first.wait_for()


def retest(office: Office, finding: str) -> str:
    """Olga asks for the same design on the version that came since; the number of the audit."""
    page = office.at("olga", f"/findings/{finding}/")
    form(page, "Retest").get_by_role("button", name="Ask for the retest").click()
    page.get_by_text("The retest is asked for.").wait_for()
    said = re.search(r"A-\d{4} runs the same design", page.inner_text("main"))
    assert said is not None, page.inner_text("main")
    number = said.group().partition(" ")[0]
    page.goto(f"/audits/{number}/")
    concluded(page)
    return number


# The examiner


def release(office: Office, audit: str, *, reason: str) -> None:
    """Petra releases an audit to Erik, until a day."""
    page = office.at("petra", f"/audits/{audit}/")
    page.get_by_label("Until").fill(day(9))
    page.get_by_label("Reason").fill(reason)
    page.get_by_label("I looked at what is in it").check()
    page.get_by_role("button", name="Release it").click()
    page.get_by_text("This is the cover page that they read.").wait_for()


def examine(office: Office, audit: str, *, reason: str, into: Path) -> list[Path]:
    """Erik reads the cover page and the audit, and takes its report and its evidence away."""
    page = office.at("erik", "/")
    page.get_by_role("heading", name="Released to me").wait_for()
    page.get_by_role("link", name=audit).first.click()
    page.get_by_role("heading", name="What is not in it").wait_for()
    page.get_by_text(reason).first.wait_for()
    taken = []
    for name in ("report.pdf", "evidence.zip"):
        with page.expect_download() as found:
            page.get_by_role("link", name=f"Download {name}").click()
        path = into / found.value.suggested_filename
        found.value.save_as(path)
        taken.append(path)
    page.get_by_role("link", name="Read the audit").click()
    page.locator("#verdict").wait_for()
    return taken


# Next time


def schedule(office: Office, design: str, *, first: str) -> str:
    """Olga has the approved design run again by itself; the address of the schedule."""
    page = office.at("olga", design)
    page.get_by_role("link", name="Schedule", exact=True).click()
    page.get_by_label("Model").select_option(label="Loan scorer")
    page.get_by_label("Data").select_option(index=1)
    page.get_by_label("Every so many months").fill("6")
    page.get_by_label("First day").fill(first)
    page.get_by_role("button", name="Schedule it").click()
    page.get_by_text("It is scheduled; the first run is on").wait_for()
    return page.url
