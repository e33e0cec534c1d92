"""The list of models: all that are registered, those without an audit among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Count
from django.http import HttpRequest
from django.utils.translation import gettext as _

from compliance.access import permissions as access
from compliance.dashboard import audited_models, list_tables
from compliance.dashboard.audit_list import light
from compliance.execution.job import ACTIVE
from compliance.models import Approval, Audit, LanguageModel
from compliance.models.approvals import approvals_in_words
from compliance.models.audits import AuditQuerySet
from compliance.tables.lists import Filter, Listing, Sort
from compliance.templatetags.plumbline import conclusion_said
from reports import wording

Line = dict[str, Any]
AUDITED, NEVER = "yes", "no"
IN_USE, RETIRED = "in_use", "retired"


def listing(request: HttpRequest, *, now: datetime) -> Listing:
    """The models that somebody may see, the most recently audited first."""
    audits = Audit.objects.for_user(request.user)
    return Listing(
        noun="model",
        rows=lines_of(request, audits, now=now),
        search=_holding,
        hint=_("Name, owner, purpose"),
        filters=(
            Filter(
                name="tier",
                label=_("Tier"),
                narrow=_where(lambda line, value: str(line["audited"].tier) == value),
                offered=[(str(tier), str(tier)) for tier in audited_models.TIERS],
            ),
            Filter(
                name="conclusion",
                label=_("Last conclusion"),
                narrow=_where(lambda line, value: line["audited"].basis and line["audited"].basis.conclusion == value),
                offered=[(code.value, conclusion_said(code.value)) for code in wording.CONCLUSION_ORDER],
            ),
            Filter(
                name="use",
                label=_("Use"),
                narrow=_where(lambda line, value: (line["model"].approval == Approval.RETIRED) is (value == RETIRED)),
                offered=((IN_USE, _("In use")), (RETIRED, _("Retired"))),
            ),
            Filter(
                name="audited",
                label=_("Standing"),
                narrow=_where(lambda line, value: (line["audited"].basis is not None) is (value == AUDITED)),
                offered=((AUDITED, _("Stands on an audit")), (NEVER, _("None yet"))),
            ),
            Filter(
                name="overdue",
                label=_("Revalidation"),
                narrow=_where(lambda line, value: line["days"] > 0),
                offered=(("yes", _("Overdue")),),
                every=_("Any"),
            ),
        ),
        sorts=(
            _by("audited", _("Last audited first"), lambda line: -_finished(line), column="audit", descending=True),
            _by("due", _("Revalidation due, next first"), _due, column="due"),
            _by("name", _("Name"), lambda line: 0, column="model"),
            _by("tier", _("Tier"), lambda line: line["audited"].tier, column="tier"),
        ),
        lines=lambda found: _completed(audits, list(found)),
        every=lambda found: _completed(audits, list(found)),
        table=list_tables.models_table,
    )


def lines_of(request: HttpRequest, audits: AuditQuerySet, *, now: datetime) -> list[Line]:
    """Every model that somebody may see in the register, and those of the audits that they may read."""
    stands = audited_models.registered_models(request.user, audited_models.finished(audits))
    rows = LanguageModel.objects.filter(pk__in=[item.language_model for item in stands]).select_related("team")
    by_key = rows.annotate(kept=Count("versions")).in_bulk()
    return [
        {
            "model": by_key[item.language_model],
            "audited": item,
            "days": item.overdue(now),
            "versions": by_key[item.language_model].kept,
        }
        for item in stands
    ]


def _completed(audits: AuditQuerySet, lines: Sequence[Line]) -> list[Line]:
    """The same lines with what is read for those alone that are shown: audits that wait or run, and approvals."""
    by_model: dict[int, list[Audit]] = {}
    models = [line["model"] for line in lines]
    for audit in light(audits.filter(state__in=ACTIVE, model__language_model__in=models)):
        by_model.setdefault(audit.model.language_model_id, []).append(audit)
    approved = approvals_in_words(models)
    return [
        {**line, "under_way": by_model.get(line["model"].pk, []), "approved": approved[line["model"].pk]}
        for line in lines
    ]


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
    basis = line["audited"].basis
    return basis.finished_at.timestamp() if basis is not None else 0.0


def _due(line: Line) -> tuple[bool, float]:
    due = line["audited"].due
    return due is None, due.timestamp() if due is not None else 0.0


def may_list(user: Any) -> None:
    """Refuse whoever may neither read audits nor see the register."""
    if not user.has_perm("compliance.view_languagemodel"):
        access.need(user, "view_audit")
