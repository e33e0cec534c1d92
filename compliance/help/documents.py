"""The documents of docs/ as pages: which there are, and each as HTML.

Markdown is rendered without raw HTML, so that nothing but text, links, tables and pictures comes out of a document.
Links between documents lead to their pages; a link to what is not on the site, such as a decision or a plan's file,
stays as its words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from django.urls import reverse
from markdown_it import MarkdownIt
from markdown_it.token import Token

from compliance.help import glossary

INDEX = "index"
#: It is made of docstrings by mkdocs; as a file it names them only.
NOT_PAGES = ("api",)
PICTURE = re.compile(r"pictures/([\w-]+\.(?:png|svg))")
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
_ELSEWHERE = ("https://", "http://", "mailto:")


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document: the name in its address, and its title."""

    name: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A document as HTML without its title, and its headings of the second level as anchor and words."""

    title: str
    html: str
    headings: tuple[tuple[str, str], ...]


def documents_in(folder: Path) -> tuple[Document, ...]:
    """What can be read, by title; nothing where documents are not installed."""
    found = (
        Document(name=path.stem, title=_read_title(path, path.stat().st_mtime_ns))
        for path in folder.glob("*.md")
        if path.stem not in NOT_PAGES
    )
    return tuple(sorted(found, key=lambda document: document.title.lower()))


def rendered(folder: Path, name: str) -> Rendered | None:
    """A document as HTML; nothing where there is none of that name."""
    path = folder / f"{name}.md"
    if not re.fullmatch(r"[a-z0-9-]+", name) or name in NOT_PAGES or not path.is_file():
        return None
    known = tuple((document.name, document.title) for document in documents_in(folder))
    return _rendered(path, path.stat().st_mtime_ns, known)


def title_of(folder: Path, name: str) -> str | None:
    """What a document is called; nothing where it is not installed."""
    path = folder / f"{name}.md"
    try:
        return _read_title(path, path.stat().st_mtime_ns)
    except OSError:
        return None


@lru_cache(maxsize=128)
def _read_title(path: Path, _changed: int) -> str:
    found = _TITLE.search(path.read_text(encoding="utf-8"))
    return found[1] if found else path.stem


@lru_cache(maxsize=128)
def _rendered(path: Path, _changed: int, known: tuple[tuple[str, str], ...]) -> Rendered:
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(path.read_text(encoding="utf-8"))
    title, tokens = _without_title(tokens, path.stem)
    headings = tuple(_anchored(tokens))
    if path.stem in glossary.NAMES:
        _name_rows(tokens)
    for token in tokens:
        if token.type == "inline":
            token.children = list(_on_the_site(token.children or [], dict(known)))
    html = str(markdown.renderer.render(tokens, markdown.options, {}))
    return Rendered(
        title=title, html=_scrolling(html, "Tabelle" if path.stem == glossary.IN_GERMAN else "Table"), headings=headings
    )


def _without_title(tokens: list[Token], name: str) -> tuple[str, list[Token]]:
    """The title, which the page sets itself, and what follows it."""
    if tokens and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        return tokens[1].content, tokens[3:]
    return name, tokens


def _anchored(tokens: Sequence[Token]) -> Iterator[tuple[str, str]]:
    """Give each heading an anchor of its own; those of the second level, with their words."""
    taken: dict[str, int] = {}
    for opening, inside in pairwise(tokens):
        if opening.type != "heading_open":
            continue
        words = _words(inside)
        slug = glossary.slug_of(words)
        taken[slug] = taken.get(slug, 0) + 1
        if taken[slug] > 1:
            slug = f"{slug}_{taken[slug] - 1}"
        opening.attrSet("id", slug)
        if opening.tag == "h2":
            yield slug, words


def _words(inline: Token) -> str:
    return "".join(child.content for child in inline.children or [])


def _name_rows(tokens: Sequence[Token]) -> None:
    """Give each row of the glossary the anchor of its entry."""
    taken: set[str] = set()
    for row, cell, inside in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if row.type == "tr_open" and cell.type == "td_open":
            slug = glossary.slug_of(glossary.first_term(inside.content))
            if slug not in taken:
                row.attrSet("id", slug)
            taken.add(slug)


def _on_the_site(children: Sequence[Token], known: dict[str, str]) -> Iterator[Token]:
    """The parts of a line with links as the site has them, without those that lead out of it.

    A link that reads as the name of a document's file reads as its title.
    """
    dropped = False
    for child in children:
        if child.type == "link_open":
            target = _address(str(child.attrGet("href")), known)
            dropped = target is None
            if target is None:
                continue
            child.attrSet("href", target)
        elif child.type == "link_close" and dropped:
            dropped = False
            continue
        elif child.type == "image":
            picture = PICTURE.fullmatch(str(child.attrGet("src")))
            if picture is None:
                continue
            child.attrSet("src", reverse("help_picture", args=[picture[1]]))
            child.attrSet("loading", "lazy")
        elif child.type == "text" and child.content.endswith(".md"):
            child.content = known.get(child.content.removesuffix(".md"), child.content)
        yield child


def _address(href: str, known: dict[str, str]) -> str | None:
    if href.startswith(("#", *_ELSEWHERE)):
        return href
    file, _, anchor = href.partition("#")
    name = file.removesuffix(".md")
    if name == file or name not in known:
        return None
    return reverse("help_document", args=[name]) + (f"#{anchor}" if anchor else "")


def _scrolling(html: str, name: str) -> str:
    """Tables and listings that are wider than a screen scroll by themselves, by keyboard too.

    ``name`` is what a table is called in the language of the document, whatever the reader's.
    """
    tables = html.replace(
        "<table>", f'<div class="scroll" tabindex="0" role="group" aria-label="{name}"><table class="data">'
    )
    return tables.replace("</table>", "</table></div>").replace("<pre>", '<pre class="prompt" tabindex="0">')
