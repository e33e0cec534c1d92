"""Long tables of an audit's numbers: not on its page, each with an address, for whoever may read the audit."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from compliance.dashboard.audit_views import _told
from compliance.models import Audit
from reports import sections
from reports.blocks import Numbers
from reports.html import LONG, numbers_of
from tests.compliance.factories import make_audit

EVERY = "/audits/A-0001/numbers/every/"
OPENED = {"HX-Request": "true"}


def tables(audit: Audit) -> list[Numbers]:
    """Every table of numbers of the page, from the sections that it is set from."""
    told, _, _ = _told(audit)
    kinds = [kind for room in sections.ROOMS for kind in sections.sections_in(room.id)]
    return [item for kind in kinds for item in numbers_of(kind.blocks(told))]


def test_a_page_of_an_audit_waits_with_long_tables_and_sets_short_ones(signed_in: Client, finished: Audit) -> None:
    page = signed_in.get("/audits/A-0001/").content.decode()
    shown = tables(finished)
    long = [item for item in shown if len(item.measurements) > LONG]

    assert {"every", "rates"} <= {item.name for item in long}
    assert {"effects", "margin-shift"} <= {item.name for item in shown if item not in long}
    for item in shown:
        assert (f'hx-get="{reverse("numbers", args=[finished.number, item.name])}"' in page) is (item in long)
        assert (f'aria-label="{escape(item.title)}, table"' in page) is (item not in long)


def test_no_two_tables_share_an_address(finished: Audit) -> None:
    names = [item.name for item in tables(finished)]
    assert len(names) == len(set(names)) > 12


def test_each_table_stands_at_its_address_whole(signed_in: Client, finished: Audit) -> None:
    for item in tables(finished):
        page = signed_in.get(reverse("numbers", args=[finished.number, item.name])).content.decode()
        assert "<title>" in page, item.name
        assert page.count('<th scope="row">') == len(item.measurements), item.name


def test_the_numbers_of_a_section_that_is_opened_have_an_address_too(signed_in: Client, finished: Audit) -> None:
    page = signed_in.get("/audits/A-0001/numbers/power/").content.decode()
    assert page.count('<th scope="row">') == finished.measurements.filter(role="primary").count() > 0


def test_what_a_page_opens_is_the_table_alone(signed_in: Client, finished: Audit) -> None:
    part = signed_in.get(EVERY, headers=OPENED).content.decode()

    assert "<title>" not in part
    assert part.lstrip().startswith("<div")
    assert part.count('<th scope="row">') == finished.measurements.count()


def test_tables_that_do_not_exist_and_audits_without_numbers_are_not_found(signed_in: Client, finished: Audit) -> None:
    make_audit(name="waits")

    assert signed_in.get("/audits/A-0001/numbers/effects%27/").status_code == 404
    assert signed_in.get("/audits/A-0002/numbers/every/").status_code == 404


def test_a_table_is_read_by_whoever_may_read_its_audit(client: Client, finished: Audit) -> None:
    assert client.get(EVERY).status_code == 302
    client.force_login(User.objects.create_user("of nobody"))
    for headers in ({}, OPENED):
        assert client.get(EVERY, headers=headers).status_code == 404


def test_its_address_is_named_by_the_audit(finished: Audit) -> None:
    assert reverse("numbers", args=[finished.number, "every"]) == EVERY
