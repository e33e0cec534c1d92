"""Every term of the glossary leads to it from every page, once in running text and once below the page."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.test import Client

from compliance.help.glossary import Entry, entries_in, glossary_of
from compliance.help.glossing import NEVER, gloss
from compliance.models import Audit
from tests.compliance.test_officers_site import PAGES, address
from tests.unglossed import BELOW, LINK

ROOT = Path(__file__).parents[2]
HELP = "/help/glossary/"
WHOLE = {"X-Glossed": "yes"}
GLOSSARY = """
| In reports | In the field | What it is |
|---|---|---|
| arm | treatment arm | Everybody under one group |
| decisions that change, *changed* | flip rate, McNemar, plural | Pairs that differ |
| rate | | A share |
| policy | | A "rule" & more |

| Word | Means | Not |
|---|---|---|
| draft | not yet a plan | a sketch |

| Something | Else |
|---|---|
| no entry | at all |
"""


@pytest.fixture
def entries() -> tuple[Entry, ...]:
    return entries_in(GLOSSARY)


def linked(html: str, entries: tuple[Entry, ...]) -> list[tuple[str, str]]:
    done = gloss(html, entries, address=HELP).html
    return re.findall(r'<a class="term" href="/help/glossary/#([^"]*)" title="[^"]*">(.*?)</a>', done, re.DOTALL)


def main_of(page: bytes) -> list[bytes]:
    """The words and tags of a page's own part, without what each request makes anew."""
    main = page.partition(b"<main")[2].partition(b"</main>")[0]
    return re.sub(rb'name="csrfmiddlewaretoken" value="[^"]*"', b"", main).split()


def test_what_somebody_typed_turns_no_glossary_off_and_costs_no_time(entries: tuple[Entry, ...]) -> None:
    typed = '<input value="data-plain"><p title="say data-plain">Each arm has a policy.</p>'
    assert [slug for slug, _ in linked(typed, entries)] == ["arm", "policy"]
    assert linked('<input value="data-plain"><p data-plain>arm</p>', entries) == []
    began = time.process_time()
    assert gloss("<p>" + "<" * 20_000, entries, address=HELP).html.endswith("<<")
    assert time.process_time() - began < 3


def test_the_document_names_the_terms_and_italics_are_not_linked(entries: tuple[Entry, ...]) -> None:
    assert [(entry.slug, entry.terms) for entry in entries] == [
        ("arm", ("arm", "treatment arm")),
        ("decisions-that-change", ("decisions that change", "flip rate", "McNemar")),
        ("rate", ("rate",)),
        ("policy", ("policy",)),
        ("draft", ("draft",)),
    ]
    assert entries[-1].meaning == "not yet a plan"


def test_the_first_of_each_term_in_running_text_becomes_a_link(entries: tuple[Entry, ...]) -> None:
    html = "<p>Arms differ. An arm</p><p>and a treatment\n arm.</p>"
    assert gloss(html, entries, address=HELP).html == (
        '<p><a class="term" href="/help/glossary/#arm" title="Everybody under one group">Arms</a> differ. An arm</p>'
        "<p>and a treatment\n arm.</p>"
    )


def test_the_longest_term_wins(entries: tuple[Entry, ...]) -> None:
    assert linked("<p>The flip rate, then a rate</p>", entries) == [
        ("decisions-that-change", "flip rate"),
        ("rate", "rate"),
    ]


def test_plurals_and_either_case_are_terms_and_parts_of_words_are_not(entries: tuple[Entry, ...]) -> None:
    assert linked("<p>alarm arms-length army re-rate rates_x flat–rate</p>", entries) == []
    assert linked("<p>POLICIES and Drafts by McNemar</p>", entries) == [
        ("policy", "POLICIES"),
        ("draft", "Drafts"),
        ("decisions-that-change", "McNemar"),
    ]


@pytest.mark.parametrize("name", NEVER)
def test_nothing_is_linked_inside_what_names_something_acts_or_is_evidence(
    name: str, entries: tuple[Entry, ...]
) -> None:
    inside = f'<{name} id="x">arm <b>rate</b></{name}>'
    done = gloss(f"<div>{inside} draft</div>", entries, address=HELP)
    assert inside in done.html
    assert [entry.slug for entry in done.used if entry.slug == "draft"] == ["draft"]
    seen = {entry.slug for entry in done.used} - {"draft"}
    assert seen == (set() if name in ("script", "style", "textarea", "nav") else {"arm", "rate"})


def test_what_is_marked_plain_stays_as_it_is(entries: tuple[Entry, ...]) -> None:
    inside = '<div class="prompt" data-plain><div>arm</div><span>rate</span> draft</div>'
    done = gloss(f"{inside}<div>policy</div>", entries, address=HELP)
    assert done.html.startswith(inside)
    assert [entry.slug for entry in done.used] == ["policy"]


def test_attributes_comments_and_what_is_escaped_stay_as_they_are(entries: tuple[Entry, ...]) -> None:
    html = '<!-- arm --><p title="an arm > a rate" lang=en>&lt;arm&gt; &amp;rate; İ draft</p><br>'
    done = gloss(html, entries, address=HELP).html
    assert re.sub(LINK.pattern.decode(), r"\1", done) == html
    assert '<!-- arm --><p title="an arm > a rate" lang=en>' in done
    assert ">draft</a></p>" in done


def test_meanings_are_escaped(entries: tuple[Entry, ...]) -> None:
    assert 'title="A &quot;rule&quot; &amp; more"' in gloss("<p>policy</p>", entries, address=HELP).html


@pytest.mark.parametrize("name", [name for name in PAGES if name != "download"])
def test_pages_are_what_they_were_with_links_in_them(
    signed_in: Client, finished: Audit, settings: LazySettings, name: str, tmp_path: Path
) -> None:
    where = address(name, finished)
    whole = signed_in.get(where, headers=WHOLE).content
    settings.DOCUMENT_FOLDER = tmp_path  # where nothing is installed
    bare = signed_in.get(where, headers=WHOLE).content
    freed = BELOW.sub(b"", LINK.sub(rb"\1", whole))
    assert main_of(freed) == main_of(bare)
    assert b'class="term"' not in bare
    assert b'class="words"' not in bare
    used = re.findall(rb'<a href="(/help/glossary/#[^"]*)"', whole)
    assert len(used) == len(set(used)) >= 2
    terms = re.findall(rb'<a class="term" href="([^"]*)"', whole)
    assert len(terms) == len(set(terms)) >= 1
    assert set(terms) <= set(used)


def test_every_link_leads_to_an_entry_of_the_page(signed_in: Client, finished: Audit) -> None:
    glossary = signed_in.get(HELP).content.decode()
    ids = re.findall(r'id="([^"]*)"', glossary)
    assert len(ids) == len(set(ids))
    assert [entry.slug for entry in glossary_of(ROOT / "docs") if entry.slug not in ids] == []


def test_no_term_of_the_glossary_belongs_to_two_entries() -> None:
    terms = [term.lower() for entry in glossary_of(ROOT / "docs") for term in entry.terms]
    assert sorted({term for term in terms if terms.count(term) > 1}) == []


def test_the_largest_page_is_linked_in_milliseconds(signed_in: Client, finished: Audit) -> None:
    page = signed_in.get("/audits/A-0001/").content.decode()
    entries = glossary_of(ROOT / "docs")
    spent = []
    for _ in range(7):
        begun = time.process_time()
        gloss(page, entries, address=HELP)
        spent.append(time.process_time() - begun)
    assert min(spent) < 0.05


def test_who_is_not_logged_in_gets_no_links(client: Client, db: None) -> None:
    page = client.get("/login/", headers=WHOLE).content
    assert b'class="term"' not in page
    assert b'class="words"' not in page
