"""What a notice says, in the language of whoever reads it: it is kept in English, as events are."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from django.utils.translation import get_language, gettext

from compliance.dates import day_said

NUMBER = re.compile(r"\b[AF]-[0-9]{4,}\b")
DAY, WRITTEN = re.compile(r"\b[0-9]{2} [A-Z][a-z]{2} [0-9]{4}\b"), "%d %b %Y"


def said_now(words: str) -> str:
    """The words of a notice in the reader's language: as they are where nobody translated their sentence.

    A sentence is known by what is left of it without the number and the day that it was filled in with.
    """
    if (get_language() or "").startswith("en") or "{" in words:
        return words
    number, day = NUMBER.search(words), DAY.search(words)
    sentence = DAY.sub("{day}", NUMBER.sub("{number}", words, count=1), count=1)
    try:
        moment = datetime.strptime(day[0], WRITTEN).replace(tzinfo=UTC) if day else None
    except ValueError:
        return words
    return gettext(sentence).format(number=number[0] if number else "", day=day_said(moment) if moment else "")
