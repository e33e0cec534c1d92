"""How the models stand: the last audit that counts for each, what it concluded, and when the next one is due.

What counts is said by `compliance.governance.standing`: a finished, governed audit that was large enough to tell. Trial
runs move nothing; they are counted beside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from django.db.models import Max, Q
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from auditor.records import Conclusion, Finding, Role, Severity
from compliance.dashboard.records import finding
from compliance.execution.job import JobState
from compliance.governance.revalidation import next_validation
from compliance.governance.standing import could_tell
from compliance.models import Approval, Audit, FindingRow, LanguageModel, MeasurementRow
from compliance.models.versions import RiskTier
from reports.wording import CONCLUSION_ORDER, QUIET, card_conclusion

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

    from compliance.models.audits import AuditQuerySet

TIERS = tuple(RiskTier.values)
NO_AUDIT = gettext_noop("no audit of it is finished")
TRIALS = gettext_noop("only trial runs so far")
RETIRED = gettext_noop("it is retired")


class Finished(NamedTuple):
    """What is read of every finished audit at once; the rows themselves hold frozen runs and are large."""

    pk: int
    serial: int
    finished_at: datetime
    plan_id: int
    model_id: int
    language_model: int
    governed: bool
    tells: bool

    @property
    def number(self) -> str:
        """What people call it."""
        return f"A-{self.serial:04d}"

    @property
    def counts(self) -> bool:
        """Whether it moves the standing of its model."""
        return self.governed and self.tells


@dataclass(frozen=True, kw_only=True)
class Basis:
    """The audit on which a standing rests, and its conclusion."""

    audit_id: int
    audit: str
    finished_at: datetime
    conclusion: Conclusion


@dataclass(frozen=True, kw_only=True)
class AuditedModel:
    """One language model of the register, and how it stands.

    ``model_id`` is the version that its standing rests on, else the newest one; ``None`` where it has none. Without
    ``basis`` it has no standing. Without ``due`` there is no date, and ``reason`` says why.
    """

    language_model: int
    team_id: int
    name: str
    model_id: int | None
    tier: int
    basis: Basis | None
    trials: int
    due: datetime | None
    reason: str

    @property
    def link(self) -> str:
        """Its page; empty while it has no version."""
        return reverse("model", args=[self.model_id]) if self.model_id is not None else ""

    def overdue(self, now: datetime) -> int:
        """Days since the next validation was due; 0 or less if it is not."""
        return (now - self.due).days if self.due is not None else 0


def finished(audits: AuditQuerySet) -> list[Finished]:
    """The finished ones of these audits, newest first."""
    rows = could_tell(audits.filter(state=JobState.DONE, finished_at__isnull=False)).order_by("-serial")
    columns = ("pk", "serial", "finished_at", "plan_id", "model_id", "model__language_model_id", "governed", "tells")
    return [Finished(*row) for row in rows.values_list(*columns)]


def registered_models(
    user: User | AnonymousUser, rows: Sequence[Finished], *, only: Iterable[int] | None = None
) -> list[AuditedModel]:
    """Every language model that somebody may see, those with the newest standing first, then by name.

    Parameters
    ----------
    rows
        The finished audits that they may read, newest first.
    only
        Keys of language models, if not all are asked for.
    """
    last: dict[int, Finished] = {}
    undecided: dict[int, Finished] = {}
    for row in rows:
        if row.counts:
            last.setdefault(row.language_model, row)
        elif row.governed:
            undecided.setdefault(row.language_model, row)
    trials = Counter(row.language_model for row in rows if not row.governed)
    codes = gravest(row.pk for row in last.values())
    seen = Q(pk__in=LanguageModel.objects.for_user(user).values("pk")) | Q(pk__in={row.language_model for row in rows})
    models = LanguageModel.objects.filter(seen)
    if only is not None:
        models = models.filter(pk__in=list(only))
    columns = ("pk", "team_id", "name", "risk_tier", "approval", "newest")
    found = []
    for pk, team, name, tier, approval, newest in models.annotate(newest=Max("versions")).values_list(*columns):
        on = last.get(pk)
        due = next_validation(on.finished_at, tier=tier) if on is not None and approval != Approval.RETIRED else None
        found.append(
            AuditedModel(
                language_model=pk,
                team_id=team,
                name=name,
                model_id=on.model_id if on is not None else newest,
                tier=tier,
                basis=_basis(on, codes) if on is not None else None,
                trials=trials[pk],
                due=due,
                reason="" if due else _no_date(approval, undecided.get(pk), trials[pk]),
            )
        )
    return sorted(found, key=lambda item: (-_when(item), item.name.casefold(), item.language_model))


def standing_ones(models: Iterable[AuditedModel]) -> list[AuditedModel]:
    """Those of these models that have a standing."""
    return [item for item in models if item.basis is not None]


def _basis(row: Finished, codes: dict[int, Conclusion]) -> Basis:
    return Basis(
        audit_id=row.pk,
        audit=row.number,
        finished_at=row.finished_at,
        conclusion=codes.get(row.pk, Conclusion.NOT_TESTED),
    )


def _when(item: AuditedModel) -> float:
    return item.basis.finished_at.timestamp() if item.basis is not None else 0.0


def _no_date(approval: str, undecided: Finished | None, trials: int) -> str:
    """Why a model has no date for its next validation."""
    if approval == Approval.RETIRED:
        return _(RETIRED)
    if undecided is not None:
        return _("{number} was too small to tell").format(number=undecided.number)
    return _(TRIALS) if trials else _(NO_AUDIT)


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
    """Tier × last conclusion of the models that have a standing: how many; every count has an address."""
    audited = standing_ones(audited)
    rows: list[dict[str, object]] = []
    for tier in TIERS:
        mine = [item for item in audited if item.tier == tier]
        cells = [
            _cell(tier, code, sum(item.basis is not None and item.basis.conclusion is code for item in mine))
            for code in CONCLUSION_ORDER
        ]
        if mine or tier < TIERS[-1]:
            rows.append({"tier": tier, "cells": [*cells, _cell(tier, None, len(mine))]})
    return rows


def history(audits: AuditQuerySet, language_model: int) -> list[Audit]:
    """All audits of a language model's versions, oldest first; only what a list shows of them is loaded."""
    rows = audits.filter(model__language_model=language_model).select_related("model", "plan", "data")
    return list(rows.order_by("serial").defer("run_json", "plan__design_json", "data__mapping", "model__manifest"))


def _cell(tier: int, code: Conclusion | None, count: int) -> dict[str, object]:
    words = f"tier={tier}&" + (f"conclusion={code.value}" if code else "audited=yes")
    shade = 0 if not count else 1 if count < 3 else 2 if count < 6 else 3
    return {"count": count, "shade": shade, "link": f"{reverse('models')}?{words}"}
