"""What an address asks for: a choice that is not among those a page offers is refused in one line, never passed over.

A filter that is silently left out shows everything where somebody believes to see a part, and one that nothing fits
shows an empty list that reads like "none".
"""

from __future__ import annotations

from collections.abc import Iterable

from django.http import Http404, QueryDict
from django.utils.translation import gettext as _

SHOWN_CHARACTERS = 60
SHOWN_CHOICES = 12


def choice(asked: QueryDict, name: str, choices: Iterable[str]) -> str:
    """What an address asks for under a name; empty for nothing.

    Raises
    ------
    Http404
        For anything that is not among the choices, with the line that the page of that error prints.
    """
    word = asked.get(name, "")
    known = list(choices)
    if not word or word in known:
        return word
    raise unknown(name, word, known)


def unknown(name: str, word: str, choices: Iterable[str]) -> Http404:
    """The refusal of a choice; more of them than a line holds are cut short."""
    known = list(choices)
    said = word if len(word) <= SHOWN_CHARACTERS else f"{word[:SHOWN_CHARACTERS]}…"
    told = {"name": name, "word": repr(said), "choices": ", ".join(known[:SHOWN_CHOICES])}
    more = len(known) - SHOWN_CHOICES
    if more > 0:
        line = _("{name}: {word} is unknown; expected one of: {choices} and {more} more")
        return Http404(line.format(**told, more=more))
    return Http404(_("{name}: {word} is unknown; expected one of: {choices}").format(**told))
