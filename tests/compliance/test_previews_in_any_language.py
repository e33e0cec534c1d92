"""A preview shows nobody's particulars before a person has said what the columns mean, whatever language names them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from compliance.access.roles import Role
from compliance.models import Registration, default_team
from compliance.registry.columns import form_of
from tests.compliance.teams import make_person

ROWS = "".join(f"K{n:04d},{('żeńska', 'męskie')[n % 2]},{31 + n % 30},{1000 + n},{n % 3 > 0:d}\n" for n in range(90))
POLISH = f"wniosek_nr,Rodzaj,Raty,Kwota,approved\n{ROWS}".encode()


@pytest.fixture
def browser(client: Client, db: None, settings: LazySettings, tmp_path: Path) -> Iterator[Client]:
    settings.DATA_FOLDER = tmp_path
    client.force_login(make_person("officer", default_team(), [Role.COMPLIANCE_OFFICER]))
    return client


def test_of_a_proposal_only_the_form_of_values_is_shown_until_somebody_checks_it(browser: Client) -> None:
    form = {"team": default_team().pk, "name": "", "file": SimpleUploadedFile("antraege.csv", POLISH)}
    browser.post("/register/data/", form)
    row = Registration.objects.get()
    address = f"/register/{row.public_id}/"
    page = browser.get(address)
    shown = [dict(zip(page.context["preview"][0], line, strict=True)) for line in page.context["preview"][1:]]
    assert {line["Rodzaj"] for line in shown} == {"xxxxxx"}
    assert {line["Raty"] for line in shown} == {"99"}
    assert {line["Kwota"] for line in shown} == {"9999"}
    assert {line["approved"] for line in shown} <= {"0", "1"}
    assert "żeńska" not in str(row.look["preview"]), "what is kept holds no more than the page"
    assert "only the form is shown" in page.content.decode()

    said = (
        page.context["form"]
        .initial["mapping"]
        .replace(
            'name = "rodzaj"\nlabel = "Rodzaj"\nrole = "predictor"',
            'name = "rodzaj"\nlabel = "Rodzaj"\nrole = "protected"',
        )
    )
    assert said.count('role = "protected"') == 1
    page = browser.post(address, {"mapping": said, "check": ""})
    shown = [dict(zip(page.context["preview"][0], line, strict=True)) for line in page.context["preview"][1:]]
    assert {line["Rodzaj"] for line in shown} == {"•••"}
    assert shown[0]["Kwota"] == "1000"
    assert page.context["open"] == ["Raty", "Kwota"]
    assert "Shown as they are: Raty, Kwota." in page.content.decode()


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("Ümit Özdemir", "Xxxx Xxxxxxx"),
        (-12.5, "-99.9"),
        ("女", "x"),
        (None, "–"),
        ("a" * 100, "x" * 60),
        (True, "Xxxx"),
    ],
)
def test_the_form_of_a_value_tells_nothing_of_it(value: object, form: str) -> None:
    assert form_of(value) == form
