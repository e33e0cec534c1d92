"""The page of the event log: everything that happened in one's teams, searched by person, object, kind and day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from compliance.access import permissions as access
from compliance.dashboard.event_lines import SAID, event_lines, events_table, kind_words
from compliance.dashboard.list_pages import list_page
from compliance.dashboard.pages import page
from compliance.models import ChainHead, Event
from compliance.tables.lists import BATCH, DAY, TEXT, Filter, Listing, by, named

KINDS = tuple(
    sorted((action, f"{action.partition('.')[0].replace('_', ' ')}: {kind_words(action)}") for action in SAID)
)


def listing(user: Any) -> Listing:
    """The events that somebody may see, newest first; those without a team are for who administers everything."""
    return Listing(
        noun="event",
        rows=Event.objects.for_user(user).select_related("payload"),
        search=named("actor", "object", "action", numbered="seq"),
        hint="Person, object, kind, number",
        filters=(
            Filter(
                name="actor", label="Person", kind=TEXT, narrow=lambda rows, value: rows.filter(actor__iexact=value)
            ),
            Filter(name="object", label="Object", kind=TEXT, narrow=lambda rows, value: rows.filter(object=value)),
            Filter(name="kind", label="Kind", narrow=lambda rows, value: rows.filter(action=value), offered=KINDS),
            # Times are kept as text that sorts as they do.
            Filter(name="from", label="From (UTC)", kind=DAY, narrow=lambda rows, value: rows.filter(ts__gte=value)),
            Filter(
                name="until",
                label="Until (UTC)",
                kind=DAY,
                narrow=lambda rows, value: rows.filter(
                    ts__lt=(date.fromisoformat(value) + timedelta(days=1)).isoformat()
                ),
            ),
        ),
        sorts=(
            by("newest", "Newest first", "-seq", column="seq", descending=True),
            by("oldest", "Oldest first", "seq", column="seq"),
        ),
        lines=lambda found: list(event_lines(found)),
        every=lambda found: event_lines(found.iterator(BATCH)),
        table=lambda lines, every: events_table(lines, every, title="Events", of_one=False),
    )


@page
def events(request: HttpRequest) -> HttpResponseBase:
    """The event log."""
    access.need(request.user, "view_event")
    context = {"chain": ChainHead.objects.filter(pk=1, seq__gt=0).first()}
    return list_page(request, "compliance/events.html", listing(request.user), context)
