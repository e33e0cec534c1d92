"""What a notice says, in the language of whoever reads it: it is kept in English, as events are."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from django.utils.translation import get_language, gettext

from compliance.dates import day_said

NUMBER = re.compile(r"\b[AF]-[0-9]{4,}\b")
DAY, WRITTEN = re.compile(r"\b[0-9]{1,2} [A-Z][a-z]{2} [0-9]{4}\b"), "%d %b %Y"
#: Earlier notices were kept with two digits, ``05 Dec 2026``.
PADDED = re.compile(r"\b0([1-9] [A-Z][a-z]{2} [0-9]{4})\b")


def day_written(day: date) -> str:
    """A day as it is kept in a notice, and as English pages say it: ``5 Dec 2026``."""
    return f"{day.day} {day:%b %Y}"


def said_now(words: str) -> str:
    """The words of a notice in the reader's language: as they are where nobody translated their sentence.

    A sentence is known by what is left of it without the number and the day that it was filled in with.
    """
    if (get_language() or "").startswith("en") or "{" in words:
        return PADDED.sub(r"\1", words)
    number, day = NUMBER.search(words), DAY.search(words)
    sentence = DAY.sub("{day}", NUMBER.sub("{number}", words, count=1), count=1)
    try:
        moment = datetime.strptime(day[0], WRITTEN).replace(tzinfo=UTC) if day else None
    except ValueError:
        return words
    return gettext(sentence).format(number=number[0] if number else "", day=day_said(moment) if moment else "")
