"""The list of findings: what it can be narrowed to and ordered by, and the rows it lets through."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F
from django.utils.translation import gettext as _

from auditor.records import Severity
from compliance.dashboard.finding_tables import records_table
from compliance.dashboard.home_page import AGES, Age
from compliance.governance.finding_states import FindingState
from compliance.models import FindingRecord
from compliance.models.findings import FindingRecordRows
from compliance.tables.described import Table
from compliance.tables.lists import BATCH, Filter, Listing, Sort, by, named
from compliance.words import translated

LIVE, OVERDUE, NOBODY = "live", "yes", "nobody"


def _sorts() -> tuple[Sort, ...]:
    """The orders of the list, the usual one first."""
    return (
        by("severity", _("Severity, worst first"), "-severity_rank", "-serial", column="severity", descending=True),
        by(
            "due",
            _("Due date, next first"),
            F("due_by").asc(nulls_last=True),
            "-severity_rank",
            "-serial",
            column="due",
        ),
        by("last", _("Last seen, newest first"), "-last_seen", "-serial", column="last_seen", descending=True),
        by("first", _("First seen, oldest first"), "first_seen", "serial", column="first_seen"),
        by("number", _("Number, newest first"), "-serial", column="finding", descending=True),
    )


def listing(rows: FindingRecordRows, *, now: datetime) -> Listing:
    """These findings, worst first; every one of them has ``due_by``."""
    today = now.date()

    def table(lines: Any, every: Any) -> Table:
        return records_table(lines, every, today=today)

    return Listing(
        noun="finding",
        rows=rows.dated(),
        search=named("title", "language_model__name", "plan__title", numbered="serial", letter="F"),
        hint=_("Number, words, model"),
        filters=(
            Filter(
                name="state",
                label=_("State"),
                narrow=lambda found, value: found.live() if value == LIVE else found.filter(state=value),
                offered=((LIVE, _("Not settled")), *((item.value, str(item.label)) for item in FindingState)),
            ),
            Filter(
                name="severity",
                label=_("Severity"),
                narrow=lambda found, value: found.filter(severity=value),
                offered=[(item.value, translated(item.value.capitalize())) for item in reversed(Severity)],
            ),
            Filter(
                name="owner",
                label=_("Owner"),
                narrow=_owned_by,
                offered=((NOBODY, _("Nobody yet")), *((name, name) for name in owners_of(rows))),
            ),
            Filter(
                name="overdue",
                label=_("Date"),
                narrow=lambda found, value: found.overdue(today),
                offered=((OVERDUE, _("Overdue")),),
                every=_("Any"),
            ),
            Filter(
                name="age",
                label=_("Age"),
                narrow=lambda found, value: _aged(found, value, now),
                offered=[(item.name, item.label) for item in AGES],
            ),
        ),
        sorts=_sorts(),
        # Their keys are sorted, and only those of one page are read with what stands beside them.
        lines=lambda found: _read(list(found.values_list("pk", flat=True))),
        every=every,
        table=table,
    )


def _owned_by(rows: FindingRecordRows, value: str) -> FindingRecordRows:
    return rows.filter(owner=None) if value == NOBODY else rows.filter(owner__username=value)


def _aged(rows: FindingRecordRows, value: str, now: datetime) -> FindingRecordRows:
    span: Age = next(item for item in AGES if item.name == value)
    rows = rows.filter(first_seen__lte=now - timedelta(days=span.first))
    return rows if span.last is None else rows.filter(first_seen__gt=now - timedelta(days=span.last + 1))


def _read(keys: list[int]) -> list[Any]:
    found = shown(FindingRecord.objects.dated()).in_bulk(keys)
    return [found[key] for key in keys]


def shown(found: FindingRecordRows) -> FindingRecordRows:
    """What a list shows of these findings: without the design, which is large."""
    beside = found.select_related("language_model", "plan", "owner", "team", "opened_in")
    light = beside.defer("plan__design_json", "opened_in__run_json")
    return light.annotate(seen=Count("sightings__audit", distinct=True))


def every(found: FindingRecordRows) -> Iterator[Any]:
    """All these findings in their order, so many at a time."""
    keys = list(found.values_list("pk", flat=True))
    for start in range(0, len(keys), BATCH):
        yield from _read(keys[start : start + BATCH])


def owners_of(rows: FindingRecordRows) -> list[str]:
    """Everybody who owns one of these findings."""
    named = rows.filter(owner__isnull=False).order_by().values_list("owner__username", flat=True).distinct()
    return sorted(named)
