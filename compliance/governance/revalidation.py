"""By when a model is to be validated again: so many months after the audit that it stands on, by its tier."""

from __future__ import annotations

from calendar import monthrange
from datetime import date
from typing import TypeVar

from django.conf import settings

Day = TypeVar("Day", bound=date)
#: How many days before it is due a model is called up.
SOON_DAYS = 60


def revalidation_months() -> dict[int, int]:
    """Months from one validation to the next by tier, as this installation sets them; no law does."""
    return dict(settings.REVALIDATION_MONTHS)


def months_after(moment: Day, months: int) -> Day:
    """The same day so many months later; the last of the month where it has no such day."""
    year, month = divmod(moment.month - 1 + months, 12)
    year, month = moment.year + year, month + 1
    return moment.replace(year=year, month=month, day=min(moment.day, monthrange(year, month)[1]))


def next_validation(finished: Day, *, tier: int) -> Day:
    """When a model of a tier is due, whose standing rests on an audit that was finished at that moment."""
    return months_after(finished, revalidation_months()[tier])


def next_round(first: date, *, months: int, after: date) -> date:
    """The first day after another one that lies a whole number of rounds from the first.

    Counted from the first day: the 31st does not become the 28th for good. Days that were missed are passed over.
    """
    rounds = max(0, ((after.year - first.year) * 12 + after.month - first.month) // months)
    while months_after(first, rounds * months) <= after:
        rounds += 1
    return months_after(first, rounds * months)
