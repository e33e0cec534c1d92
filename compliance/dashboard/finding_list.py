"""The list of findings: what an address asks for, and the rows it lets through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, F, OrderBy, Q
from django.http import QueryDict

from auditor.records import Severity
from compliance.dashboard.asked import choice
from compliance.dashboard.home_page import AGES, Age
from compliance.governance.finding_states import FindingState
from compliance.models import FindingRecord
from compliance.models.findings import FindingRecordRows

LIVE, OVERDUE, NOBODY = "live", "yes", "nobody"
LONGEST = 200
#: What the list may be sorted by: the words of the page, and the order.
SORTS: dict[str, tuple[str, tuple[str | OrderBy, ...]]] = {
    "severity": ("Severity, worst first", ("-severity_rank", "-serial")),
    "due": ("Due date, next first", (F("due_by").asc(nulls_last=True), "-severity_rank", "-serial")),
    "last": ("Last seen, newest first", ("-last_seen", "-serial")),
    "first": ("First seen, oldest first", ("first_seen", "serial")),
    "number": ("Number, newest first", ("-serial",)),
}
BATCH = 200


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What an address asks for. Empty is everything."""

    words: str = ""
    state: str = ""
    severity: str = ""
    owner: str = ""
    overdue: str = ""
    age: str = ""
    sort: str = "severity"

    @property
    def span(self) -> Age | None:
        """The span of age, if one is asked for."""
        return next((item for item in AGES if item.name == self.age), None)

    @property
    def query(self) -> str:
        """The same as an address, without the page."""
        told = {"q": self.words, **{name: getattr(self, name) for name in ("state", "severity", "owner", "overdue")}}
        told |= {"age": self.age, "sort": self.sort if self.sort != "severity" else ""}
        return urlencode({name: value for name, value in told.items() if value})


def asked_from(given: QueryDict, *, owners: list[str]) -> Asked:
    """What an address asks for; 404 for a choice that the page does not offer."""
    return Asked(
        words=given.get("q", "").strip()[:LONGEST],
        state=choice(given, "state", [LIVE, *FindingState]),
        severity=choice(given, "severity", list(Severity)),
        owner=choice(given, "owner", [NOBODY, *owners]),
        overdue=choice(given, "overdue", [OVERDUE]),
        age=choice(given, "age", [item.name for item in AGES]),
        sort=choice(given, "sort", list(SORTS)) or "severity",
    )


def records_of(rows: FindingRecordRows, asked: Asked, *, now: datetime) -> FindingRecordRows:
    """The findings that an address lets through, in its order, each with ``due_by``."""
    found = rows.overdue(now.date()) if asked.overdue else rows.dated()
    if asked.state:
        found = found.live() if asked.state == LIVE else found.filter(state=asked.state)
    if asked.severity:
        found = found.filter(severity=asked.severity)
    if asked.owner:
        found = found.filter(owner=None) if asked.owner == NOBODY else found.filter(owner__username=asked.owner)
    if asked.span is not None:
        found = found.filter(first_seen__lte=now - timedelta(days=asked.span.first))
        if asked.span.last is not None:
            found = found.filter(first_seen__gt=now - timedelta(days=asked.span.last + 1))
    for word in asked.words.split():
        found = found.filter(_holds(word))
    return found.order_by(*SORTS[asked.sort][1])


def shown(found: FindingRecordRows) -> FindingRecordRows:
    """What a list shows of these findings: without the design, which is large."""
    beside = found.select_related("language_model", "plan", "owner", "team", "opened_in")
    light = beside.defer("plan__design_json", "opened_in__run_json")
    return light.annotate(seen=Count("sightings__audit", distinct=True))


def every(found: FindingRecordRows) -> Iterator[Any]:
    """All these findings in their order, so many at a time."""
    keys = list(found.values_list("pk", flat=True))
    for start in range(0, len(keys), BATCH):
        part = shown(FindingRecord.objects.dated()).in_bulk(keys[start : start + BATCH])
        yield from (part[key] for key in keys[start : start + BATCH])


def owners_of(rows: FindingRecordRows) -> list[str]:
    """Everybody who owns one of these findings."""
    named = rows.filter(owner__isnull=False).order_by().values_list("owner__username", flat=True).distinct()
    return sorted(named)


def _holds(word: str) -> Q:
    """A word in the title, the model or the design; ``F-0012`` and ``12`` are numbers."""
    number = word.upper().removeprefix("F-")
    found = Q(title__icontains=word) | Q(language_model__name__icontains=word) | Q(plan__title__icontains=word)
    if number.isascii() and number.isdecimal() and len(number) < 10:
        found |= Q(serial=int(number))
    return found
