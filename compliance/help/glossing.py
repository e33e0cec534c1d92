"""Terms of the glossary in a finished page: the first of each in running text becomes a link.

The page is read once by expressions that are compiled once, not parsed into a tree: what comes out is what went in,
with links in it. Our templates close what they open and escape what they print, which this relies on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any

from compliance.help.glossary import Entry

#: Elements in which nothing is linked: they are links or controls themselves, name something, or are evidence.
NEVER = (
    "a", "button", "code", "h1", "h2", "h3", "h4", "h5", "h6", "label", "legend", "nav", "option", "pre", "script",
    "select", "style", "summary", "svg", "textarea", "th", "title",
)  # fmt: skip
#: Of these not even the words are read: nobody sees them as text of the page.
UNREAD = ("script", "style", "textarea", "nav")
#: What marks an element, whatever its name, in which nothing is linked and no word is read.
PLAIN = "data-plain"
# What stands in quotes may be anything; a mark that opens nothing ends at the next one: many cost no time.
_TAG = r"""<[^<>"']*(?:"[^"]*"[^<>"']*|'[^']*'[^<>"']*)*>"""
# An element of NEVER as a whole, a comment, or a tag; and the name of what is no element of NEVER.
_MARKUP = re.compile(rf"""(<({"|".join(NEVER)})(?=[\s>]).*?</\2>|<!--.*?-->|{_TAG})""", re.DOTALL)
_TAGS = re.compile(r"<[^>]*>")
_QUOTED = re.compile(r"""\"[^"]*"|'[^']*'""")
_BREAK = "\0"


@dataclass(frozen=True, kw_only=True)
class Glossed:
    """A page with its links, and the entries whose terms it uses, in the order of the glossary."""

    html: str
    used: tuple[Entry, ...]


def gloss(html: str, entries: tuple[Entry, ...], *, address: str, only: str = "") -> Glossed:
    """Link the first of every entry's terms in the running text of ``html`` to ``address#slug``.

    The longest term wins, in whole words of either case, in the singular or the plural; with ``only``, such as
    ``lang="en"``, in elements alone that say so. Raises nothing: a tag that is not closed leaves what follows as it
    was.
    """
    if not entries:
        return Glossed(html=html, used=())
    find, meant = _expression(entries)
    # Text, markup and name in turns; the text that may be linked is read as one, which is faster than piecewise.
    pieces = _MARKUP.split(html)
    running, unlinked = _sorted_out(pieces, only)
    linked: dict[str, Entry] = {}
    place, start, text = 0, 0, pieces[running[0]] if running else ""
    done = 0
    out: list[str] = []
    for hit in find.finditer(_lower(_BREAK.join(pieces[at] for at in running))):
        entry = meant[_normal(hit[0])]
        if entry.slug in linked:
            continue
        linked[entry.slug] = entry
        while hit.start() > start + len(text):
            _keep(pieces, running[place], out, done)
            start, place, done = start + len(text) + len(_BREAK), place + 1, 0
            text = pieces[running[place]]
        begin, end = hit.start() - start, hit.end() - start
        out += (text[done:begin], _link(text[begin:end], entry, address))
        done = end
    if running:
        _keep(pieces, running[place], out, done)
    named = (meant[_normal(hit[0])] for hit in find.finditer(_lower(_TAGS.sub(_BREAK, _BREAK.join(unlinked)))))
    used = {*linked, *(entry.slug for entry in named)}
    del pieces[2::3]
    return Glossed(html="".join(pieces), used=tuple(entry for entry in entries if entry.slug in used))


def _keep(pieces: list[str], at: int, out: list[str], done: int) -> None:
    """Put a text back that links were set into, and begin the next."""
    if out:
        pieces[at] = "".join((*out, pieces[at][done:]))
        out.clear()


def _link(words: str, entry: Entry, address: str) -> str:
    return f'<a class="term" href="{address}#{entry.slug}" title="{escape(entry.meaning)}">{words}</a>'


def _sorted_out(pieces: list[str], only: str) -> tuple[list[int], list[str]]:
    """Where among ``pieces`` running text stands, and the markup whose words are read and not linked."""
    running, unlinked = [], []
    plain, depth = "", 0
    asked, level = "", 0
    for at in range(0, len(pieces), 3):
        if not depth and (level or not only) and len(pieces[at]) > 1 and not pieces[at].isspace():
            running.append(at)
        if at + 1 == len(pieces):
            break
        markup, name = pieces[at + 1], pieces[at + 2]
        if only and not name:
            if level:
                level += _step(markup, asked)
            elif only in markup and markup[1] not in "!/":
                asked, level = _named(markup), 1
        if depth:
            depth += _step(markup, plain)
        elif name:
            if name not in UNREAD and (not only or level or only in markup.partition(">")[0]):
                unlinked.append(markup)
        elif PLAIN in markup and markup[1] not in "!/" and PLAIN in _QUOTED.sub("", markup):
            # As an attribute: in quotes it is what somebody typed.
            plain, depth = _named(markup), 1
    return running, unlinked


def _named(tag: str) -> str:
    return re.split(r"[\s>]", tag[1:], maxsplit=1)[0]


def _step(markup: str, plain: str) -> int:
    """How far a tag leads into or out of an element called ``plain``."""
    if markup.startswith(f"</{plain}"):
        return -1
    return int(re.match(rf"<{plain}(?=[\s>])", markup) is not None)


def _lower(text: str) -> str:
    """In lower case and of the same length, which a few letters of other alphabets are not in theirs."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)


def _normal(words: str) -> str:
    return " ".join(words.lower().split())


def _forms(term: str) -> Iterable[str]:
    """A term in lower case, and its plurals."""
    word = _normal(term)
    yield word
    yield f"{word[:-1]}ies" if re.search(r"[^aeiou]y$", word) else f"{word}s"


@lru_cache(maxsize=4)
def _expression(entries: tuple[Entry, ...]) -> tuple[re.Pattern[str], dict[str, Entry]]:
    """What finds every term, longest first, and the entry that each form of a term belongs to."""
    meant: dict[str, Entry] = {}
    for entry in entries:
        for term in entry.terms:
            for form in _forms(term):
                meant.setdefault(form, entry)
    tree: dict[str, Any] = {}
    for form in meant:
        branch = tree
        for letter in form:
            branch = branch.setdefault(letter, {})
        branch[""] = {}
    first = "".join(sorted({form[0] for form in meant}))
    return re.compile(rf"\b(?=[{re.escape(first)}])(?<![-–]){_branches(tree)}(?![\w–-])"), meant


def _branches(tree: dict[str, Any]) -> str:
    """A tree of letters as one expression, so that a place of the text is looked at once and not once a term."""
    ways = [
        (r"\s+" if letter == " " else re.escape(letter)) + _branches(rest) for letter, rest in tree.items() if letter
    ]
    if not ways:
        return ""
    return f"(?:{'|'.join(ways)}){'?' if '' in tree else ''}"
