"""Whoever reads German reads German: every page, whatever it says by itself; and the catalogue is complete."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.utils.translation import gettext, override

from compliance.access.roles import Role
from compliance.help.glossary import Entry
from compliance.help.glossing import gloss
from compliance.models import default_team
from scripts.translations import missing, plain
from tests.compliance.said_in import address_of, bracketed, names_of_rows, said, titles_of_documents, unsaid
from tests.compliance.teams import make_person, rows_of
from tests.compliance.test_access_of_every_address import ADMIN, LINES, SITE

PAGES = {route: line for route, line in SITE.items() if line.method == "get" and line.allowed == 200}
LISTS = {
    route: line
    for route, line in {**ADMIN, **LINES}.items()
    if re.fullmatch(r"admin/(compliance/\w+/(add/)?)?", route) and line.allowed == 200
}
#: A kind of event, as it is recorded.
KIND = re.compile(r"[a-z_]+\.[a-z_]+")
#: What a value would have been put into; the two names are those that a template of prompts may use.
UNFILLED = re.compile(r"__proxy__|%\(\w+\)[sd]|\{(?!fields?\})\w+\}")
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


def test_no_list_of_the_administration_says_a_word_that_no_catalogue_has(client: Client, rows: dict[str, Any]) -> None:
    administrator = make_person("Reads", default_team(), list(Role), is_staff=True, is_superuser=True)
    client.force_login(administrator)
    names = names_of_rows() - {"number", "source", "rhythm"}
    wrong: list[str] = []
    with bracketed():
        for route, line in LISTS.items():
            page = client.get(address_of(line, rows), HTTP_ACCEPT_LANGUAGE="de").content.decode()
            wrong += [f"{route}: {text}" for text in unsaid(page, names) if not KIND.fullmatch(text)]
    assert wrong == []


@pytest.mark.parametrize("language", ["de", "en"])
def test_no_page_shows_a_place_that_nothing_was_put_into(client: Client, rows: dict[str, Any], language: str) -> None:
    client.force_login(make_person("Reads", default_team(), list(Role), is_staff=True, is_superuser=True))
    wrong: list[str] = []
    for route, line in {**PAGES, **LISTS}.items():
        answer = client.get(address_of(line, rows), HTTP_ACCEPT_LANGUAGE=language)
        if answer.get("Content-Type", "").startswith("text/html"):
            wrong += [f"{route}: {text}" for text in said(answer.content.decode()) if UNFILLED.search(text)]
    assert wrong == []


def test_words_of_the_site_do_not_change_the_buttons_of_django() -> None:
    with override("de"):
        assert [gettext("Change"), gettext("Close")] == ["Ändern", "Schließen"]


def test_whoever_changes_a_password_is_addressed_formally(db: None, client: Client) -> None:
    client.force_login(make_person("Changes", default_team(), [Role.COMPLIANCE_OFFICER]))
    page = client.post("/password/", {"oldpassword": "not it"}, HTTP_ACCEPT_LANGUAGE="de").content.decode()
    assert "Bitte geben Sie Ihr aktuelles Passwort ein." in page


def test_the_english_glossary_is_for_what_is_english_on_the_page() -> None:
    entry = Entry(slug="arm", words="arm", terms=("arm",), meaning="One group")
    german = "<h2>Arm</h2><p>arm</p>"
    page = f'{german}<div lang="en"><div>of an arm</div> and</div><p>arm</p>'
    done = gloss(page, (entry,), address="/g/", only='lang="en"').html
    assert done == page.replace("an arm", 'an <a class="term" href="/g/#arm" title="One group">arm</a>')
    assert gloss(german, (entry,), address="/g/", only='lang="en"').used == ()


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
