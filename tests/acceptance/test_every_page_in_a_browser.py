"""Every page of the site that the resolver knows, in one Chromium: light and dark, 1280 and 390 pixels.

The table of addresses is that of test_access_of_every_address.py, which no address is missing from. Beside it stand the
pages that need something of their own: a mapping, links, an examiner's door, refusals. Of each: one title, nothing
refused by the policy, nothing that slides sideways, no title with a line a word, nothing that axe calls serious.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.template.loader import render_to_string
from django.test import Client
from playwright.sync_api import Browser, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from compliance import actions
from compliance.access.first_run import first_run_link
from compliance.access.roles import Role
from compliance.models import Registration, default_team
from tests.acceptance.test_admin_in_a_browser import CHROMIUM, QUIET, WATCH
from tests.acceptance.test_pages_in_a_browser import SCHEMES, WIDTHS
from tests.compliance.messy import messy_csv
from tests.compliance.teams import WORKING, make_person, rows_of
from tests.compliance.test_access_of_every_address import LINES

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium, or set PLUMBLINE_TEST_CHROMIUM"),
]

#: Addresses that answer with something else than a page of their own.
NO_PAGE = ("session/", "healthz", "readyz", "findings/<finding:number>/files/<key:pk>/", "help/pictures/<str:name>",
           "register/<uuid:public_id>/part/")  # fmt: skip
#: What of axe hangs on light and width; everything else is the same in all four and asked once.
SEEN = ("color-contrast", "link-in-text-block", "scrollable-region-focusable")
ERRORS = ("400", "403", "403_form", "404", "405", "409", "413", "429", "500", "503")
#: Titles of three words or more that have as many lines as words.
LINE_A_WORD = """() => [...document.querySelectorAll('h1, h2, h3, caption, legend, tbody th')].filter(title => {
    const words = title.textContent.trim().split(/\\s+/).length, box = title.getBoundingClientRect();
    if (words < 3 || !box.width || title.matches('.sr')) return false;
    const range = document.createRange();
    range.selectNodeContents(title);
    const lines = new Set([...range.getClientRects()].filter(line => line.width > 1).map(line => Math.round(line.top)));
    return lines.size >= words;
}).map(title => title.textContent.trim().slice(0, 60))"""
BEYOND = """width => [...document.querySelectorAll('main *')].filter(item => item.getBoundingClientRect().right > width
    && !item.closest('.scroll')).map(item => item.outerHTML.slice(0, 120)).slice(-1)"""
OPEN = "document.querySelectorAll('details').forEach(item => item.open = true)"


@dataclass
class Seen:
    """What one reader's pages are: path by name, and the session that opens them."""

    session: str
    paths: dict[str, str] = field(default_factory=dict)


def session_of(user: User) -> str:
    client = Client()
    client.force_login(user)
    return client.cookies["sessionid"].value


@pytest.fixture
def readers(transactional_db: None, settings: LazySettings, tmp_path: Path) -> list[Seen]:
    """Who opens what: somebody with every role, an examiner, somebody without a role, and nobody."""
    settings.DATA_FOLDER, settings.KEYS_FILE = tmp_path / "data", tmp_path / "keys"
    nobody = Seen("", {"login": "/login/"})
    secret = first_run_link("http://here/")
    assert secret is not None
    nobody.paths["first run"] = secret.removeprefix("http://here")
    actions.load_shipped_packs()
    rows = rows_of(default_team(), name="seen")
    everybody = make_person("everybody", default_team(), WORKING, is_staff=True)
    pages = Seen(session_of(everybody))
    for route, line in LINES.items():
        ours = not route.startswith("admin/")  # which test_admin_in_a_browser.py opens
        if line.method == "get" and line.allowed == 200 and ours and route not in NO_PAGE:
            pages.paths[route] = line.path.format(**rows)
    client = Client()
    client.force_login(everybody)
    table = {"team": default_team().pk, "name": "Loans", "file": SimpleUploadedFile("loans.csv", messy_csv())}
    assert client.post("/register/data/", table).status_code == 302
    pages.paths["a mapping"] = f"/register/{Registration.objects.latest('pk').public_id}/"
    invited = {"team": default_team().pk, "name": "Iva", "role": Role.VALIDATOR}
    link = client.post("/people/invite/", invited, follow=True).context["made"]
    nobody.paths |= {"an invitation": "/" + link.split("/", 3)[3], "a used link": "/join/x/"}
    examiner = User.objects.get(username="examiner seen")
    return [
        pages,
        Seen(session_of(examiner), {"released to me": "/", "cover": f"/released/{rows['release'].pk}/"}),
        Seen(session_of(make_person("clerk")), {"refused": "/audits/", "not found": "/nothing/"}),
        nobody,
    ]


@pytest.fixture
def errors() -> dict[str, str]:
    """The pages of refusals as the site renders them, by their addresses."""
    return {f"/errors/{name}/": render_to_string(f"{name}.html") for name in ERRORS}


@pytest.fixture
def browser(readers: list[Seen]) -> Iterator[Browser]:  # Playwright keeps an event loop, where Django refuses to ask
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield opened
        opened.close()


def test_every_page_is_quiet_accessible_and_fits_in_both_lights_and_widths(
    readers: list[Seen], errors: dict[str, str], live_server: LiveServer, browser: Browser
) -> None:
    found: list[str] = []
    opened = 0
    for reader in readers:
        context = browser.new_context(base_url=live_server.url, reduced_motion="reduce")
        context.set_default_timeout(120_000)
        context.add_init_script(WATCH)
        if reader.session:
            context.add_cookies([{"name": "sessionid", "value": reader.session, "url": live_server.url}])
        page, heard = context.new_page(), []
        page.on("console", lambda said, heard=heard: heard.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error, heard=heard: heard.append(str(error)))
        paths = dict(reader.paths)
        if not reader.session:
            page.route("**/errors/*/", lambda route: route.fulfill(
                body=errors[route.request.url.removeprefix(live_server.url)], content_type="text/html; charset=utf-8"
            ))  # fmt: skip
            paths |= {path: path for path in errors}
        for name, path in paths.items():
            page.emulate_media(color_scheme=SCHEMES[0])
            page.set_viewport_size({"width": WIDTHS[0], "height": 900})
            page.goto(path)
            page.wait_for_load_state()
            said = [line for line in heard if "Failed to load resource" not in line]
            found += [f"{name}: {line}" for line in [*said, *looked_at(page)]]
            heard.clear()  # axe itself copies style sheets in ways that the policy rightly refuses
            opened += 1
        context.close()
    assert opened > 60
    assert not found, "\n".join(found)


def looked_at(page: Page) -> list[str]:
    """What is wrong with the page that is open, in any light and width."""
    found = []
    titles = page.locator("h1").count()
    if titles != 1:
        found.append(f"{titles} titles")
    if page.evaluate("getComputedStyle(document.querySelector('body')).marginTop") != "0px":
        found.append("no stylesheet")
    page.evaluate(OPEN)
    page.evaluate(Axe().axe_script)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            found.append(f"{wide} px at {width}: {page.evaluate(BEYOND, width)}")
        found += [f"a line a word at {width}: {title}" for title in page.evaluate(LINE_A_WORD)]
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            whole = (width, scheme) == (WIDTHS[0], SCHEMES[0])
            options = "" if whole else f"runOnly: {list(SEEN)}, "
            answer = page.evaluate(f"axe.run({{{options}resultTypes: ['violations']}})")
            assert answer["passes"] or answer["inapplicable"], "axe looked at nothing"
            found += [
                f"{item['id']} ({item['impact']}), {scheme} {width}: {item['nodes'][0]['html'][:160]}"
                for item in answer["violations"]
                if item["impact"] in ("serious", "critical")
            ]
    return found
