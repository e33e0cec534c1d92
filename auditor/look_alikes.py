"""Groups that look alike to a reader and are counted apart.

By case, width, blanks, dashes and slashes between words, marks over Latin letters, full stops, letters that look Latin.
"""

from __future__ import annotations

import re
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


def as_latin(text: str) -> str:
    """A text in which letters that only look Latin are, where it has Latin ones beside them and no others.

    >>> as_latin("s\u0435x") == "sex", as_latin("\u043f\u043e\u043b") == "\u043f\u043e\u043b"
    (True, True)
    """
    if text.isascii() or not any(each.isascii() and each.isalpha() for each in text):
        return text
    latin = text.translate(_ALIKE)
    return latin if latin.isascii() else text


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
    """What a reader sees of a text.

    >>> {_seen(text) for text in ("Hispanic / Latino", "Hispanic/Latino", "hispanic-latino.", "HISPANIC LATINO")}
    {'hispaniclatino'}
    >>> len({_seen(text) for text in ("A+", "A-", "A", "25-34", "2534", "<25", ">25", "1.5", "15")})
    9
    """
    parts = unicodedata.normalize("NFKD", value)
    shown = "".join(each for each in parts if unicodedata.category(each) != "Cf")
    plain = _MARKS.sub("", shown.translate(_ALIKE)).casefold().strip()
    # A dash or a stop says something beside a digit ("25-34", "1.5") and at the end of a grade ("A-").
    return " ".join(_BETWEEN.sub("", _STOPS.sub("", plain)).split())


#: Marks over Latin letters. In other scripts they make other letters of them.
_MARKS = re.compile(r"(?<=[A-Za-z\u0300-\u036f])[\u0300-\u036f]+")
_STOPS = re.compile(r"(?<=[^\W\d_])\.|[.,;:]+$")
#: What stands between two words.
_BETWEEN = re.compile(r"(?<=[^\W\d_])[\s/_\-]+(?=[^\W\d_])")
