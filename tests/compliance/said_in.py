"""German in which every translated text stands between brackets, and what of a page stands outside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db.models import CharField, TextField
from django.utils.translation import trans_real

from compliance.help.documents import documents_in

OPEN, CLOSE = "⟦", "⟧"
WORD = re.compile(r"[^\W\d_]{3,}")
VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "source", "wbr", "path", "rect", "line", "circle", "use"})
SILENT = frozenset({"script", "style", "code", "pre", "svg", "textarea", "time", "samp", "kbd"})
SAYING = ("title", "alt", "placeholder", "aria-label", "data-label", "data-head")
#: Names of kinds, files and units, the same in both languages.
SAME = frozenset(["plumbline", "utc", "csv", "xlsx", "json", "toml", "pdf", "url", "english", "deutsch", "sha"])


@contextmanager
def bracketed(language: str = "de") -> Iterator[None]:
    """Every message of the catalogue of a language in brackets, for the time of a ``with`` block."""
    catalogues = trans_real.translation(language)._catalog._catalogs
    before = [dict(catalogue) for catalogue in catalogues]
    for catalogue in catalogues:
        for key, german in catalogue.items():
            if key and german:
                catalogue[key] = f"{OPEN}{german}{CLOSE}"
    try:
        yield
    finally:
        for catalogue, old in zip(catalogues, before, strict=True):
            catalogue.clear()
            catalogue.update(old)


class _Texts(HTMLParser):
    """Texts and spoken attributes of a page, without what is marked as English, as no text, or as code."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.silent: list[bool] = [False]
        self.said: list[str] = []
        self.depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        hashed = "hash" in (named.get("class") or "").split()
        marked = (
            hashed or named.get("translate") == "no" or (tag != "html" and (named.get("lang") or "").startswith("en"))
        )
        quiet = self.silent[-1] or marked or tag in SILENT
        if not quiet:
            self.said += [named[name] or "" for name in SAYING if name in named]
            if tag == "input" and named.get("type") in ("submit", "button"):
                self.said.append(named.get("value") or "")
        if tag not in VOID:
            self.silent.append(quiet)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.silent.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            self.silent.pop()

    def handle_data(self, data: str) -> None:
        """A message may hold links: its brackets open in one text of the page and close in another."""
        if self.silent[-1]:
            return
        inside = self.depth
        self.depth += data.count(OPEN) - data.count(CLOSE)
        self.said.append(OPEN * inside + data)


def said(page: str) -> list[str]:
    """What a page says by itself, in texts and spoken attributes."""
    texts = _Texts()
    texts.feed(page)
    return texts.said


def unsaid(page: str, names: frozenset[str]) -> list[str]:
    """Texts of a page with words that no catalogue said and that are no names of rows."""
    texts = _Texts()
    texts.feed(page)
    return [" ".join(text.split()) for text in texts.said if _words(_outside(text)) - names - SAME]


def names_of_rows() -> frozenset[str]:
    """Every word that a person or a file chose, as the rows have it: of columns whose values are not from a list."""
    words: set[str] = set()
    models = [*apps.get_app_config("compliance").get_models(), apps.get_model("auth", "User")]
    for model in models:
        fields = [
            field.name
            for field in model._meta.concrete_fields
            if isinstance(field, (CharField, TextField)) and not field.choices and field.name not in ("kind", "action")
        ]
        for row in model._base_manager.values_list(*fields) if fields else ():
            for value in row:
                words |= _words(str(value or ""))
    return frozenset(words)


def titles_of_documents() -> frozenset[str]:
    """The words of the titles of the documents, which are in English and stand in the title of a page."""
    return frozenset(
        word for document in documents_in(Path(settings.DOCUMENT_FOLDER)) for word in _words(document.title)
    )


def _words(text: str) -> set[str]:
    return {word.lower() for word in WORD.findall(text)}


def _outside(text: str) -> str:
    depth, kept = 0, []
    for character in text:
        depth += (character == OPEN) - (character == CLOSE)
        kept.append(" " if depth or character == CLOSE else character)
    return "".join(kept)


def address_of(line: Any, rows: dict[str, Any]) -> str:
    """The address of a line of the table of addresses."""
    return str(line.path.format(**rows))
