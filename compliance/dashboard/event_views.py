"""The page of the event log: everything that happened in one's teams, searched by person, object, kind and day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from compliance.access import permissions as access
from compliance.dashboard.event_lines import SAID, event_lines, events_table, kind_words
from compliance.dashboard.list_pages import list_page
from compliance.dashboard.pages import page
from compliance.models import ChainHead, Event
from compliance.tables.lists import BATCH, DAY, TEXT, Filter, Listing, by, named

#: What events are of, by the first word of their kind.
OBJECTS = {
    "account": gettext_noop("account"),
    "audit": gettext_noop("audit"),
    "data": gettext_noop("data"),
    "evidence": gettext_noop("evidence"),
    "finding": gettext_noop("finding"),
    "group": gettext_noop("group"),
    "language_model": gettext_noop("language model"),
    "model": gettext_noop("model"),
    "pack": gettext_noop("pack"),
    "plan": gettext_noop("plan"),
    "plan_draft": gettext_noop("plan draft"),
    "registration": gettext_noop("registration"),
    "revalidation": gettext_noop("revalidation"),
    "schedule": gettext_noop("schedule"),
    "system": gettext_noop("system"),
    "team": gettext_noop("team"),
    "view": gettext_noop("view"),
    "webhook": gettext_noop("webhook"),
}


def _kind(action: str) -> str:
    return f"{_(OBJECTS[action.partition('.')[0]])}: {kind_words(action)}"


#: Every kind of event with its words, in the language of whoever reads them: ``finding: closed after validation``.
KINDS = tuple((action, lazy(_kind, str)(action)) for action in sorted(SAID))


def listing(user: Any) -> Listing:
    """The events that somebody may see, newest first; those without a team are for who administers everything."""
    return Listing(
        noun="event",
        rows=Event.objects.for_user(user).select_related("payload"),
        search=named("actor", "object", "action", numbered="seq"),
        hint=_("Person, object, kind, number"),
        filters=(
            Filter(
                name="actor", label=_("Person"), kind=TEXT, narrow=lambda rows, value: rows.filter(actor__iexact=value)
            ),
            Filter(name="object", label=_("Object"), kind=TEXT, narrow=lambda rows, value: rows.filter(object=value)),
            Filter(name="kind", label=_("Kind"), narrow=lambda rows, value: rows.filter(action=value), offered=KINDS),
            # Times are kept as text that sorts as they do.
            Filter(name="from", label=_("From (UTC)"), kind=DAY, narrow=lambda rows, value: rows.filter(ts__gte=value)),
            Filter(
                name="until",
                label=_("Until (UTC)"),
                kind=DAY,
                narrow=lambda rows, value: rows.filter(
                    ts__lt=(date.fromisoformat(value) + timedelta(days=1)).isoformat()
                ),
            ),
        ),
        sorts=(
            by("newest", _("Newest first"), "-seq", column="seq", descending=True),
            by("oldest", _("Oldest first"), "seq", column="seq"),
        ),
        lines=lambda found: list(event_lines(found)),
        every=lambda found: event_lines(found.iterator(BATCH)),
        table=lambda lines, every: events_table(lines, every, title=_("Events"), of_one=False),
    )


@page
def events(request: HttpRequest) -> HttpResponseBase:
    """The event log."""
    access.need(request.user, "view_event")
    context = {"chain": ChainHead.objects.filter(pk=1, seq__gt=0).first()}
    return list_page(request, "compliance/events.html", listing(request.user), context)
