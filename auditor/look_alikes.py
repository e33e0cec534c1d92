"""Groups that look alike to a reader and are counted apart: case, width, blanks, dashes, letters of other alphabets."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

SHOWN = 6
#: Cyrillic and Greek letters that look as Latin ones do in most typefaces, after them the Latin ones.
_LETTERS = (
    ("АВЕЅЗІЈКМНОРСТУХҮԌԚԜ", "ABES3IJKMHOPCTYXYGQW"),
    ("асеһіјорԛѕԝхуԁ", "acehijopqswxyd"),
    ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX"),
    ("αικνορυχ", "aikvopux"),
)
_SIGNS = {"‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "−": "-", "’": "'", "‘": "'", "ʼ": "'", "`": "'"}
LATIN: Mapping[str, str] = {
    each: latin for letters, others in _LETTERS for each, latin in zip(letters, others, strict=True)
}
_ALIKE = str.maketrans({**LATIN, **_SIGNS})


def look_alikes(groups: Mapping[Any, int], where: str) -> Iterator[str]:
    """A line for each lot of groups that may be one, and for each that is written in letters that only look Latin."""
    alike: dict[str, list[str]] = {}
    for value in groups:
        if isinstance(value, str):
            alike.setdefault(_seen(value), []).append(value)
    for same in alike.values():
        if len(same) > 1:
            said = ", ".join(f"{value!a} ({groups[value]:,} rows)" for value in same[:SHOWN])
            yield f"{where} has groups that look alike and are counted apart: {said}; words would make them one"
    latin = any(each.isascii() and each.isalpha() for value in groups if isinstance(value, str) for each in value)
    for same in alike.values():
        value = same[0]
        # A table in Russian or Greek is one: only beside Latin letters are such letters a slip or a trick.
        odd = [each for each in value if each in LATIN]
        if len(same) == 1 and latin and odd and value.translate(_ALIKE).isascii():
            name = unicodedata.name(odd[0], "").lower()
            yield f"{where} has the group {value!r} ({groups[value]:,} rows) with letters that look Latin: {name}"


def _seen(value: str) -> str:
    """What a reader sees of a text."""
    shown = "".join(each for each in unicodedata.normalize("NFKC", value) if unicodedata.category(each) != "Cf")
    return " ".join(shown.translate(_ALIKE).split()).casefold()
