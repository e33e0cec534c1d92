"""The officers' day in a real Chromium: five people, five browsers, a tiny model with a bias that was put into it.

From the invitations and an unmapped table to closed, accepted and rejected findings, an examiner who checks what was
released to him, and an audit that starts by itself weeks later. The first version of the model counts against women
and against two groups by race; the second no longer counts against women.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.acceptance import five_people as steps
from tests.acceptance.commands import manage
from tests.acceptance.five_people import Office, days_later, served
from tests.acceptance.planted import planted_model
from tests.acceptance.sites import site
from tests.acceptance.test_admin_in_a_browser import CHROMIUM, QUIET
from tests.compliance.messy import messy_csv
from tests.language_models.tiny import save_tiny
from tests.receivers import Hook, MailServer
from tests.servers import free_port

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium, or set PLUMBLINE_TEST_CHROMIUM"),
]

SHARED = Path(__file__).parents[1] / "data" / "cases" / "18-semicolons" / "german.csv"
ADDRESS = "erik@regulator.example"
COMMENTS = "Say in the title which loans."
REASON = "Asked for in the letter of 2 November."
AGAINST = 10.0
#: Codes of the table and what Olga says of them. Sex in one letter each: the tiny model reads a prompt's length too.
RACE = {"1": "White", "2": "Black", "3": "Hispanic"}
SEX = {"1": "M", "2": "F"}


def cut(plan: Any) -> None:
    """A proposed plan for a model that knows two answers and reads letter by letter."""
    plan["cases"]["limit"] = 100
    plan["noise"]["reask"] = 5
    plan["thresholds"] = {"practical_rate": 0.1, "equivalence_rate": 0.1}
    plan["operating_point"] = {"natural_margin": -2.0}
    plan["prompt"]["answers"] = {"favourable": ["Y"], "adverse": ["N"], "mass_floor": 0.0}
    plan["budget"] = {"threads": 1, "pack_tokens": 512, "chunk_tokens": 2000, "max_prompt_tokens": 500}


@pytest.fixture
def versions(tmp_path: Path) -> tuple[Path, Path]:
    """The model as it is, which counts the letters of Black, Hispanic and F against people; and after the fix."""
    folder = tmp_path / "imports"
    first = save_tiny(folder / "first", model=planted_model("BHF", AGAINST))
    return first, save_tiny(folder / "second", model=planted_model("BH", AGAINST))


@pytest.fixture
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


def test_the_day_of_five_people(
    chromium: Browser, versions: tuple[Path, Path], mail: MailServer, hook: Hook, tmp_path: Path
) -> None:
    data, port = tmp_path / "data", free_port()
    data.mkdir()
    settings = {
        "PLUMBLINE_MAIL_HOST": "127.0.0.1",
        "PLUMBLINE_MAIL_PORT": str(mail.port),
        "PLUMBLINE_URL": f"http://127.0.0.1:{port}",
        "PLUMBLINE_WEBHOOK_NETWORKS": "127.0.0.0/8",
        "PLUMBLINE_IMPORTS": str(tmp_path / "imports"),
        "PLUMBLINE_MODELS": str(tmp_path / "models"),
        "PLUMBLINE_LEASE_SECONDS": "60",
    }
    with site(data, tmp_path / "none.toml", **settings) as made:
        office = Office(made, f"http://127.0.0.1:{port}", chromium)
        with served(made, port=port) as printed:
            secret = people_and_registers(office, printed, versions[0], mail, hook)
            design = a_design_comes_back_and_is_approved(office)
            first = steps.run(office, design)
            accepted = findings_are_settled(office, versions[1])
            steps.release(office, first, reason=REASON)
            taken = steps.examine(office, first, reason=REASON, into=tmp_path)
            office.until(lambda: len(mail.arrived) == 2 and "release" in kinds(hook))
            assert mail.arrived[1][1]["Subject"] == f"Plumbline: Audit {first} was released to you"
            again = steps.schedule(office, design, first=steps.day(30))
            opened = kinds(hook).count("finding_opened")
        by_the_files_alone(taken, tmp_path / "elsewhere")
        with served(made, port=port, **days_later(tmp_path / "later")):
            weeks_later(office, again, accepted)
            office.until(lambda: kinds(hook).count("audit_finished") == 3)
        assert kinds(hook).count("finding_opened") == opened + 1
        told_once_and_signed(hook, secret)
        assert office.troubles == []
        checked = manage(data, "verify", "--events", **settings)
        assert (checked.returncode, checked.stderr) == (0, "")


def people_and_registers(office: Office, printed: str, first: Path, mail: MailServer, hook: Hook) -> str:
    """Accounts, notices, the model, two tables; the webhook's secret."""
    steps.first_administrator(office, printed)
    steps.invite_everybody(office)
    steps.give_second_roles(office)
    steps.confirm_an_address(office, mail, address=ADDRESS)
    secret = steps.set_a_webhook(office, hook)
    steps.register_version(office, first)
    page = steps.upload(office, SHARED.name, SHARED.read_bytes())
    steps.register_table(page)
    page = steps.upload(office, "loans.csv", messy_csv())
    shown = page.inner_text("main")
    for private in ("Schmidt", "100-10-1000", "01.03.1950", "called on day"):
        assert private not in shown
    steps.mean(page, "Race Cd", RACE)
    steps.mean(page, "Sex Code", SEX)
    steps.register_table(page)
    return secret


def a_design_comes_back_and_is_approved(office: Office) -> str:
    """From the table to a design, back with comments, and approved as its second version; the address of that."""
    steps.write_a_plan(office.sit("olga"), use="Consumer loans", cut=cut)
    steps.decide(office, "victor", said=COMMENTS, back=True)
    design = steps.correct(office, comments=COMMENTS, title="Consumer loans below 100,000")
    steps.decide(office, "victor", said="Read against the policy.")
    return design


def findings_are_settled(office: Office, second: Path) -> str:
    """One is closed by a second person after a retest, one is rejected by two, one accepted; the number of the last."""
    found = steps.findings_of(office)
    closed, accepted, rejected = (
        next(number for number, words in found.items() if f"to {group}: fewer" in words)
        for group in ("F", "Black", "Hispanic")
    )
    steps.move(office, "olga", closed, "Acknowledge", "Acknowledged")
    steps.answer(office, closed)
    steps.move(office, "olga", closed, "Plan the action", "Action planned")
    steps.move(office, "olga", closed, "Start remediation", "In remediation")
    steps.register_version(office, second)
    steps.attach_the_fix(office, closed)
    steps.move(office, "olga", closed, "Hand over for validation", "Ready for validation")
    again = steps.retest(office, closed)
    page = office.at("olga", f"/findings/{closed}/")
    assert not steps.form(page, "Close").count()  # she answers for it
    why = {"Rationale": f"{again} no longer shows it."}
    steps.move(office, "victor", closed, "Close", "Closed after validation", why)

    steps.move(office, "olga", accepted, "Acknowledge", "Acknowledged")
    why = {"Rationale": "A person reads every proposal until then.", "Accepted until": steps.day(30)}
    steps.move(office, "petra", accepted, "Accept the risk", "Risk accepted", why)

    steps.propose_a_rejection(office, "victor", rejected, why="The same applications are held against F-0001.")
    steps.move(office, "petra", rejected, "Reject", "Rejected with rationale")
    return accepted


def by_the_files_alone(taken: list[Path], elsewhere: Path) -> None:
    """What the examiner took away is checked where nothing of the installation is."""
    checked = manage(elsewhere, "verify", *taken)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert ": equal, to the last byte, to the report that is set again from" in checked.stdout


def weeks_later(office: Office, again: str, accepted: str) -> None:
    """The day of the schedule has come, and that of the acceptance; the release is over."""
    page = office.log_in("olga")
    page.goto(again)
    steps.wait_for(page, "A-0003")
    page.get_by_role("link", name="A-0003").first.click()
    page.get_by_text("asked for by olga").first.wait_for()
    steps.concluded(page)
    page.goto(f"/findings/{accepted}/")
    page.locator(".head .state", has_text="Open").wait_for()
    page = office.log_in("erik")
    page.goto("/released/1/")
    page.get_by_text("This release is over").wait_for()


def kinds(hook: Hook) -> list[str]:
    """What the receiver was told of, in turn."""
    return [str(json.loads(body)["kind"]) for _, body in hook.arrived]


def told_once_and_signed(hook: Hook, secret: str) -> None:
    """Nothing arrived at the receiver twice, and all of it bears the signature of the secret."""
    assert len({json.loads(body)["id"] for _, body in hook.arrived}) == len(hook.arrived)
    for headers, body in hook.arrived:
        stamp = headers["Plumbline-Timestamp"].encode()
        signature = hmac.new(secret.encode(), stamp + b"." + body, "sha256").hexdigest()
        assert headers["Plumbline-Signature"] == f"v1={signature}"
