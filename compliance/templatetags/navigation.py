"""The navigation of the site, as a table: what is there, whom it is for, and which pages belong to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import template
from django.template import Context
from django.urls import reverse
from django.utils.translation import gettext, gettext_noop

from compliance.access import permissions as access

register = template.Library()


@dataclass(frozen=True, kw_only=True)
class Place:
    """One place of the navigation.

    Attributes
    ----------
    address, words
        The name of its address, and what it is called in English.
    permission
        Without which it is not shown, empty for everybody; without the label of the application.
    pages
        The names of the addresses that belong to it.
    """

    address: str
    words: str
    permission: str = ""
    pages: tuple[str, ...] = ()

    def holds(self, here: str | None) -> bool:
        """Whether a page belongs to it."""
        return here is not None and here in (self.address, *self.pages)


MAIN = (
    Place(address="home", words=gettext_noop("Home")),
    Place(address="models", words=gettext_noop("Models"), pages=("model", "model_approval")),
    Place(
        address="audits",
        words=gettext_noop("Audits"),
        pages=("audit", "audit_request", "numbers", "section", "cases", "case"),
    ),
    Place(address="findings", words=gettext_noop("Findings"), permission="view_findingrecord", pages=("finding",)),
    Place(
        address="plans",
        words=gettext_noop("Plans"),
        permission="view_planversion",
        pages=("plan", "plan_draft", "plan_new"),
    ),
    Place(address="data_sets", words=gettext_noop("Data"), permission="view_datasetversion", pages=("data_set",)),
    Place(
        address="registrations",
        words=gettext_noop("Register"),
        permission="view_registration",
        pages=("registration", "register_model", "register_data"),
    ),
)
MORE = (
    Place(
        address="schedules",
        words=gettext_noop("Schedules"),
        permission="view_auditschedule",
        pages=("schedule", "schedule_new"),
    ),
    Place(
        address="systems",
        words=gettext_noop("Systems"),
        permission="view_systemlisting",
        pages=("system", "system_propose"),
    ),
    Place(address="packs", words=gettext_noop("Policy packs"), permission="view_policypackversion", pages=("pack",)),
    Place(address="releases", words=gettext_noop("Releases"), permission="view_release"),
    Place(address="people", words=gettext_noop("People"), permission="view_membership", pages=("person",)),
    Place(address="workers", words=gettext_noop("Workers"), permission="view_worker"),
    Place(address="events", words=gettext_noop("Event log"), permission="view_event"),
)


OF_EXAMINERS = (Place(address="home", words=gettext_noop("Releases"), pages=("released_to_me", "released")),)
"""Whoever only examines comes in by another door: what was released to them, and no officers' list."""


@register.inclusion_tag("compliance/_navigation.html", takes_context=True)
def navigation(context: Context) -> dict[str, Any]:
    """The links of the bar: what is needed every day, and the rest to be opened."""
    request = context["request"]
    user, match = request.user, request.resolver_match
    here = match.url_name if match else None
    offered = (OF_EXAMINERS, ()) if access.only_examines(user) else (MAIN, MORE)
    main, more = (_shown(places, user, here) for places in offered)
    if user.is_staff:
        more.append((reverse("admin:index"), gettext("Administration"), False))
    return {"main": main, "more": more, "inside": next((words for _, words, current in more if current), "")}


def _shown(places: tuple[Place, ...], user: Any, here: str | None) -> list[tuple[str, str, bool]]:
    """Address, words, and whether it is where somebody is, of every place that is for them."""
    return [
        (reverse(place.address), gettext(place.words), place.holds(here))
        for place in places
        if not place.permission or user.has_perm(f"compliance.{place.permission}")
    ]
