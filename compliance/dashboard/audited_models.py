"""How the models stand: the last finished audit of each, what it concluded, and when the next one is due."""

from __future__ import annotations

import json
from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from django.urls import reverse

from auditor.records import Conclusion, Finding, Role, Severity
from compliance.dashboard.records import finding
from compliance.execution.job import JobState
from compliance.models import Audit, FindingRow, MeasurementRow, PlanVersion
from reports.wording import CONCLUSION_ORDER, QUIET, card_conclusion

if TYPE_CHECKING:
    from compliance.models.audits import AuditQuerySet

# Months from one validation to the next by model tier: this platform's default, since no law sets one. An institution
# that revalidates more often does so before it is asked to.
REVALIDATION_MONTHS = {1: 12, 2: 24, 3: 36, 4: 36}
TIERS = tuple(REVALIDATION_MONTHS)


@dataclass(frozen=True, kw_only=True)
class AuditedModel:
    """One language model with its last finished audit; ``model_id`` is the version that was audited."""

    language_model: int
    name: str
    model_id: int
    audit_id: int
    audit: str
    finished_at: datetime
    tier: int
    conclusion: Conclusion
    due: datetime

    @property
    def link(self) -> str:
        """Its page."""
        return reverse("model", args=[self.model_id])

    def overdue(self, now: datetime) -> int:
        """Days since the next validation was due; 0 or less if it is not."""
        return (now - self.due).days


class Finished(NamedTuple):
    """What is read of every finished audit at once; the rows themselves hold frozen runs and are large."""

    pk: int
    serial: int
    finished_at: datetime
    plan_id: int
    model_id: int
    language_model: int
    name: str


def finished(audits: AuditQuerySet) -> list[Finished]:
    """The finished ones of these audits, newest first."""
    rows = audits.filter(state=JobState.DONE, finished_at__isnull=False).order_by("-serial")
    named = ("model__language_model_id", "model__language_model__name")
    columns = ("pk", "serial", "finished_at", "plan_id", "model_id", *named)
    return [Finished(*row) for row in rows.values_list(*columns)]


def audited_models(rows: Iterable[Finished]) -> list[AuditedModel]:
    """Every language model that one of these audits is of, the most recently audited first."""
    last: dict[int, Finished] = {}
    for row in rows:
        last.setdefault(row.language_model, row)
    codes = gravest(row.pk for row in last.values())
    tiers = _tiers({row.plan_id for row in last.values()})
    return [
        AuditedModel(
            language_model=row.language_model,
            name=row.name,
            model_id=row.model_id,
            audit_id=row.pk,
            audit=f"A-{row.serial:04d}",
            finished_at=row.finished_at,
            tier=tiers[row.plan_id],
            conclusion=codes.get(row.pk, Conclusion.NOT_TESTED),
            due=months_after(row.finished_at, REVALIDATION_MONTHS[tiers[row.plan_id]]),
        )
        for row in last.values()
    ]


def gravest(audits: Iterable[int]) -> dict[int, Conclusion]:
    """The gravest conclusion of the primary contrasts, by audit; none that reads clean beside a grave finding."""
    primary = MeasurementRow.objects.filter(audit__in=list(audits), role=Role.PRIMARY)
    found: dict[int, Conclusion] = {}
    # Ordered by nothing: the table's own order would read every row.
    for pk, code in primary.order_by().values_list("audit_id", "conclusion").distinct():
        said = Conclusion(code or Conclusion.NOT_TESTED)
        found[pk] = min(found.get(pk, said), said, key=CONCLUSION_ORDER.index)
    quiet = [pk for pk, code in found.items() if code in QUIET]
    beside = grave_findings(quiet) if quiet else {}
    return {pk: card_conclusion(code, beside.get(pk, ())) for pk, code in found.items()}


def grave_findings(audits: Iterable[int]) -> dict[int, list[Finding]]:
    """The findings of medium severity or more, by audit."""
    rows = FindingRow.objects.filter(audit__in=list(audits), severity_rank__gte=Severity.MEDIUM.rank).order_by()
    found: dict[int, list[Finding]] = {}
    for row in rows:
        found.setdefault(row.audit_id, []).append(finding(row))
    return found


def tier_table(audited: list[AuditedModel]) -> list[dict[str, object]]:
    """Tier × last conclusion: how many models; every count has an address."""
    rows: list[dict[str, object]] = []
    for tier in TIERS:
        mine = [item for item in audited if item.tier == tier]
        cells = [_cell(tier, code, sum(item.conclusion is code for item in mine)) for code in CONCLUSION_ORDER]
        if mine or tier < TIERS[-1]:
            rows.append({"tier": tier, "cells": [*cells, _cell(tier, None, len(mine))]})
    return rows


def months_after(moment: datetime, months: int) -> datetime:
    """The same day so many months later; the last of the month where it has no such day."""
    year, month = divmod(moment.month - 1 + months, 12)
    year, month = moment.year + year, month + 1
    return moment.replace(year=year, month=month, day=min(moment.day, monthrange(year, month)[1]))


def history(audits: AuditQuerySet, language_model: int) -> list[Audit]:
    """All audits of a language model's versions, oldest first; only what a list shows of them is loaded."""
    rows = audits.filter(model__language_model=language_model).select_related("model", "plan", "data")
    return list(rows.order_by("serial").defer("run_json", "plan__design_json", "data__mapping", "model__manifest"))


def _tiers(plans: Iterable[int]) -> dict[int, int]:
    designs = PlanVersion.objects.filter(pk__in=list(plans)).order_by().values_list("pk", "design_json")
    return {pk: int(json.loads(design)["use"]["model_tier"]) for pk, design in designs}


def _cell(tier: int, code: Conclusion | None, count: int) -> dict[str, object]:
    words = f"tier={tier}&" + (f"conclusion={code.value}" if code else "audited=yes")
    shade = 0 if not count else 1 if count < 3 else 2 if count < 6 else 3
    return {"count": count, "shade": shade, "link": f"{reverse('models')}?{words}"}
