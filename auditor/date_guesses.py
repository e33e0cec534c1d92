"""What is to be said of dates that are written in several ways, or as days that a spreadsheet counts."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence

import polars as pl

from auditor.column_words import plain

#: Day and month or month and day, and the year.
NUMBERED = re.compile(r"([0-9]{1,2})([/.\-])([0-9]{1,2})\2([0-9]{4}|[0-9]{2})( .*)?")
DATE_NAMES = re.compile(r"(.*_)?(date|datum|data|fecha|dob|birth_?day|geburtstag|opened|closed|_am|dat)(_.*)?")
COUNTED_DAYS = (15_000, 62_000)  # as spreadsheets count them: the years 1941 to 2069
EPOCH = datetime.date(1899, 12, 30)
MONTHS = 12


def are_dates(texts: Sequence[str]) -> bool:
    """Whether all of some distinct texts are dates of three numbers.

    >>> are_dates(["01.02.1980", "13.01.1980"]), are_dates(["1.234", "13.01.1980"]), are_dates([])
    (True, False, False)
    """
    return bool(texts) and all(NUMBERED.fullmatch(text.strip()) for text in texts)


def about_dates(texts: Sequence[str]) -> str:
    """What is to be said of distinct dates of three numbers: which of them is the day; empty if there is nothing.

    >>> about_dates(["13/01/1980", "01/13/1980"])
    "dates of two orders, '13/01/1980' and '01/13/1980', of which one text may mean two days: left as text"
    >>> about_dates(["01/02/1980", "03/02/1980"])
    "dates such as '01/02/1980', of which nothing says whether day or month stands first: left as text"
    >>> about_dates(["13/01/1980", "01/02/1980"])
    ''
    """
    found = {text: match for text in texts if (match := NUMBERED.fullmatch(text.strip()))}
    if not texts or len(found) < len(texts):
        return ""
    day_first = next((text for text, match in found.items() if int(match[1]) > MONTHS), "")
    month_first = next((text for text, match in found.items() if int(match[3]) > MONTHS), "")
    if day_first and month_first:
        return (
            f"dates of two orders, {day_first!r} and {month_first!r}, of which one text may mean two days: left as text"
        )
    if day_first or month_first or all("." in text for text in found):
        return ""
    return f"dates such as {texts[0]!r}, of which nothing says whether day or month stands first: left as text"


def about_days(name: str, numbers: pl.Series) -> str:
    """What is to be said of whole numbers that may be days as spreadsheets count them; empty if they hardly are."""
    if not numbers.dtype.is_integer() or not DATE_NAMES.fullmatch(plain(name)):
        return ""
    low, high = numbers.min(), numbers.max()
    if not isinstance(low, int) or not isinstance(high, int) or low < COUNTED_DAYS[0] or high > COUNTED_DAYS[1]:
        return ""
    first, last = (EPOCH + datetime.timedelta(days=days) for days in (low, high))
    return f"{low} to {high} may be days as spreadsheets count them, {first} to {last}: write them as dates if they are"
