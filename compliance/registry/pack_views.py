"""The pages of policy packs: the list, and one page each. A review is recorded by an action."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from django.contrib import messages
from django.db.models import OuterRef, Subquery
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from compliance import actions
from compliance.access import permissions as access
from compliance.dashboard.asked import choice
from compliance.dashboard.event_lines import history_of
from compliance.dashboard.list_pages import list_page
from compliance.dashboard.list_tables import Every
from compliance.exceptions import ComplianceError
from compliance.governance.events import site_actor
from compliance.models import PlanVersion, PolicyPackReview, PolicyPackVersion
from compliance.plans.plan_tables import designs_table
from compliance.registry import pack_page
from compliance.registry.pack_page import ReviewForm, retention_words, review_due, state_words
from compliance.registry.views import page
from compliance.tables.described import Column, Table
from compliance.tables.lists import BATCH, Filter, Listing, by, named
from compliance.tables.pages import page_of
from compliance.templatetags.plumbline import plain_day

REVIEW = "review_policypackversion"
SHOWN = 25


def listing(user: Any, *, today: date) -> Listing:
    """The policy packs, each with the day its review ends (``last_due``; ``None`` where nobody reviewed it)."""
    newest = PolicyPackReview.objects.filter(pack=OuterRef("pk")).order_by("-pk").values("due")[:1]
    rows = PolicyPackVersion.objects.for_user(user).annotate(last_due=Subquery(newest)).defer("content_json")
    known = PolicyPackVersion.objects.for_user(user).order_by()
    stale = today - pack_page.REVIEW_AFTER
    return Listing(
        noun="policy pack",
        rows=rows,
        search=named("name", "pack_id", "version", "jurisdiction"),
        hint=_("Name, id, jurisdiction"),
        filters=(
            Filter(
                name="jurisdiction",
                label=_("Jurisdiction"),
                narrow=lambda found, value: found.filter(jurisdiction=value),
                offered=_offered(sorted({*known.values_list("jurisdiction", flat=True)} - {""})),
            ),
            Filter(
                name="status",
                label=_("Law or standard"),
                narrow=lambda found, value: found.filter(status=value),
                offered=[(value, state_words(value)) for value in sorted({*known.values_list("status", flat=True)})],
            ),
            Filter(
                name="review",
                label=_("Review"),
                narrow=lambda found, value: (
                    found.filter(last_due__lt=today) | found.filter(last_due=None, as_of__lt=stale)
                ),
                offered=(("overdue", _("Overdue")),),
                every=_("Any"),
            ),
        ),
        sorts=(
            by("name", _("Name"), "name", "-loaded_at", "-pk", column="pack"),
            by("read", _("Sources read, newest first"), "-as_of", "-pk", column="as_of", descending=True),
            by("jurisdiction", _("Jurisdiction"), "jurisdiction", "name", "-pk", column="jurisdiction"),
        ),
        table=lambda lines, every: packs_table(lines, every, today=today),
    )


def _offered(values: Sequence[str]) -> list[tuple[str, str]]:
    return [(value, value) for value in values]


def packs_table(rows: Any, every: Every, *, today: date) -> Table:
    """Policy packs, each with where it stands and until when its review holds."""
    return Table(
        name="packs",
        title=_("Policy packs"),
        rows=rows,
        every=every,
        columns=(
            Column("pack", _("Pack"), lambda row: row.name, _link, "long"),
            Column("pack_id", "", lambda row: row.pack_id),
            Column("version", _("Version"), lambda row: row.version),
            Column("jurisdiction", _("Jurisdiction"), lambda row: row.jurisdiction),
            Column("status", _("Law or standard"), lambda row: row.status, lambda row: state_words(row.status), "long"),
            Column(
                "as_of", _("Sources read"), lambda row: row.as_of.isoformat(), lambda row: plain_day(row.as_of), "num"
            ),
            Column(
                "review", _("Review due"), lambda row: _due(row).isoformat(), lambda row: _due_cell(row, today), "num"
            ),
            Column("reviewed", "", lambda row: row.last_due is not None),
            Column("sha256", "", lambda row: row.sha256),
        ),
    )


def _link(row: PolicyPackVersion) -> SafeString:
    return format_html('<a href="{}">{}</a> <small>{}</small>', row.get_absolute_url(), row.name, row.pack_id)


def _due(row: Any) -> date:
    due: date | None = row.last_due
    return due if due is not None else review_due(row, None)


def _due_cell(row: Any, today: date) -> str:
    said = plain_day(_due(row))
    return format_html('<span class="late">{}</span>', said) if _due(row) < today else said


@page("GET", "HEAD")
def packs(request: HttpRequest) -> HttpResponseBase:
    """The policy packs, as they were shipped."""
    access.need(request.user, "view_policypackversion")
    return list_page(request, "registry/packs.html", listing(request.user, today=timezone.now().date()))


@page("GET", "HEAD")
def pack(request: HttpRequest, pk: int) -> HttpResponseBase:
    """One version of a pack: what it asks for, on what it rests, who reviewed it, which plans are read under it."""
    return _page(request, _row(request, pk))


@page("POST")
def review(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Record that somebody read it against its sources."""
    row = _row(request, pk)
    access.need(request.user, REVIEW)
    form = ReviewForm(request.POST)
    if not form.is_valid():
        return _page(request, row, form, status=400)
    try:
        actions.review_pack(pack=row, actor=site_actor(request), **form.cleaned_data)
    except ComplianceError as error:
        form.add_error("due", str(error))
        return _page(request, row, form, status=409)
    messages.success(request, _("The review is recorded under your name."))
    return redirect(row)


def _page(
    request: HttpRequest, row: PolicyPackVersion, sent: ReviewForm | None = None, *, status: int = 200
) -> HttpResponseBase:
    reviews = list(row.reviews.order_by("-pk"))
    due = review_due(row, reviews[0] if reviews else None)
    versions = PolicyPackVersion.objects.for_user(request.user).filter(pack_id=row.pack_id).exclude(pk=row.pk)
    others = {str(item.pk): item for item in versions}
    against = choice(request.GET, "against", others)
    keys = pack_page.plans_reading(request.user, row.pack_id)
    plans = PlanVersion.objects.defer("design_json").select_related("team").numbered().standing()
    shown = list(plans.filter(pk__in=keys[:SHOWN]))
    history = history_of(request.user, row.event_object, about=row.pack_id)
    content = row.content
    tables = [
        pack_page.clauses_table(row),
        pack_page.requirements_table(row),
        pack_page.attributes_table(row),
        designs_table(shown, lambda: plans.filter(pk__in=keys).iterator(BATCH)),
        history.table,
        *([pack_page.reviews_table(reviews, row)] if reviews else []),
    ]
    may = request.user.has_perm(f"compliance.{REVIEW}")
    context = {
        "pack": row,
        "status": content["status"],
        "state": state_words(row.status),
        "authority": content.get("authority", ""),
        "kind": content.get("regime_type", "").replace("_", " "),
        "uses": [use.replace("_", " ") for use in content.get("use_cases", ())],
        "retention": retention_words(content.get("retention") or {}),
        "reviews": reviews,
        "due": due,
        "stale": due < timezone.now().date(),
        "others": list(others.values()),
        "against": others.get(against),
        "lines": pack_page.difference_lines(others[against], row) if against else [],
        "plans": shown,
        "plans_all": len(keys),
        "history": history,
        "form": (sent or ReviewForm()) if may else None,
    }
    return page_of(request, "registry/pack.html", context, tables, status=status)


def _row(request: HttpRequest, pk: int) -> PolicyPackVersion:
    row: PolicyPackVersion | None = PolicyPackVersion.objects.for_user(request.user).filter(pk=pk).first()
    if row is None:
        raise Http404("no such policy pack")
    return row
