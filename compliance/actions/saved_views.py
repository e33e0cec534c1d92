"""Keeping and dropping views of lists: one's own, for which no role is needed, and never somebody else's."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.translation import gettext as _

from compliance.exceptions import StateError
from compliance.governance.events import Actor, append_event, lock_chain
from compliance.models import SavedView

MOST = 50
LONGEST_NAME, LONGEST_QUERY = 80, 2000


@transaction.atomic
def save_view(*, page: str, name: str, query: str, actor: Actor) -> SavedView:
    """Keep what somebody asks a list for under a name; one of that name is replaced.

    Raises
    ------
    PermissionDenied
        Without an account.
    StateError
        For a name that is empty or too long, a query that is too long, or one view too many.
    """
    if actor.user is None:
        raise PermissionDenied(_("a view is kept for somebody, and nobody is signed in"))
    lock_chain()
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise StateError(
            _("name: has {count} characters; expected 1 to {longest_name}").format(
                count=len(name), longest_name=LONGEST_NAME
            )
        )
    if len(query) > LONGEST_QUERY:
        raise StateError(
            _("query: has {count} characters; expected at most {longest_query}").format(
                count=f"{len(query):,}", longest_query=f"{LONGEST_QUERY:,}"
            )
        )
    own = SavedView.objects.filter(user=actor.user, page=page)
    if not own.filter(name=name).exists() and own.count() >= MOST:
        raise StateError(
            _("saved views: there are {most} of this list already; expected one to be removed first").format(most=MOST)
        )
    view, _new = SavedView.objects.update_or_create(user=actor.user, page=page, name=name, defaults={"query": query})
    payload = {"page": page, "name": name, "query": query}
    append_event(actor=actor, action="view.saved", object=view.event_object, payload=payload)
    return view


@transaction.atomic
def remove_view(*, view: SavedView, actor: Actor) -> None:
    """Drop a view.

    Raises
    ------
    PermissionDenied
        For a view of somebody else.
    """
    if actor.user is None or view.user_id != actor.user.pk:
        raise PermissionDenied(_("the view of somebody else"))
    lock_chain()
    payload = {"page": view.page, "name": view.name, "query": view.query}
    append_event(actor=actor, action="view.removed", object=view.event_object, payload=payload)
    view.delete()
