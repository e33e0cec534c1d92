"""What the first page shows: audits newest first, and findings by severity and age."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse

from auditor.records import Measurement, Role, Severity
from compliance.dashboard.records import measurement
from compliance.models import Audit, FindingRow, MeasurementRow
from reports import wording


@dataclass(frozen=True)
class Age:
    """A span of days since the audit was finished; ``last`` is ``None`` where it is open."""

    name: str
    label: str
    first: int
    last: int | None


AGES = (
    Age("30", "≤ 30 d", 0, 30),
    Age("90", "31–90 d", 31, 90),
    Age("180", "91–180 d", 91, 180),
    Age("older", "> 180 d", 181, None),
)


def lead_codes(audits: Iterable[Audit]) -> dict[int, Measurement]:
    """The measurement that carries the verdict, by audit."""
    rows = MeasurementRow.objects.filter(audit__in=list(audits), role=Role.PRIMARY)
    by_audit: dict[int, list[Measurement]] = {}
    for row in rows:
        by_audit.setdefault(row.audit_id, []).append(measurement(row))
    leads = {pk: wording.lead_measurement(items) for pk, items in by_audit.items()}
    return {pk: lead for pk, lead in leads.items() if lead is not None}


def findings_of(audits: QuerySet[Audit], *, severity: str = "", age: str = "", now: datetime) -> QuerySet[FindingRow]:
    """Findings of those audits, worst first, narrowed to a severity and a span of age where they are given."""
    found = FindingRow.objects.filter(audit__in=audits).select_related("audit", "audit__plan")
    if severity:
        found = found.filter(severity=severity)
    span = next((item for item in AGES if item.name == age), None)
    if span is not None:
        found = found.filter(audit__finished_at__lte=now - timedelta(days=span.first))
        if span.last is not None:
            found = found.filter(audit__finished_at__gt=now - timedelta(days=span.last + 1))
    return found.order_by("-severity_rank", "-audit__serial", "position")


def matrix(dated: Sequence[tuple[str, datetime]], *, now: datetime) -> list[dict[str, Any]]:
    """Severity × age: counts of ``(severity, finished_at)``, worst first; every count has an address."""
    rows = []
    for level in reversed(Severity):
        ages = [(now - moment).days for severity, moment in dated if severity == level.value]
        counts = [
            (span.name, sum(span.first <= age and (span.last is None or age <= span.last) for age in ages))
            for span in AGES
        ]
        cells = [_cell(level, name, count) for name, count in counts]
        rows.append({"severity": level.value, "cells": [*cells, _cell(level, "", len(ages))]})
    return rows


def _cell(level: Severity, age: str, count: int) -> dict[str, Any]:
    words = f"severity={level.value}" + (f"&age={age}" if age else "")
    shade = 0 if not count else 1 if count < 3 else 2 if count < 6 else 3
    return {"count": count, "shade": shade, "link": f"{reverse('findings')}?{words}"}
