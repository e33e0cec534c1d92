"""Whoever reads German reads German: every page, whatever it says by itself; and the catalogue is complete."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from compliance.access.roles import Role
from compliance.models import default_team
from scripts.translations import missing, plain
from tests.compliance.said_in import address_of, bracketed, names_of_rows, titles_of_documents, unsaid
from tests.compliance.teams import make_person, rows_of
from tests.compliance.test_access_of_every_address import SITE

PAGES = {route: line for route, line in SITE.items() if line.method == "get" and line.allowed == 200}
FOR_ANYBODY = ("/login/", "/nothing/here/")


@pytest.fixture
def rows(db: None) -> dict[str, Any]:
    return rows_of(default_team(), name="own")


def test_every_text_of_the_site_has_its_german() -> None:
    assert list(missing()) == []


def test_no_template_says_a_word_that_is_not_marked() -> None:
    assert [f"{path}: {text}" for path, text in plain()] == []


def test_no_page_says_a_word_that_no_catalogue_has(client: Client, rows: dict[str, Any]) -> None:
    client.force_login(make_person("Reads", default_team(), list(Role), is_staff=True))
    names = names_of_rows() | titles_of_documents()
    wrong: list[str] = []
    with bracketed():
        for route, line in PAGES.items():
            answer = client.get(address_of(line, rows), HTTP_ACCEPT_LANGUAGE="de")
            if answer.get("Content-Type", "").startswith("text/html"):
                wrong += [f"{route}: {text}" for text in unsaid(answer.content.decode(), names)]
    assert wrong == []


def test_pages_before_the_login_are_said_in_german_too(db: None, client: Client) -> None:
    with bracketed():
        for address in FOR_ANYBODY:
            page = client.get(address, HTTP_ACCEPT_LANGUAGE="de").content.decode()
            assert unsaid(page, frozenset()) == []


def test_a_word_that_nobody_translated_would_be_found() -> None:
    page = '<main><h1>⟦Prüfung⟧ Borrowers</h1><p lang="en">Said by a report</p><code>kept</code></main>'
    assert unsaid(page, frozenset()) == ["⟦Prüfung⟧ Borrowers"]
    assert unsaid(page, frozenset({"borrowers"})) == []


def test_the_language_is_chosen_at_the_foot_of_the_page_and_kept(db: None, client: Client) -> None:
    assert '<html lang="en-gb">' in client.get("/login/").content.decode()
    answer = client.post("/language/", {"language": "de", "next": "/login/"})
    assert answer.status_code == 302
    assert answer["Location"] == "/login/"
    assert '<html lang="de">' in client.get("/login/").content.decode()
    assert client.post("/language/", {"language": "de", "next": "https://elsewhere.example/"})["Location"] == "/"
