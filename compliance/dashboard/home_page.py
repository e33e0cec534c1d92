"""What the first page shows beside the inbox: open findings by severity and age, verdicts, the trend of an effect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import Count, Q
from django.urls import reverse

from auditor.records import Conclusion, Measurement, Role, Severity
from compliance.dashboard.audited_models import grave_findings
from compliance.dashboard.records import measurement
from compliance.models import Audit, FindingRecord, FindingRow, MeasurementRow
from reports import wording

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

    from compliance.models.audits import AuditQuerySet


@dataclass(frozen=True)
class Age:
    """A span of days since the audit was finished; ``last`` is ``None`` where it is open."""

    name: str
    label: str
    first: int
    last: int | None

    def holds(self, days: int) -> bool:
        """Whether something so many days old falls into it."""
        return self.first <= days and (self.last is None or days <= self.last)


AGES = (
    Age("30", "≤ 30 d", 0, 30),
    Age("90", "31–90 d", 31, 90),
    Age("180", "91–180 d", 91, 180),
    Age("older", "> 180 d", 181, None),
)


def lead_measurements(audits: Iterable[Audit]) -> dict[int, Measurement]:
    """The measurement that carries the verdict, by audit; its conclusion never reads clean beside a grave finding."""
    keys = [audit.pk for audit in audits]
    findings = grave_findings(keys)
    cited = {name for items in findings.values() for item in items for name in item.measurements}
    wanted = Q(role=Role.PRIMARY) | Q(key__in=cited) if cited else Q(role=Role.PRIMARY)
    by_audit: dict[int, list[Measurement]] = {}
    for row in MeasurementRow.objects.filter(wanted, audit__in=keys).order_by():
        by_audit.setdefault(row.audit_id, []).append(measurement(row))
    leads = {pk: wording.lead_measurement(items, findings.get(pk, ())) for pk, items in by_audit.items()}
    return {
        pk: replace(
            lead,
            conclusion=wording.card_conclusion(lead.conclusion or Conclusion.NOT_TESTED, findings.get(pk, ())),
        )
        for pk, lead in leads.items()
        if lead is not None
    }


def findings_by_audit(audits: AuditQuerySet) -> list[tuple[int, str, int]]:
    """How many findings of which severity each audit has. Counted in the index alone."""
    ranked = FindingRow.objects.filter(audit__in=audits.order_by().values("pk")).order_by()
    levels = {level.rank: level.value for level in Severity}
    counted = ranked.values_list("audit_id", "severity_rank").annotate(number=Count("pk"))
    return [(audit, levels[rank], number) for audit, rank, number in counted]


class Counted(NamedTuple):
    """So many findings of one severity, first seen at a moment, and whether their day is past."""

    severity: str
    first_seen: datetime
    late: bool
    number: int = 1


def live_findings(user: User | AnonymousUser, *, today: date) -> list[Counted]:
    """The findings about which somebody has still to do something, as the first page counts them."""
    rows = FindingRecord.objects.for_user(user).live().dated().order_by()
    columns = ("severity", "first_seen", "due_by")
    return [Counted(level, seen, due is not None and due < today) for level, seen, due in rows.values_list(*columns)]


def matrix(counted: Iterable[Counted], *, now: datetime) -> list[dict[str, Any]]:
    """Severity × age, worst first. Every count has an address; ``late`` says that one among them is overdue."""
    spans = [((now - item.first_seen).days, item) for item in counted]
    rows = []
    for level in reversed(Severity):
        mine = [(days, item) for days, item in spans if item.severity == level.value]
        cells = [_cell(level, span.name, [item for days, item in mine if span.holds(days)]) for span in AGES]
        rows.append(
            {"severity": level.value, "cells": [*cells, {**_cell(level, "", [i for _, i in mine]), "late": False}]}
        )
    return rows


def _cell(level: Severity, age: str, items: Sequence[Counted]) -> dict[str, Any]:
    words = f"state=live&severity={level.value}" + (f"&age={age}" if age else "")
    count = sum(item.number for item in items)
    return {
        "count": count,
        "shade": 0 if not count else 1 if count < 3 else 2 if count < 6 else 3,
        "late": any(item.late and item.number for item in items),
        "link": f"{reverse('findings')}?{words}",
    }
