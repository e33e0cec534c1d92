"""The officers' pages in a real Chromium, light and dark, wide and narrow: quiet, accessible, keyboard-usable.

``PLUMBLINE_TEST_PICTURES=docs/pictures`` also writes the pictures of the main pages there; those of the first steps and
of a running audit come from test_first_run_in_a_browser.py, where both are real.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, Locator, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from compliance import actions
from compliance.access.roles import Role
from compliance.dashboard.cases import filter_of, find_cases
from compliance.dashboard.evidence import open_evidence
from compliance.execution.ledger import DatabaseLedger
from compliance.governance.finding_states import FindingState
from compliance.models import Audit, FindingRecord, Membership, NotePurpose, Registration, Team, Worker, default_team
from compliance.registry.demonstration import ask_for
from tests.acceptance.test_admin_in_a_browser import CHROMIUM, QUIET, SECRET, WATCH
from tests.compliance.factories import ACTOR, make_audit
from tests.compliance.finished import finish, simulate
from tests.compliance.governed import actor_of
from tests.compliance.teams import make_person
from tests.once import once

PAIRS = "/audits/A-0003/cases/?arm=race=White|race=Black"
PICTURES = {
    "home": "/",
    "audit": "/audits/A-0003/",
    "cases": PAIRS,
    "model": "/models/{model}/",
    "findings": "/findings/",
    "finding": "/findings/F-0001/",
    "help": "/help/",
}
#: Read in German too.
GERMAN = {"home-german": "/", "finding-german": "/findings/F-0001/"}
WIDTHS, SCHEMES = (1280, 390), ("light", "dark")
TALLEST = 2600
#: Tables that officers read first: nothing of them is hidden at the edge, on a phone either.
SEEN_WHOLE = {
    "audit": "#controls .scroll",
    "cases": "[aria-labelledby=list] .scroll",
    "every number": ".scroll",
    "home": "[aria-labelledby=tiers] .scroll",
    "home-german": "[aria-labelledby=tiers] .scroll",
}
HIDDEN = "boxes => boxes.filter(box => box.scrollWidth > box.clientWidth).map(box => box.scrollWidth)"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium, or set PLUMBLINE_TEST_CHROMIUM"),
]


@pytest.fixture(scope="session")
def versions() -> list[Path]:
    """Evidence of one plan on three versions of a model."""
    made = (("first", -1.4), ("second", -0.9), ("third", -0.35))
    return [once(f"version-{name}", partial(simulate, weights=name, bias=bias)) for name, bias in made]


@pytest.fixture
def pages(transactional_db: None, versions: list[Path], settings: LazySettings, tmp_path: Path) -> dict[str, str]:
    """The address of every page, with three finished audits of one model and one under way; another team has none."""
    settings.DATA_FOLDER = tmp_path / "data"
    officer = User.objects.create_user("officer", password=SECRET)
    cards = Team.objects.create(name="Cards")
    for team in (default_team(), cards):
        Membership.objects.create(team=team, user=officer, role=Role.COMPLIANCE_OFFICER)
    for role in (Role.MODEL_OWNER, Role.APPROVER):  # so that the page of a finding has all its forms
        Membership.objects.create(team=default_team(), user=officer, role=role)
    Worker.objects.create(key="k", host="worker-1", queues=["audits"], seen_at=timezone.now() + timedelta(minutes=9))
    ask_for(Registration.DATA, team=cards, actor=ACTOR)
    now = timezone.now()
    for days, base in zip((800, 390, 200), versions, strict=True):
        audit = finish(base, finished_at=now - timedelta(days=days), governed=days < 800)
    work_on(FindingRecord.objects.get(serial=1))
    stopped = make_audit(name="stopped")
    actions.fail_audit(audit=stopped, error="no space left on the device", actor=ACTOR)
    under_way(make_audit(name="under way", chunks=24))
    case = find_cases(open_evidence(audit), filter_of("role:counterfactual")).rows[0]["id"]
    return {
        **{name: address.format(model=audit.model_id) for name, address in PICTURES.items()},
        **GERMAN,
        "first steps": "/first-steps/",
        "under way": "/audits/A-0005/",
        "models": "/models/",
        "audits": "/audits/",
        "overdue findings": "/findings/?overdue=yes&sort=due",
        "no finding": "/findings/?q=nothing+of+the+kind",
        "unfinished": "/audits/A-0004/",
        "every number": "/audits/A-0003/numbers/every/",
        "design": "/audits/A-0003/sections/test_design_and_power/",
        "data": "/audits/A-0003/sections/data_and_test_cases/",
        "all cases": "/audits/A-0003/cases/",
        "no case": "/audits/A-0003/cases/?outcome=invalid",
        "case": f"/audits/A-0003/cases/{case}/",
        "missing": "/audits/A-0009/",
        "glossary": "/help/glossary/",
        "document": "/help/findings/",
        "long document": "/help/site/",
    }


def work_on(record: FindingRecord) -> None:
    """Lead a finding to its remediation, with an owner, a file and a second person who may decide on it."""
    olga, vera = (make_person(*who) for who in (("olga", default_team(), [Role.MODEL_OWNER]),
                                                ("vera", default_team(), [Role.APPROVER])))  # fmt: skip
    actor = actor_of(olga)
    actions.answer_finding(
        record=record, revision=record.revision, owner=olga, due=timezone.now().date() + timedelta(days=40),
        response="The instruction names the field. We agree with what was seen.",
        remediation="Leave the field out of the prompt, and run the same design on the next version.", actor=actor,
    )  # fmt: skip
    for state in (FindingState.ACKNOWLEDGED, FindingState.ACTION_PLANNED):
        actions.move_finding(record=record, to=state, actor=actor)
    actions.note_finding(record=record, text="Read with the model's owner.", actor=actor_of(vera))
    actions.note_finding(
        record=record, name="change-request-118.txt", content=b"Field taken out.", purpose=NotePurpose.FIX, actor=actor
    )


def under_way(audit: Audit) -> None:
    """Bring it to nearly half of its chunks."""
    ledger = DatabaseLedger(audit)
    for index in range(11):
        assert ledger.claim(index)
        assert ledger.complete(index, b"{}")


@pytest.fixture
def session(pages: dict[str, str]) -> str:
    """The officer's session. Opened before the browser starts: Playwright keeps an event loop, where Django refuses."""
    client = Client()
    client.force_login(User.objects.get(username="officer"))
    return client.cookies["sessionid"].value


@pytest.fixture
def browser(session: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


def open_page(
    browser: Browser,
    server: LiveServer,
    session: str,
    *,
    scheme: str = "light",
    width: int = 1280,
    scripts: bool = True,
) -> Page:
    """A page of the officer, who has signed in."""
    context = browser.new_context(
        base_url=server.url,
        color_scheme=scheme,
        viewport={"width": width, "height": 900},
        reduced_motion="reduce",
        java_script_enabled=scripts,
    )
    context.set_default_timeout(120_000)
    context.add_init_script(WATCH)
    context.add_cookies([{"name": "sessionid", "value": session, "url": server.url}])
    return context.new_page()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_is_quiet_and_accessible(
    pages: dict[str, str], live_server: LiveServer, browser: Browser, session: str, scheme: str, width: int
) -> None:
    page = open_page(browser, live_server, session, scheme=scheme, width=width)
    troubles: list[str] = []
    page.on("console", lambda said: troubles.append(f"{page.url}: {said.text}") if said.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(f"{page.url}: {error}"))
    for name, address in pages.items():
        opened, german = len(troubles), name in GERMAN
        page.set_extra_http_headers({"Accept-Language": "de" if german else "en"})
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == (404 if name == "missing" else 200), name
        if name == "missing":
            del troubles[opened:]  # the browser itself says that nothing was found
        assert page.locator("html[lang=de]").count() == german, name
        assert page.evaluate("getComputedStyle(document.querySelector('.bar')).display") == "flex", "no stylesheet"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} scrolls sideways"
        if name in SEEN_WHOLE:
            tables = page.locator(SEEN_WHOLE[name])
            assert tables.count(), name
            assert tables.evaluate_all(HIDDEN) == [], f"{name}: a table runs off the edge"
        folder = os.environ.get("PLUMBLINE_TEST_PICTURES")
        if folder and (name in PICTURES or (german and (scheme, width) == (SCHEMES[0], WIDTHS[0]))):
            take_picture(page, Path(folder) / f"{name}-{scheme}-{width}.png")
        page.evaluate("document.querySelectorAll('details').forEach(item => item.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name}, opened, scrolls sideways"
        opened = len(troubles)
        found = serious(page)
        del troubles[opened:]  # axe itself copies style sheets in ways that the policy rightly refuses
        troubles += found
    assert not troubles, "\n".join(sorted(set(troubles)))


def test_pages_are_used_from_the_keyboard_in_the_order_they_are_read(
    pages: dict[str, str], live_server: LiveServer, browser: Browser, session: str
) -> None:
    page = open_page(browser, live_server, session)
    for name in ("home", "audit", "cases", "model"):
        page.goto(pages[name])
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to content", name
        seen = [page.evaluate(PLACE)]
        for _ in range(400):
            page.keyboard.press("Tab")
            place = page.evaluate(PLACE)
            if place["index"] < 0:
                break
            seen.append(place)
        order = [item["index"] for item in seen]
        assert order == sorted(order), f"{name}: focus jumps"
        assert len(seen) > 15, name
        unseen = [item["name"] for item in seen if not item["outlined"]]
        assert not unseen, f"{name}: no focus is seen on {unseen[:3]}"


def test_a_short_table_opens_with_a_key_and_a_long_one_comes_when_it_is_opened(
    pages: dict[str, str], live_server: LiveServer, browser: Browser, session: str
) -> None:
    troubles: list[str] = []
    page = open_page(browser, live_server, session)
    page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    page.goto(pages["audit"])
    table = page.locator("#outputs figure details").first
    table.locator("summary").focus()
    page.keyboard.press("Enter")
    table.locator("table").wait_for()

    every = page.locator("#outputs > [lang=en] > details[hx-get$='/every/']")
    assert every.locator("table").count() == 0
    wanted = announced(every)
    every.locator("summary").focus()
    page.keyboard.press("Enter")
    every.locator("table tbody tr").first.wait_for()
    assert every.locator("table tbody tr").count() == wanted > 20

    design = page.locator("#more > details[hx-get$='/test_design_and_power/']")
    design.locator("summary").first.focus()
    page.keyboard.press("Enter")
    design.locator("figure svg").wait_for()
    assert design.locator(".pairs dt").first.is_visible()
    # A table inside what was opened comes, or opens, the same way.
    power = design.locator("figure details")
    power.locator("summary").focus()
    page.keyboard.press("Enter")
    power.locator("table tbody tr").first.wait_for()
    assert troubles == []


def test_long_tables_are_read_without_scripts(
    pages: dict[str, str], live_server: LiveServer, browser: Browser, session: str
) -> None:
    page = open_page(browser, live_server, session, scripts=False)
    page.goto(pages["audit"])
    every = page.locator("#outputs > [lang=en] > details[hx-get$='/every/']")
    every.locator("summary").click()
    wanted = announced(every)
    every.locator("a").click()
    page.wait_for_load_state()
    assert page.url.endswith(pages["every number"])
    assert page.locator("table tbody tr").count() == wanted > 20


def announced(table: Locator) -> int:
    """How many numbers a table that was not fetched yet says it has."""
    return int(table.locator("a").text_content().partition(" numbers ")[0].rpartition(" ")[2].replace(",", ""))


def test_the_first_steps_look_again_by_themselves_and_keep_the_focus(
    pages: dict[str, str], live_server: LiveServer, browser: Browser, session: str
) -> None:
    page = open_page(browser, live_server, session)
    page.goto(pages["first steps"])
    step = page.locator("#first-steps [id^=step-]").first
    name = step.get_attribute("id")
    step.focus()
    page.evaluate("document.querySelector('#first-steps').dataset.old = 'yes'")
    page.locator("#first-steps:not([data-old])").wait_for()
    assert page.evaluate("document.activeElement.id") == name


def test_printed_pages_are_light_and_leave_out_what_only_a_screen_needs(
    pages: dict[str, str], live_server: LiveServer, browser: Browser, session: str
) -> None:
    page = open_page(browser, live_server, session, scheme="dark")
    page.goto(pages["audit"])
    page.emulate_media(media="print")
    assert not page.locator(".bar").is_visible()
    assert not page.locator(".tabs").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("#verdict").is_visible()


PLACE = """() => {
    const here = document.activeElement, style = getComputedStyle(here);
    const index = here === document.body ? -1 : [...document.querySelectorAll('*')].indexOf(here);
    return {index, name: here.outerHTML.slice(0, 90), outlined: style.outlineStyle !== 'none' && index >= 0};
}"""


def serious(page: Page) -> list[str]:
    """What axe calls serious or critical."""
    response = Axe().run(page).response
    assert response["passes"], "axe looked at nothing"
    return [
        f"{page.url}: {item['id']} ({item['impact']}): {item['nodes'][0]['html'][:200]}"
        for item in response["violations"]
        if item["impact"] in ("serious", "critical")
    ]


def take_picture(page: Page, path: Path) -> None:
    """The whole page, at most so tall, with a palette: small enough to keep beside the documents."""
    from PIL import Image

    picture = Image.open(io.BytesIO(page.screenshot(full_page=True)))
    picture = picture.crop((0, 0, picture.width, min(picture.height, TALLEST))).convert("RGB")
    picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)
