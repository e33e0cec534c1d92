"""Another file in the place of one that could not be read: by whoever may register, recorded, nothing said is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from compliance import actions
from compliance.access.roles import Role
from compliance.exceptions import StateError
from compliance.governance.events import Actor
from compliance.models import Event, Registration, RegistrationState, default_team
from compliance.registry.reading import kept_upload
from compliance.registry.registration import perform_registration
from tests.compliance.teams import make_person

GOOD = b"applicant_id,race,income,approved\n" + b"".join(
    b"K%04d,%s,%d,%d\n" % (n, (b"White", b"Black")[n % 2], 30 + n, n % 3 > 0) for n in range(60)
)
BAD = b"PAR1 and nothing that follows"


@pytest.fixture
def browser(client: Client, db: None, settings: LazySettings, tmp_path: Path) -> Iterator[Client]:
    settings.DATA_FOLDER = tmp_path
    client.force_login(make_person("officer", default_team(), [Role.COMPLIANCE_OFFICER]))
    return client


def upload(browser: Client, name: str, content: bytes) -> Registration:
    form = {"team": default_team().pk, "name": "Loans", "file": SimpleUploadedFile(name, content)}
    assert browser.post("/register/data/", form).status_code == 302
    return Registration.objects.get()


def replace(browser: Client, row: Registration, name: str, content: bytes) -> object:
    return browser.post(f"/register/{row.public_id}/file/", {"file": SimpleUploadedFile(name, content)})


def test_a_file_that_cannot_be_read_is_replaced_and_registered(browser: Client) -> None:
    row = upload(browser, "loans.parquet", BAD)
    page = browser.get(f"/register/{row.public_id}/")
    assert "loans.parquet" in page.context["error"]
    assert "Replace the file" in page.content.decode()
    before = row.file
    assert replace(browser, row, "loans.csv", GOOD).status_code == 302
    row.refresh_from_db()
    assert (row.state, row.source, row.size, row.received) == (
        RegistrationState.MAPPING,
        "loans.csv",
        len(GOOD),
        len(GOOD),
    )
    assert kept_upload(before).read_bytes() == BAD, "what an event names is kept"
    page = browser.get(f"/register/{row.public_id}/")
    proposal = page.context["form"].initial["mapping"]
    browser.post(f"/register/{row.public_id}/", {"mapping": proposal, "register": ""})
    perform_registration(row.pk)
    row.refresh_from_db()
    assert (row.state, row.error) == (RegistrationState.READY, "")
    event = Event.objects.get(action="registration.file_replaced")
    said = json.loads(event.payload.data_json)
    assert said["before"] == {"file": before, "source": "loans.parquet"}
    assert (said["file"], said["bytes"]) == ("loans.csv", len(GOOD))


def test_what_was_said_of_the_columns_stays(browser: Client) -> None:
    row = upload(browser, "loans.csv", GOOD)
    address = f"/register/{row.public_id}/"
    said = browser.get(address).context["form"].initial["mapping"].replace('label = "Race"', 'label = "Origin"')
    browser.post(address, {"mapping": said, "check": ""})
    replace(browser, row, "more.csv", GOOD + b"K9999,White,99,1\n")
    page = browser.get(address)
    assert page.context["form"].initial["mapping"] == said
    assert page.context["preview"][0] == ["applicant_id", "race", "income", "approved"]


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("loans.exe", GOOD, "is not a kind of file that can be read"),
        ("loans.csv", b"", "is empty"),
    ],
)
def test_a_file_that_cannot_be_taken_leaves_the_old_one(browser: Client, name: str, content: bytes, line: str) -> None:
    row = upload(browser, "loans.csv", GOOD)
    answer = replace(browser, row, name, content)
    assert answer.status_code == 400
    assert line in answer.content.decode()
    row.refresh_from_db()
    assert (row.state, row.source) == (RegistrationState.MAPPING, "loans.csv")
    assert kept_upload(row.file).read_bytes() == GOOD
    assert not Event.objects.filter(action="registration.file_replaced").exists()


def test_no_file_is_one_line(browser: Client) -> None:
    row = upload(browser, "loans.csv", GOOD)
    answer = browser.post(f"/register/{row.public_id}/file/")
    assert answer.status_code == 400
    assert "no file was sent" in answer.content.decode()


def test_what_is_registered_or_on_its_way_is_not_replaced(browser: Client) -> None:
    row = upload(browser, "loans.csv", GOOD)
    mapping = browser.get(f"/register/{row.public_id}/").context["form"].initial["mapping"]
    browser.post(f"/register/{row.public_id}/", {"mapping": mapping, "register": ""})
    assert replace(browser, row, "other.csv", GOOD).status_code == 409
    perform_registration(row.pk)
    assert replace(browser, row, "other.csv", GOOD).status_code == 409
    page = browser.get(f"/register/{row.public_id}/")
    assert "Replace the file" not in page.content.decode()
    row.refresh_from_db()
    assert (row.state, row.source) == (RegistrationState.READY, "loans.csv")


def test_a_model_has_no_file_to_replace(db: None) -> None:
    actor = Actor(name="officer", role="site")
    row = actions.request_data(team=default_team(), name="Demo", source="demo:loanapp", actor=actor)
    with pytest.raises(StateError, match="was not uploaded"):
        actions.replace_upload(registration=row, file_name="a.csv", size=9, actor=actor)


def test_a_reader_of_the_page_cannot_replace(browser: Client, client: Client) -> None:
    row = upload(browser, "loans.csv", GOOD)
    client.force_login(make_person("validator", default_team(), [Role.VALIDATOR]))
    assert replace(client, row, "other.csv", GOOD).status_code in (403, 404)
    row.refresh_from_db()
    assert row.source == "loans.csv"


def test_the_page_says_how_outcomes_count_and_why_it_proposes_what(browser: Client) -> None:
    # A flag the wrong way round fits its mapping: only its counts show it.
    row = upload(browser, "loans.csv", GOOD)
    page = browser.get(f"/register/{row.public_id}/")
    assert "outcome 'approved': 40 favourable, 20 adverse" in page.context["facts"]
    assert "outcome &#x27;approved&#x27;: 40 favourable, 20 adverse" in page.content.decode()
    assert list(page.context["lines"]) == []


ALIKE = GOOD.replace(b"K0001,Black", b"K0001,black")


def test_groups_that_look_alike_are_said_before_and_after_registration(browser: Client) -> None:
    row = upload(browser, "loans.csv", ALIKE)
    address = f"/register/{row.public_id}/"
    page = browser.get(address)
    assert "look alike and are counted apart" in page.content.decode()
    # Registered without another check: what was seen is still said.
    mapping = page.context["form"].initial["mapping"].replace('label = "Race"', 'label = "Origin"')
    browser.post(address, {"mapping": mapping, "register": ""})
    perform_registration(row.pk)
    page = browser.get(address).content.decode()
    assert "Ready" in page
    assert "look alike and are counted apart" in page
