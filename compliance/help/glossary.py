"""The terms of docs/glossary.md and docs/glossary-de.md: which words of a page lead there, and what they mean.

The documents are the only lists. Every row of a table is an entry. Its first column names the terms that pages use; its
second column adds those of the field that are names (``LEACE``) or have several words (``flip rate``), because other
ones are also everyday words. Terms in italics stand in the glossary and are never linked, for the same reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

NAME, IN_GERMAN = "glossary", "glossary-de"
NAMES = (NAME, IN_GERMAN)
OF_THE_FIELD = "In the field"
MEANING = ("What it is", "Means", "Was es ist")
_BETWEEN_TERMS = re.compile(r"[,;:()]")
_CODE = re.compile(r"`[^`]*`")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row of the glossary.

    Attributes
    ----------
    slug
        Its anchor on the page of the glossary, unique there.
    words
        How it is called at the foot of a page: its first term.
    terms
        What is linked, as written in the document.
    meaning
        The column that says what it is, as plain text.
    """

    slug: str
    words: str
    terms: tuple[str, ...]
    meaning: str


def slug_of(text: str) -> str:
    """An anchor: ``Words, and terms of the field`` gives ``words-and-terms-of-the-field``, as mkdocs has it."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", text).strip().lower())


def entries_in(text: str) -> tuple[Entry, ...]:
    """The entries of a glossary in Markdown, in its order; of two with one first term the first one counts.

    Tables without a column that says what a word means have no entries.
    """
    found: dict[str, Entry] = {}
    head: list[str] = []
    before = ""
    for line in text.splitlines():
        if not line.startswith("|"):
            before = ""
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not before:
            head = cells
        elif not set(line) <= set("|-: ") and len(cells) == len(head) and set(head) & set(MEANING):
            meaning = next(cell for name, cell in zip(head, cells, strict=True) if name in MEANING)
            entry = _entry(cells, meaning, of_the_field=head[1] == OF_THE_FIELD)
            found.setdefault(entry.slug, entry)
        before = line
    return tuple(found.values())


def first_term(cell: str) -> str:
    """What a row is called by, from its first cell: up to the first comma, without marks."""
    return _BETWEEN_TERMS.split(_plain(cell))[0].strip()


def _entry(cells: list[str], meaning: str, *, of_the_field: bool) -> Entry:
    words = first_term(cells[0])
    terms = [term for term in _split(cells[0]) if "*" not in term]
    if of_the_field:
        terms += [term for term in _split(cells[1]) if "*" not in term and (" " in term or term.lower() != term)]
    return Entry(
        slug=slug_of(words),
        words=words,
        terms=tuple(dict.fromkeys(_plain(term) for term in terms)),
        meaning=_plain(meaning),
    )


def _split(cell: str) -> list[str]:
    return [term for part in _BETWEEN_TERMS.split(_CODE.sub("", cell)) if (term := part.strip())]


def _plain(text: str) -> str:
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text.replace("*", "").replace("`", ""))


def glossary_of(folder: Path, name: str = NAME) -> tuple[Entry, ...]:
    """The entries of a glossary in a folder of documents; none where it is not installed."""
    path = folder / f"{name}.md"
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        return ()
    return _read(path, changed)


@lru_cache(maxsize=4)
def _read(path: Path, _changed: int) -> tuple[Entry, ...]:
    return entries_in(path.read_text(encoding="utf-8"))
