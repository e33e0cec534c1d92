"""Days and times as pages say them: in UTC as in reports, with the month in the reader's language."""

from __future__ import annotations

from datetime import UTC, date, datetime

from django.utils.dateformat import format as formatted
from django.utils.translation import get_language

from reports import numbers

GERMAN_DAY, GERMAN_TIME = "j. M Y", "j. M Y, H:i"


def moment_said(moment: datetime) -> str:
    """``21 Nov 2026, 11:12 UTC``; in German ``21. Nov 2026, 11:12 UTC``."""
    if not _german():
        return numbers.date(moment.isoformat())
    return f"{formatted(_in_utc(moment), GERMAN_TIME)} UTC"


def day_said(day: date) -> str:
    """``21 Nov 2026`` of a day, or of a time in UTC; in German ``21. Nov 2026``."""
    whole = _in_utc(day) if isinstance(day, datetime) else datetime(day.year, day.month, day.day, tzinfo=UTC)
    if not _german():
        return numbers.date(whole.isoformat()).partition(",")[0]
    return formatted(whole, GERMAN_DAY)


def iso_day_said(text: str) -> str:
    """A day that was kept as ``2026-11-21``, as pages say days; any other text as it is."""
    try:
        return day_said(date.fromisoformat(text))
    except ValueError:
        return text


def _german() -> bool:
    return (get_language() or "").startswith("de")


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
