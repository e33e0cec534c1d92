"""The lists of the site and the pages of its registers in a real Chromium: quiet, accessible, used without scripts.

``PLUMBLINE_TEST_PICTURES=docs/pictures`` also writes their pictures there.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from compliance.models import DataSetVersion, PlanVersion, PolicyPackVersion
from tests.acceptance.test_admin_in_a_browser import CHROMIUM
from tests.acceptance.test_pages_in_a_browser import (
    SCHEMES,
    WIDTHS,
    browser,
    open_page,
    pages,
    serious,
    session,
    take_picture,
    versions,
)

__all__ = ["browser", "pages", "session", "versions"]  # fixtures
#: Of which pictures are kept, beside those that are looked at alone.
PICTURED = ("models", "data-set", "events")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium, or set PLUMBLINE_TEST_CHROMIUM"),
]


@pytest.fixture
def lists(pages: dict[str, str]) -> dict[str, str]:
    """The address of every list, and of a page of every register."""
    pack = PolicyPackVersion.objects.get(pack_id="us-ecoa-regb")
    first_data, first_plan = DataSetVersion.objects.order_by("pk")[0], PlanVersion.objects.order_by("pk")[0]
    return {
        "models": "/models/",
        "audits": "/audits/?state=done&sort=oldest&column=plan&column=state&column=conclusion",
        "findings": "/findings/",
        "plans": "/plans/",
        "plan": f"/plans/{first_plan.pk}/",
        "data-sets": "/data/",
        "data-set": f"/data/{first_data.pk}/",
        "systems": "/systems/",
        "register": "/register/",
        "packs": "/packs/",
        "pack": f"/packs/{pack.pk}/",
        "releases": "/releases/",
        "workers": "/workers/",
        "events": "/events/",
        "no-event": "/events/?q=nothing+of+the+kind",
        "request": "/audits/request/",
        "cases": "/audits/A-0003/cases/",
    }


def test_every_list_is_quiet_and_accessible_in_both_lights_and_widths(
    lists: dict[str, str], live_server: LiveServer, browser: Browser, session: str
) -> None:
    folder, troubles = os.environ.get("PLUMBLINE_TEST_PICTURES"), list[str]()

    def failed(error: object) -> None:
        troubles.append(str(error))

    for scheme in SCHEMES:
        for width in WIDTHS:
            page = open_page(browser, live_server, session, scheme=scheme, width=width)
            page.on("pageerror", failed)
            for name, address in lists.items():
                answer = page.goto(address)
                assert answer is not None
                assert answer.status == 200, name
                if page.evaluate("document.documentElement.scrollWidth") > width:
                    troubles.append(f"{name} scrolls sideways at {width}")
                if folder and (name in PICTURED or "docs" not in folder):
                    take_picture(page, Path(folder) / f"{name}-{scheme}-{width}.png")
                page.evaluate("document.querySelectorAll('details').forEach(item => item.open = true)")
                if page.evaluate("document.documentElement.scrollWidth") > width:
                    troubles.append(f"{name}, opened, scrolls sideways at {width}")
                if name == "events" and folder and "docs" not in folder:
                    take_picture(page, Path(folder) / f"opened-{scheme}-{width}.png")
                troubles += serious(page)
            page.context.close()
    assert not troubles, "\n".join(sorted(set(troubles)))


def test_a_list_is_narrowed_its_columns_chosen_and_the_view_kept_without_scripts(
    lists: dict[str, str], live_server: LiveServer, browser: Browser, session: str
) -> None:
    page = open_page(browser, live_server, session, scripts=False)
    page.goto("/audits/")
    page.get_by_label("Search").fill("small")
    page.get_by_role("combobox", name="State").select_option(label="Stopped, paused or failed")
    page.get_by_text("Columns", exact=True).click()
    page.get_by_role("checkbox", name="Requested by").check()
    page.get_by_role("checkbox", name="Findings").uncheck()
    page.get_by_role("button", name="Filter").click()
    rows = page.locator("table.data tbody tr")
    expect(rows).to_have_count(1)
    heads = page.locator("table.data thead th").all_inner_texts()
    assert any("Requested by" in head for head in heads)
    assert not any("Findings" in head for head in heads)
    kept = page.url

    page.get_by_text("Save this view").click()
    page.get_by_label("Name of what is shown now").fill("Stopped ones")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("The view Stopped ones is saved.")
    page.goto("/audits/")
    assert rows.count() > 1
    page.get_by_role("navigation", name="Saved views").get_by_role("link", name="Stopped ones").click()
    expect(rows).to_have_count(1)
    assert "state=stopped" in kept
    page.get_by_text("Save or remove a view").click()
    page.get_by_role("button", name="Remove Stopped ones").click()
    expect(page.get_by_role("status")).to_contain_text("The view Stopped ones is removed.")
    assert page.get_by_role("navigation", name="Saved views").count() == 0


def test_the_rest_of_the_navigation_is_opened_with_a_key_and_says_where_one_is(
    lists: dict[str, str], live_server: LiveServer, browser: Browser, session: str
) -> None:
    for width in WIDTHS:
        page = open_page(browser, live_server, session, scripts=False, width=width)
        page.goto("/audits/")
        main = page.get_by_role("navigation", name="Main")
        assert not main.get_by_role("link", name="Event log").is_visible()
        main.locator("summary").focus()
        page.keyboard.press("Enter")
        main.get_by_role("link", name="Event log").click()
        expect(page.get_by_role("heading", name="Event log")).to_be_visible()
        assert "you are in Event log" in str(main.locator("summary").text_content())
        page.get_by_label("Object").fill("A-0003")
        page.get_by_label("From (UTC)").fill(f"{timezone.now():%Y-%m-%d}")
        page.get_by_role("button", name="Filter").click()
        page.wait_for_load_state()
        found = page.locator("table.data tbody tr")
        assert found.count() > 0
        assert {text.strip() for text in found.locator("td a").all_inner_texts()} == {"A-0003"}
        page.context.close()
