"""The documents are read on the site: every one, with its pictures and its links, by whoever is logged in."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import NoReverseMatch, get_resolver

from compliance.help.documents import documents_in, rendered
from compliance.help.fitting import FITTING

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NAMES = [document.name for document in documents_in(DOCS)]


@pytest.fixture
def reader(client: Client, db: None) -> Client:
    """Somebody with an account and no role."""
    client.force_login(User.objects.create_user("clerk"))
    return client


def ids_of(page: str) -> set[str]:
    return set(re.findall(r'id="([^"]*)"', page))


def test_every_document_but_the_python_interface_is_there() -> None:
    assert set(NAMES) == {path.stem for path in DOCS.glob("*.md")} - {"api"}
    assert len(NAMES) > 15


def test_every_document_is_a_page_whose_links_and_pictures_lead_somewhere(reader: Client) -> None:
    pages = {name: reader.get(f"/help/{name}/").content.decode() for name in NAMES}
    wrong, pictures = [], set()
    for name, page in pages.items():
        assert page.count("<h1") == 1, name
        assert len(page) < 500_000, name
        for target in re.findall(r'href="((?:/help/|#)[^"]*)"', page):
            where, _, anchor = target.partition("#")
            other = where.removeprefix("/help/").strip("/") or (name if not where else "")
            if other and (other not in pages or (anchor and anchor not in ids_of(pages[other]))):
                wrong.append((name, target))
        pictures |= set(re.findall(r'src="(/help/pictures/[^"]*)"', page))
        assert not re.search(r'(?:href|src)="(?!/|#|https?:|mailto:)', page), name
    assert wrong == []
    assert len(pictures) > 10
    for picture in pictures:
        answer = reader.get(picture)
        assert answer.status_code == 200
        assert answer["Content-Type"] in ("image/png", "image/svg+xml")
        assert answer.content


def test_the_first_page_lists_every_document(reader: Client) -> None:
    page = reader.get("/help/").content.decode()
    assert [name for name in NAMES if name != "index" and f'href="/help/{name}/"' not in page] == []
    assert '<a href="/help/tutorial/">A day with Plumbline</a>' in page


def test_every_page_has_a_link_to_the_help(reader: Client) -> None:
    assert 'href="/help/"' in reader.get("/account/").content.decode()


def test_every_document_that_explains_a_page_exists_with_its_heading() -> None:
    resolver = get_resolver()
    for page, place in FITTING.items():
        if not resolver.reverse_dict.getlist(page):
            raise NoReverseMatch(page)
        name, _, anchor = place.partition("#")
        read = rendered(DOCS, name)
        assert read is not None, place
        assert not anchor or anchor in ids_of(read.html), place


def test_nothing_is_read_that_is_no_document(reader: Client) -> None:
    for name in ("api", "nothing", "decisions", "README"):
        assert reader.get(f"/help/{name}/").status_code == 404
    for name in ("nothing.png", "..%2Fglossary.md", "glossary.md"):
        assert reader.get(f"/help/pictures/{name}").status_code == 404


def test_raw_html_of_a_document_is_shown_as_text(reader: Client, settings: LazySettings, tmp_path: Path) -> None:
    (tmp_path / "own.md").write_text(
        "# Own\n\n<script>alert(1)</script>\n\n[a](javascript:alert) [b](../plans/x.toml) [c](own.md#d)\n\n"
        "## D\n\n## D\n\n![x](https://elsewhere.example/x.png)\n"
    )
    settings.DOCUMENT_FOLDER = tmp_path
    page = reader.get("/help/own/").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "elsewhere.example" not in page
    assert re.findall(r'href="(?!/)([^"]*)"', page.partition("<article")[2]) == []
    assert '<a href="/help/own/#d">c</a>' in page
    assert {"d", "d_1"} <= ids_of(page)


def test_a_document_that_changed_is_read_again(reader: Client, settings: LazySettings, tmp_path: Path) -> None:
    settings.DOCUMENT_FOLDER = tmp_path
    for at, words in enumerate(("before", "after"), start=1):
        (tmp_path / "own.md").write_text(f"# Own {words}\n")
        os.utime(tmp_path / "own.md", ns=(at, at))
        assert f">Own {words}</h1>" in reader.get("/help/own/").content.decode()


def test_where_documents_are_not_installed_the_page_says_so(
    reader: Client, settings: LazySettings, tmp_path: Path
) -> None:
    settings.DOCUMENT_FOLDER = tmp_path / "nowhere"
    page = reader.get("/help/").content.decode()
    assert "The documents are not installed here" in page
    assert reader.get("/help/plan/").status_code == 404


def test_the_image_has_the_documents() -> None:
    assert "COPY docs docs" in (ROOT / "docker" / "Dockerfile").read_text()
    assert "!docs\n" in (ROOT / ".dockerignore").read_text()
