"""Long tables of an audit's numbers: not on its page, each with an address, for whoever may read the audit."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from compliance.models import Audit
from tests.compliance.factories import make_audit

EVERY = "/audits/A-0001/numbers/every/"
OPENED = {"HX-Request": "true"}


def test_a_page_of_an_audit_waits_with_long_tables_and_sets_short_ones(signed_in: Client, finished: Audit) -> None:
    page = signed_in.get("/audits/A-0001/").content.decode()
    shown = signed_in.get("/audits/A-0001/").context
    behind = [item.behind for item in shown["charts"]]

    assert shown["every"].long
    assert any(item.long for item in behind)
    assert not all(item.long for item in behind)
    for item in (shown["every"], *behind):
        assert (f'hx-get="{item.address}"' in page) is item.long
        assert (f'aria-label="{escape(item.label)}, table"' in page) is not item.long


def test_each_table_stands_at_its_address_whole(signed_in: Client, finished: Audit) -> None:
    shown = signed_in.get("/audits/A-0001/").context
    for item in (shown["every"], *(chart.behind for chart in shown["charts"])):
        page = signed_in.get(item.address).content.decode()
        assert "<title>" in page, item.name
        assert page.count('<th scope="row">') == len(item.items), item.name


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
