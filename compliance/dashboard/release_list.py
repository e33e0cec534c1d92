"""The page of the releases: which audit is shown to which examiner, until when, and what was withdrawn."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from compliance.access import permissions as access
from compliance.dashboard.list_pages import list_page
from compliance.dashboard.list_tables import Every, audit_link
from compliance.dashboard.pages import page
from compliance.models import Release
from compliance.tables.described import Column, Table
from compliance.tables.lists import Filter, Listing, by, named
from compliance.templatetags.plumbline import day

STANDS = {"open": "Open", "over": "Over", "withdrawn": "Withdrawn"}


def stands(row: Release) -> str:
    """Where a release stands, in a word."""
    return STANDS["withdrawn" if row.withdrawn_at else "open" if row.current else "over"]


def _standing(rows: Any, value: str, now: datetime) -> Any:
    if value == "withdrawn":
        return rows.exclude(withdrawn_at=None)
    over = Q(expires_at__lte=now)
    return rows.filter(over if value == "over" else ~over, withdrawn_at=None)


def listing(user: Any, *, now: datetime) -> Listing:
    """The releases that somebody may see, the newest first."""
    beside = Release.objects.for_user(user).select_related("audit__plan", "audit__team", "reader")
    return Listing(
        noun="release",
        rows=beside.defer("audit__run_json", "audit__plan__design_json"),
        search=named(
            "reader__username", "released_by", "reason", "audit__plan__title", numbered="audit__serial", letter="A"
        ),
        hint="Audit, examiner, reason",
        filters=(
            Filter(
                name="stands",
                label="Stands",
                narrow=lambda rows, value: _standing(rows, value, now),
                offered=tuple(STANDS.items()),
            ),
        ),
        sorts=(
            by("newest", "Newest first", "-released_at", "-pk", column="released_at", descending=True),
            by("ends", "Ends, next first", "expires_at", "pk", column="expires_at"),
            by("audit", "Audit, newest first", "-audit__serial", "-pk", column="audit", descending=True),
        ),
        table=releases_table,
    )


def releases_table(rows: Any, every: Every) -> Table:
    """Releases to examiners."""
    return Table(
        name="releases",
        title="Releases",
        rows=rows,
        every=every,
        columns=(
            Column("audit", "Audit", lambda row: row.audit.number, _audit_cell),
            Column("plan", "", lambda row: row.audit.plan.title),
            Column("team", "", lambda row: row.audit.team.name),
            Column("reader", "To", lambda row: row.reader.get_username()),
            Column("stands", "Stands", stands),
            Column("reason", "Reason", lambda row: row.reason, None, "long"),
            Column("released_by", "Released by", lambda row: row.released_by),
            Column("released_at", "Released", lambda row: row.released_at, lambda row: day(row.released_at), "num"),
            Column("expires_at", "Until", lambda row: row.expires_at, lambda row: day(row.expires_at), "num"),
            Column("withdrawn_at", "", lambda row: row.withdrawn_at),
        ),
    )


def _audit_cell(row: Release) -> SafeString:
    return format_html("{} <small>{}</small>", audit_link(row.audit), row.audit.plan.title)


@page
def releases(request: HttpRequest) -> HttpResponseBase:
    """Releases to examiners."""
    access.need(request.user, "view_release")
    return list_page(request, "compliance/release_list.html", listing(request.user, now=timezone.now()))
