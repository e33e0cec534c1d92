"""An extract of a core banking system, from the upload to a plan: recognised, nobody named, nothing left unsaid."""

from __future__ import annotations

import html
import io
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import Client

from compliance.models import PlanDraft, RegistrationState
from compliance.plans.checks import check_text
from compliance.registry.registration import perform_registration
from tests.compliance.messy import core_extract
from tests.compliance.test_tables_become_plans import browser, sent, upload  # noqa: F401

PRIVATE = ("Okafor", "Schmidt", "Haddad", "Li Wei", "High Street", "01011950", "0000000007")
ROLES = {
    "ACCT_NO": "id",
    "CUSTRACE": "protected",
    "GNDR_CD": "protected",
    "BRTH_DT": "protected",
    "ADDR_LN": "proxy",
    "AMT": "predictor",
    "OFFICER": "predictor",
    "MEMO": "predictor",
    "APP_DT": "predictor",
    "DEC_CD": "outcome",
}


def test_it_becomes_a_plan_and_no_page_names_anybody(browser: Client) -> None:  # noqa: F811
    row = upload(browser, "extract.txt", core_extract())
    address = f"/register/{row.public_id}/"
    page = browser.get(address)
    shown = [html.unescape(page.content.decode())]
    rows = {each.facts.name: each for each in page.context["columns"].every}
    assert {name: each.values["role"] for name, each in rows.items()} == ROLES
    proposal = page.context["form"].initial["mapping"]
    assert '[reading]\nheader = 2\nlast = 92\ndelimiter = "|"' in proposal
    assert "dates in 2 forms" in proposal
    checked = browser.post(address, {**sent(page), "check": ""})
    assert (checked.status_code, checked.context["error"]) == (200, "")
    shown.append(html.unescape(checked.content.decode()))
    browser.post(address, {"mapping": proposal, "agreed": proposal, "register": ""})
    perform_registration(row.pk)
    row.refresh_from_db()
    assert (row.state, row.error) == (RegistrationState.READY, "")
    shown.append(html.unescape(browser.get(address).content.decode()))
    assert row.data_version is not None
    offer = f"/plans/from/{row.data_version.pk}/"
    asked = browser.get(offer)
    shown.append(html.unescape(asked.content.decode()))
    form = {"depth": "record", "business_use": "Loans", "use_case": "credit", "place": "US", "write": "",
            "group-0": ["W", "B"], "reference-0": "W", "group-1": ["M", "F"], "reference-1": "M"}  # fmt: skip
    written = browser.post(offer, form)
    shown.append(html.unescape(browser.get(written["Location"]).content.decode()))
    checked_plan = check_text(PlanDraft.objects.get().text)
    assert checked_plan.problems == ()
    assert checked_plan.plan is not None
    assert {item.field: set(item.groups) for item in checked_plan.plan.attributes} == {
        "race": {"B", "W"},
        "sex": {"F", "M"},
    }
    assert not [(at, private) for at, page in enumerate(shown) for private in PRIVATE if private in page]


@pytest.mark.django_db
def test_the_command_proposes_the_same_and_its_check_stops_nowhere(tmp_path: Path) -> None:
    path, mapping, said = tmp_path / "extract.txt", tmp_path / "extract.toml", io.StringIO()
    path.write_bytes(core_extract())
    call_command("describe_data", str(path), out=mapping, stdout=said)
    call_command("describe_data", str(path), mapping=mapping, stdout=said)
    assert "stops an audit" not in said.getvalue()
    assert "90 rows, 10 fields" in said.getvalue()
    assert not [private for private in PRIVATE if private in said.getvalue() + mapping.read_text(encoding="utf-8")]
