"""What is to be said of dates that are written in several ways, or as days that a spreadsheet counts."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence

import polars as pl

from auditor.column_words import plain

#: Day and month or month and day, and the year.
NUMBERED = re.compile(r"([0-9]{1,2})([/.\-])([0-9]{1,2})\2([0-9]{4}|[0-9]{2})( .*)?")
#: Dates by the order of their parts, which one text cannot be taken for another of.
FORMS = (
    re.compile(r"[0-9]{4}([-/.])[0-9]{1,2}\1[0-9]{1,2}([ T].*)?"),
    NUMBERED,
    re.compile(r"(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])"),
    re.compile(r"[0-9]{1,2}[. -]{1,2}[^\W\d_]{3,9}\.?[ -]([0-9]{4}|[0-9]{2})"),
    re.compile(r"[^\W\d_]{3,9}\.? [0-9]{1,2},? [0-9]{4}"),
    re.compile(r"[3-6][0-9]{4}"),
)
LONGEST_DATE = 40
FIRST_YEAR, LAST_YEAR = 1900, 2099
FEWEST_DAYS = 3
DATE_NAMES = re.compile(
    r"(.*_)?(date|datum|data|fecha|dob|birth_?day|geburtstag|opened|closed|am|dat|dt|day|tag|jour|since|seit|opening|closing"
    r"|eroeffnet|eroeffnung|geschlossen|ausgezahlt|auszahlung|ouvert|ouverture|apertura|inicio|maturity|faellig(keit)?|month"
    r"|monat|mois|mes|period|vintage|yyyy_?mm(_?dd)?)(_.*)?"
)
COUNTED_DAYS = (15_000, 62_000)  # as spreadsheets count them: the years 1941 to 2069
EPOCH = datetime.date(1899, 12, 30)
MONTHS, DAYS = 12, 31


def are_dates(texts: Sequence[str]) -> bool:
    """Whether all of some distinct texts are dates of three numbers.

    >>> are_dates(["01.02.1980", "13.01.1980"]), are_dates(["1.234", "13.01.1980"]), are_dates([])
    (True, False, False)
    """
    return bool(texts) and all(_numbered(text) for text in texts)


def _numbered(text: str) -> re.Match[str] | None:
    """The parts of a date of three numbers; ``None`` where neither of the first two can be a month."""
    match = NUMBERED.fullmatch(text.strip()) if len(text) <= LONGEST_DATE else None
    if match is None:
        return None
    low, high = sorted((int(match[1]), int(match[3])))
    return match if 1 <= low <= MONTHS and high <= DAYS else None


def about_mixed_dates(texts: Sequence[str]) -> str:
    """What is to be said of distinct dates that are written in several ways; empty if they are not.

    >>> about_mixed_dates(["2024-05-01", "05/06/2024"])
    "dates in 2 forms, such as '2024-05-01' and '05/06/2024': left as text, in which one day has several values"
    >>> about_mixed_dates(["2024-05-01", "2024-06-05"]), about_mixed_dates(["10200", "45292"])
    ('', '')
    """
    first: dict[int, str] = {}
    for text in texts:
        bare = text.strip()
        form = _form_at(bare) if len(bare) <= LONGEST_DATE else None
        if form is None:
            return ""
        first.setdefault(form, bare)
    if len(first) < 2:
        return ""
    shown = " and ".join(repr(each) for each in list(first.values())[:2])
    return f"dates in {len(first)} forms, such as {shown}: left as text, in which one day has several values"


def _form_at(text: str) -> int | None:
    at = next((at for at, form in enumerate(FORMS) if form.fullmatch(text)), None)
    return None if at == 1 and _numbered(text) is None else at


def about_dates(texts: Sequence[str]) -> str:
    """What is to be said of distinct dates of three numbers: which of them is the day; empty if there is nothing.

    >>> about_dates(["13/01/1980", "01/13/1980"])
    "dates of two orders, '13/01/1980' and '01/13/1980', of which one text may mean two days: left as text"
    >>> about_dates(["01/02/1980", "03/02/1980"])
    "dates such as '01/02/1980', of which nothing says whether day or month stands first: left as text"
    >>> about_dates(["13/01/1980", "01/02/1980"])
    ''
    """
    found = {text: match for text in texts if (match := _numbered(text))}
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
    """What is to be said of whole numbers that may be days as spreadsheets count them or written without marks."""
    if not numbers.dtype.is_integer():
        return ""
    low, high = numbers.min(), numbers.max()
    if not isinstance(low, int) or not isinstance(high, int):
        return ""
    told = DATE_NAMES.fullmatch(plain(name)) is not None
    if told and COUNTED_DAYS[0] <= low and high <= COUNTED_DAYS[1]:
        first, last = (EPOCH + datetime.timedelta(days=days) for days in (low, high))
        said = f"{low} to {high} may be days as spreadsheets count them, {first} to {last}"
        return f"{said}: write them as dates if they are"
    distinct = numbers.drop_nulls().unique()
    if _are_written(distinct, with_days=True) and len(distinct) >= FEWEST_DAYS:
        return (
            f"{low} to {high} are days written as one number, which grows by 8,870 at a new year: write them as dates"
        )
    if told and _are_written(distinct, with_days=False):
        return f"{low} to {high} may be months written as one number, which grows by 89 at a new year"
    return ""


def _are_written(numbers: pl.Series, *, with_days: bool) -> bool:
    """Whether all of some whole numbers read as year, month and, where they have one, day."""
    months, days = (numbers // 100, numbers % 100) if with_days else (numbers, None)
    fits = (months // 100).is_between(FIRST_YEAR, LAST_YEAR) & (months % 100).is_between(1, MONTHS)
    return bool(fits.all()) and (days is None or bool(days.is_between(1, DAYS).all()))
