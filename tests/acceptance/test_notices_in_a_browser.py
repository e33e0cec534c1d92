"""A release in a real Chromium, on a served site with its notifier: told by mail and webhook, read, withdrawn.

An administrator sets a webhook, an approver releases an audit by the date picker, the examiner is told on the site, by
mail and the receiver by a signed request; the examiner reads the cover page and the audit until it is withdrawn. On
every page on the way: no error in the console, nothing that axe calls serious, nothing wider than a phone.
"""

from __future__ import annotations

import hashlib
import hmac
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.acceptance.sites import Site, site
from tests.acceptance.test_admin_in_a_browser import CHROMIUM, QUIET, WATCH
from tests.acceptance.test_first_run_in_a_browser import PASSWORD, Visit, answering
from tests.acceptance.test_systems_in_a_browser import fits_a_phone
from tests.once import with_tables
from tests.receivers import Hook, MailServer

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium, or set PLUMBLINE_TEST_CHROMIUM"),
]

SECONDS = 300
TO = "emil@regulator.example"
PEOPLE = """
from pathlib import Path
from django.utils import timezone
from compliance.access.roles import Role
from compliance.models import MailAddress, default_team
from tests.compliance.finished import finish, simulate
from tests.compliance.teams import make_person
for name, role in (("adam", Role.ADMINISTRATOR), ("ava", Role.APPROVER), ("emil", Role.EXAMINER)):
    user = make_person(name, default_team(), [role], is_staff=role != Role.EXAMINER)
    user.set_password(PASSWORD)
    user.save()
now = timezone.now()
MailAddress.objects.create(user=user, address=TO, asked_at=now, confirmed_at=now)
finish(simulate(Path(FOLDER)))
"""


@pytest.fixture
def served(tmp_path: Path, mail: MailServer) -> Iterator[tuple[Site, str]]:
    """The site as ``serve`` starts it, with its notifier and scheduler, and the mail server in its settings."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    data = with_tables(tmp_path / "data")
    settings = {
        "PLUMBLINE_MAIL_HOST": "127.0.0.1",
        "PLUMBLINE_MAIL_PORT": str(mail.port),
        "PLUMBLINE_URL": f"http://{address}",
        "PLUMBLINE_WEBHOOK_NETWORKS": "127.0.0.0/8",
    }
    with site(data, tmp_path / "none.toml", **settings) as made:
        (tmp_path / "simulated").mkdir()
        made.shell(f"PASSWORD, TO, FOLDER = {PASSWORD!r}, {TO!r}, {str(tmp_path / 'simulated')!r}\n{PEOPLE}")
        process = made.start("serve", "--address", address, "--no-worker")
        answering(f"http://{address}/")
        yield made, f"http://{address}"
        made.stop(process)
        assert process.returncode == 0, made.report_all()


def log_in(visit: Visit, base: str, name: str, path: str) -> None:
    page = visit.page
    page.context.clear_cookies()
    page.goto(f"{base}/login/?next={path}")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{base}{path}")


def until(made: Site, moment: Callable[[], bool]) -> None:
    limit = time.monotonic() + SECONDS
    while not moment():
        assert time.monotonic() < limit, made.report_all()
        time.sleep(0.2)


def test_a_release_reaches_its_examiner_and_ends(served: tuple[Site, str], mail: MailServer, hook: Hook) -> None:
    made, base = served
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(120_000)
        context.add_init_script(WATCH)
        visit = Visit(context.new_page())
        visit.listen()
        secret = set_a_webhook(visit, base, hook)
        release(visit, base)
        until(made, lambda: bool(mail.arrived) and bool(hook.arrived))
        ((people, letter),) = mail.arrived
        assert (people, letter["Subject"]) == ([TO], "Plumbline: Audit A-0001 was released to you")
        assert f"{base}/released/1/" in letter.get_content()
        ((headers, body),) = hook.arrived
        stamp = headers["Plumbline-Timestamp"].encode()
        signature = hmac.new(secret.encode(), stamp + b"." + body, "sha256").hexdigest()
        assert headers["Plumbline-Signature"] == f"v1={signature}"
        examine(visit, base)
        log_in(visit, base, "ava", "/released/1/")
        visit.page.get_by_label("Its pages and files are shown no more").check()
        visit.page.get_by_role("button", name="Withdraw it now").click()
        visit.page.get_by_text("The release is withdrawn.").wait_for()
        visit.look("withdrawn")
        log_in(visit, base, "emil", "/released/1/")
        visit.page.get_by_text("This release is over").wait_for()
        visit.look("over")
        visit.keep("release-over")
        assert visit.page.goto(f"{base}/audits/A-0001/").status == 404  # type: ignore[union-attr]
        visit.page.get_by_text("A-0001: was released to you, withdrawn").wait_for()
        until(made, lambda: len(hook.arrived) == 2)
        browser.close()
    assert [item for item in visit.troubles if "404" not in item] == []


def set_a_webhook(visit: Visit, base: str, hook: Hook) -> str:
    """Set one on its page; the secret that the page shows once."""
    page = visit.page
    log_in(visit, base, "adam", "/notices/webhooks/")
    visit.look("no webhooks")
    fits_a_phone(page)
    page.get_by_label("Name").fill("SIEM")
    page.get_by_label("Address").fill(hook.url)
    page.get_by_label("An audit was released").check()
    visit.keep("webhooks")
    page.get_by_role("button", name="Set the webhook").click()
    page.get_by_text("This is its secret").wait_for()
    visit.look("a webhook")
    fits_a_phone(page)
    secret = page.locator("code.hash").first.inner_text()
    return secret


def release(visit: Visit, base: str) -> None:
    """Release by the date picker; one who did not confirm is stopped by the browser."""
    page = visit.page
    log_in(visit, base, "ava", "/audits/A-0001/")
    day = (datetime.now(UTC) + timedelta(days=9)).date().isoformat()
    page.get_by_label("Until").fill(day)
    page.get_by_label("Reason").fill("Asked for in the letter of 2 November.")
    page.get_by_role("button", name="Release it").click()
    assert page.url == f"{base}/audits/A-0001/"
    page.get_by_label("I looked at what is in it").check()
    visit.look("releasing")
    fits_a_phone(page)
    visit.keep("releasing")
    page.get_by_role("button", name="Release it").click()
    page.get_by_text("This is the cover page that they read.").wait_for()


def examine(visit: Visit, base: str) -> None:
    """The examiner's way, by keyboard where a link is followed."""
    page = visit.page
    log_in(visit, base, "emil", "/")
    page.get_by_role("heading", name="Released to me").wait_for()
    visit.look("released to me")
    fits_a_phone(page)
    visit.keep("releases")
    page.get_by_role("link", name="Notices 1 unread").press("Enter")
    page.get_by_role("link", name="Audit A-0001 was released to you").wait_for()
    visit.look("notices")
    fits_a_phone(page)
    visit.keep("notices")
    page.get_by_role("link", name="What I am told").click()
    visit.look("what I am told")
    fits_a_phone(page)
    visit.keep("notice-choices")
    page.get_by_role("link", name="Notices", exact=True).first.click()
    page.get_by_role("button", name="Mark all as read").click()
    page.get_by_text("1 notice marked as read.").wait_for()
    page.get_by_role("link", name="Audit A-0001 was released to you").click()
    page.get_by_role("heading", name="What is not in it").wait_for()
    visit.look("cover")
    fits_a_phone(page)
    visit.keep("release")
    with page.expect_download() as taken:
        page.get_by_role("link", name="Download result.json").click()
    sha256 = hashlib.sha256(Path(taken.value.path()).read_bytes()).hexdigest()
    assert f"{sha256}  {taken.value.suggested_filename}" in page.locator("pre").first.inner_text()
    page.get_by_role("link", name="Read the audit").click()
    page.get_by_role("link", name="Cover page").wait_for()
    visit.look("a released audit")
