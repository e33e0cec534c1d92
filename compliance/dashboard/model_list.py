"""The list of models: all that are registered, those without an audit among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Prefetch, Q
from django.http import HttpRequest
from django.urls import reverse

from compliance.access import permissions as access
from compliance.dashboard import audited_models, list_tables
from compliance.dashboard.audit_list import light
from compliance.execution.job import ACTIVE
from compliance.models import Approval, Audit, LanguageModel, LanguageModelVersion
from compliance.models.audits import AuditQuerySet
from compliance.tables.lists import Filter, Listing, Sort
from compliance.templatetags.plumbline import conclusion_said
from reports import wording

Line = dict[str, Any]
AUDITED, NEVER = "yes", "no"


def listing(request: HttpRequest, *, now: datetime) -> Listing:
    """The models that somebody may see, the most recently audited first."""
    audits = Audit.objects.for_user(request.user)
    return Listing(
        noun="model",
        rows=lines_of(request, audits, now=now),
        search=_holding,
        hint="Name, owner, purpose",
        filters=(
            Filter(
                name="tier",
                label="Tier",
                narrow=_where(lambda line, value: str(line["tier"]) == value),
                offered=[(str(tier), str(tier)) for tier in audited_models.TIERS],
            ),
            Filter(
                name="conclusion",
                label="Last conclusion",
                narrow=_where(lambda line, value: bool(line["audited"]) and line["audited"].conclusion == value),
                offered=[(code.value, conclusion_said(code.value)) for code in wording.CONCLUSION_ORDER],
            ),
            Filter(
                name="approval",
                label="In the register",
                narrow=_where(lambda line, value: standing(line["model"]) == value),
                offered=[(item.value, str(item.label)) for item in Approval],
            ),
            Filter(
                name="audited",
                label="Audits",
                narrow=_where(lambda line, value: bool(line["audited"]) is (value == AUDITED)),
                offered=((AUDITED, "With a finished one"), (NEVER, "None finished")),
            ),
            Filter(
                name="overdue",
                label="Revalidation",
                narrow=_where(lambda line, value: line["days"] > 0),
                offered=(("yes", "Overdue"),),
                every="Any",
            ),
        ),
        sorts=(
            _by("audited", "Last audited first", lambda line: -_finished(line), column="audit", descending=True),
            _by("due", "Revalidation due, next first", _due, column="due"),
            _by("name", "Name", lambda line: 0, column="model"),
            _by("tier", "Tier", lambda line: line["tier"], column="tier"),
        ),
        lines=lambda found: _under_way(audits, list(found)),
        every=lambda found: _under_way(audits, list(found)),
        table=list_tables.models_table,
    )


def lines_of(request: HttpRequest, audits: AuditQuerySet, *, now: datetime) -> list[Line]:
    """Every model that somebody may see in the register, and those of the audits that they may read."""
    done = audited_models.audited_models(audited_models.finished(audits))
    audited = {item.language_model: item for item in done}
    own = LanguageModel.objects.for_user(request.user)
    versions = LanguageModelVersion.objects.only("sha256", "language_model_id").order_by("-imported_at", "-pk")
    rows = LanguageModel.objects.filter(Q(pk__in=own.values("pk")) | Q(pk__in=list(audited)))
    found: list[Line] = []
    for row in rows.select_related("team").prefetch_related(Prefetch("versions", versions)):
        item, kept = audited.get(row.pk), [version.pk for version in row.versions.all()]
        found.append(
            {
                "model": row,
                "audited": item,
                "tier": item.tier if item else row.risk_tier,
                "days": item.overdue(now) if item else 0,
                "versions": len(kept),
                "link": item.link if item else reverse("model", args=kept[:1]) if kept else "",
                "under_way": [],
            }
        )
    return found


def standing(model: LanguageModel) -> str:
    """Where it stands with the people who answer for it; approved only as what was approved."""
    stands = Approval(model.approval)
    return Approval.PROPOSED if stands is Approval.APPROVED and not model.approved else stands


def _under_way(audits: AuditQuerySet, lines: Sequence[Line]) -> list[Line]:
    """The same lines with the audits that wait or run."""
    by_model: dict[int, list[Audit]] = {}
    keys = [line["model"].pk for line in lines]
    for audit in light(audits.filter(state__in=ACTIVE, model__language_model__in=keys)):
        by_model.setdefault(audit.model.language_model_id, []).append(audit)
    return [{**line, "under_way": by_model.get(line["model"].pk, [])} for line in lines]


def _where(holds: Callable[[Line, str], bool]) -> Callable[[Iterable[Line], str], list[Line]]:
    return lambda rows, value: [line for line in rows if holds(line, value)]


def _holding(rows: Iterable[Line], word: str) -> list[Line]:
    sought = word.casefold()
    told = ((line, line["model"]) for line in rows)
    return [line for line, row in told if sought in f"{row.name} {row.owner} {row.purpose}".casefold()]


def _by(name: str, words: str, key: Callable[[Line], Any], *, column: str = "", descending: bool = False) -> Sort:
    def order(rows: Iterable[Line]) -> list[Line]:
        return sorted(rows, key=lambda line: (key(line), line["model"].name, line["model"].pk))

    return Sort(name=name, words=words, order=order, column=column, descending=descending)


def _finished(line: Line) -> float:
    return line["audited"].finished_at.timestamp() if line["audited"] else 0.0


def _due(line: Line) -> tuple[bool, float]:
    return line["audited"] is None, line["audited"].due.timestamp() if line["audited"] else 0.0


def may_list(user: Any) -> None:
    """Refuse whoever may neither read audits nor see the register."""
    if not user.has_perm("compliance.view_languagemodel"):
        access.need(user, "view_audit")
