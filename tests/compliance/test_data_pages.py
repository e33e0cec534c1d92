"""The pages of a data set say what the commands say: proposals with reasons, keys for reading, counts of rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from compliance.access.roles import Role
from compliance.models import Event, Registration, RegistrationState, default_team
from compliance.registry.registration import perform_registration
from tests.compliance.teams import make_person
from tests.data.books import workbook

CASES = Path(__file__).parents[1] / "data" / "cases"


@pytest.fixture
def browser(client: Client, db: None, settings: LazySettings, tmp_path: Path) -> Iterator[Client]:
    settings.DATA_FOLDER = tmp_path
    client.force_login(make_person("officer", default_team(), [Role.COMPLIANCE_OFFICER]))
    return client


def upload(browser: Client, name: str, content: bytes) -> tuple[Registration, str]:
    form = {"team": default_team().pk, "name": "", "file": SimpleUploadedFile(name, content)}
    assert browser.post("/register/data/", form).status_code == 302
    row = Registration.objects.get()
    return row, f"/register/{row.public_id}/"


def test_a_file_that_says_little_of_itself_is_proposed_checked_and_registered_with_its_counts(browser: Client) -> None:
    row, address = upload(browser, "loans.csv", (CASES / "08-preamble-and-footer" / "lc_footer.csv").read_bytes())
    page = browser.get(address)
    proposal = page.context["form"].initial["mapping"]
    assert "[reading]\nlast = 41" in proposal
    assert "# last: what stands below line 41 is narrower than the table, or a total" in proposal
    assert "# numbers with '%' beside every number" in proposal
    assert "2 left out: lines below reading.last" in page.context["lines"]
    assert "outcome &#x27;loan_status&#x27;: 14 favourable, 9 adverse, 17 no outcome" in page.content.decode()
    browser.post(address, {"mapping": proposal, "register": ""})
    perform_registration(row.pk)
    row.refresh_from_db()
    assert (row.state, row.error) == (RegistrationState.READY, "")
    assert "2 left out: lines below reading.last" in browser.get(address).content.decode()
    event = Event.objects.get(action="data.registered")
    said = json.loads(event.payload.data_json)
    assert said["left_out"] == {"lines below reading.last": 2}
    assert said["outcomes"] == {"favourable": 14, "adverse": 9, "no outcome": 17}


def test_a_repeated_id_is_said_on_the_page_and_stops_the_register_in_the_same_words(browser: Client) -> None:
    row, address = upload(browser, "dup.csv", (CASES / "13-one-repeated-id" / "dup_ids.csv").read_bytes())
    page = browser.get(address)
    line = "the id column 'application_id' repeats 'A0001' in line 2 and line 42; expected one id a row"
    assert page.context["lines"][0].startswith(f"stops an audit: {line}")
    proposal = page.context["form"].initial["mapping"]
    browser.post(address, {"mapping": proposal, "register": ""})
    perform_registration(row.pk)
    row.refresh_from_db()
    assert row.error.startswith(f"dup.csv: {line}")
    said = proposal.replace('role = "id"', 'role = "id"\nrepeats = "first"')
    assert (
        "1 left out: rows whose id repeats: the first of each id stays"
        in browser.post(address, {"mapping": said, "check": ""}).context["lines"]
    )


def test_keys_for_reading_alone_ask_for_a_proposal_by_them(browser: Client) -> None:
    rows = [["loan_id", "race", "approved"], *[[f"K{n}", ("W", "B")[n % 2], n % 3 > 0] for n in range(9)]]
    _, address = upload(browser, "two.xlsx", workbook({"Loans": rows, "Notes": [["read me"]]}))
    page = browser.get(address)
    assert "has 2 sheets with data (Loans, Notes)" in page.context["error"]
    assert "[reading]" in page.context["form"].initial["mapping"]
    page = browser.post(address, {"mapping": '[reading]\nsheet = "Loans"\n', "check": ""})
    proposal = page.context["form"].initial["mapping"]
    assert '[reading]\nsheet = "Loans"' in proposal
    assert 'column = "race"' in proposal
    assert "sheet &#x27;Loans&#x27; of 2 read" in page.content.decode()
    page = browser.post(address, {"mapping": '[reading]\nheader = "two"\n', "check": ""})
    assert page.context["error"] == (
        "mapping: reading.header: is 'two'; expected the number of a line, or of a row of the sheet; "
        "false if there are no column names"
    )


def test_an_emptied_mapping_brings_the_proposal_back(browser: Client) -> None:
    row, address = upload(browser, "loans.csv", (CASES / "08-preamble-and-footer" / "lc_footer.csv").read_bytes())
    proposal = browser.get(address).context["form"].initial["mapping"]
    page = browser.post(address, {"mapping": "[[["})
    assert "is not valid TOML" in page.content.decode()
    for button in ({}, {"register": ""}):
        page = browser.post(address, {"mapping": "", **button})
        assert page.status_code == 200
        assert "This field is required" not in page.content.decode()
        assert page.context["form"].initial["mapping"] == proposal
    row.refresh_from_db()
    assert row.state == RegistrationState.MAPPING
