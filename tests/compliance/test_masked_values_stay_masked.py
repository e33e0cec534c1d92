"""What a masked column holds is quoted by no line of a registration that ended, on no page and in no event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from compliance.access.roles import Role
from compliance.models import EventPayload, Registration, RegistrationState, default_team
from compliance.registry.registration import perform_registration
from tests.compliance.teams import make_person

SSN, BIRTH, NAMES = "912-45-6789", "31 Jan 1987", ("Zwicklbauer", "zwicklbauer")
MAPPING = """name = "loans"
[[fields]]
name = "ssn"
label = "Number"
role = "id"
type = "category"
column = "SSN"

[[fields]]
name = "birth_year"
label = "Born"
role = "protected"
type = "number"
column = "birth year"

[[fields]]
name = "kept_as"
label = "Kept as"
role = "protected_proxy"
type = "category"
column = "Kept as"

[[fields]]
name = "status"
label = "Status"
role = "outcome"
type = "category"
column = "status"
favourable = "granted"
adverse = "refused"
"""


def table(*, repeated: bool, odd: bool) -> bytes:
    lines = ["SSN,birth year,Kept as,status"]
    for number in range(40):
        ssn = SSN if repeated and number in (3, 9) else f"912-00-{1000 + number}"
        born = BIRTH if odd and number == 7 else str(1950 + number)
        lines.append(f"{ssn},{born},{NAMES[number % 2]},{('granted', 'refused')[number % 2]}")
    return ("\n".join(lines) + "\n").encode()


@pytest.fixture
def browser(client: Client, db: None, settings: LazySettings, tmp_path: Path) -> Iterator[Client]:
    settings.DATA_FOLDER = tmp_path
    client.force_login(make_person("officer", default_team(), [Role.COMPLIANCE_OFFICER]))
    return client


def registered(browser: Client, content: bytes) -> tuple[Registration, str]:
    """What became of a table with this mapping, and its page as a colleague reads it who describes nothing."""
    form = {"team": default_team().pk, "name": "", "file": SimpleUploadedFile("l.csv", content)}
    where = browser.post("/register/data/", form)["Location"]
    browser.post(where, {"mapping": MAPPING, "agreed": MAPPING, "register": ""})
    row = Registration.objects.get()
    perform_registration(row.pk)
    row.refresh_from_db()
    return row, browser.get(where).content.decode()


def told() -> str:
    return "\n".join(EventPayload.objects.values_list("data_json", flat=True))


def test_a_cell_that_is_no_number_is_named_by_its_line_alone(browser: Client) -> None:
    row, page = registered(browser, table(repeated=False, odd=True))
    assert row.state == RegistrationState.FAILED
    assert row.error.startswith("l.csv: line 9 of column 'birth year'")
    for text in (row.error, page, told()):
        assert BIRTH not in text


def test_the_event_log_keeps_no_id_that_repeats(browser: Client) -> None:
    row, _ = registered(browser, table(repeated=True, odd=False))
    assert SSN in row.error  # whoever mends the file has to find it
    (payload,) = EventPayload.objects.filter(event__action="registration.failed")
    assert "repeats '•••' in line 5 and line 11" in json.loads(payload.data_json)["error"]
    assert SSN not in told()


def test_what_was_seen_in_a_registered_file_quotes_no_value(browser: Client) -> None:
    row, page = registered(browser, table(repeated=False, odd=False))
    assert row.state == RegistrationState.READY
    assert "look alike and are counted apart: &#x27;•••&#x27;" in page
    assert NAMES[0] not in page
