"""The page of the releases: which audit is shown to which examiner, until when, and what was withdrawn."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from compliance.access import permissions as access
from compliance.dashboard.list_pages import list_page
from compliance.dashboard.pages import page
from compliance.dashboard.releases import releases_table
from compliance.models import Release
from compliance.tables.lists import Filter, Listing, by, named

STANDS = {"open": gettext_noop("Open"), "over": gettext_noop("Over"), "withdrawn": gettext_noop("Withdrawn")}


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
        hint=_("Audit, examiner, reason"),
        filters=(
            Filter(
                name="stands",
                label=_("Stands"),
                narrow=lambda rows, value: _standing(rows, value, now),
                offered=[(name, _(words)) for name, words in STANDS.items()],
            ),
        ),
        sorts=(
            by("newest", _("Newest first"), "-released_at", "-pk", column="released_at", descending=True),
            by("ends", _("Ends, next first"), "expires_at", "pk", column="stands"),
            by("audit", _("Audit, newest first"), "-audit__serial", "-pk", column="audit", descending=True),
        ),
        table=lambda rows, every: releases_table(rows, every, own=False),
    )


@page
def releases(request: HttpRequest) -> HttpResponseBase:
    """Releases to examiners."""
    access.need(request.user, "view_release")
    return list_page(request, "compliance/release_list.html", listing(request.user, now=timezone.now()))
