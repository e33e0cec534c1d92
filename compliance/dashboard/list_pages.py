"""A page that is a list, and the views of it that people keep for themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect
from django.urls import Resolver404, resolve
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST

from compliance import actions
from compliance.exceptions import ComplianceError
from compliance.governance.events import site_actor
from compliance.models import SavedView
from compliance.tables.described import Table
from compliance.tables.html import AS, PAGE, WHICH
from compliance.tables.lists import Listing, context_of, listed
from compliance.tables.pages import page_of

#: The names of the addresses of lists: of these a view can be kept.
LISTS = frozenset(
    {
        "audits", "cases", "data_sets", "events", "findings", "models", "packs", "plans", "registrations", "releases",
        "systems", "workers",
    }
)  # fmt: skip


def list_page(
    request: HttpRequest,
    template: str,
    listing: Listing,
    context: Mapping[str, Any] | None = None,
    tables: Sequence[Table] = (),
) -> HttpResponseBase:
    """The page of a list as its address asks for it, or the file of a table on it."""
    found = listed(request.GET, listing)
    shown = {**context_of(request, found, views=views_of(request)), **(context or {})}
    return page_of(request, template, shown, [*tables, found.table])


def views_of(request: HttpRequest) -> list[SavedView]:
    """The views of this list that somebody keeps."""
    name = request.resolver_match.url_name if request.resolver_match else None
    return list(SavedView.objects.for_user(request.user).filter(page=name)) if name in LISTS else []


def _own(view: Any) -> Any:
    return require_POST(cache_control(private=True, no_store=True)(login_required(view)))


@_own
def save(request: HttpRequest) -> HttpResponse:
    """Keep what the address of a list asks for, under a name."""
    at, query = _list_at(request), _kept(request.POST.get("query", ""))
    try:
        view = actions.save_view(page=at[1], name=request.POST.get("name", ""), query=query, actor=site_actor(request))
        messages.success(request, _("The view {name} is saved.").format(name=view.name))
    except ComplianceError as error:
        messages.error(request, str(error))
    return _back(at[0], query)


@_own
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Drop a view of one's own; the list is shown as before."""
    at = _list_at(request)
    view = SavedView.objects.for_user(request.user).filter(pk=pk).first()
    if view is None:
        raise Http404("no such view")
    actions.remove_view(view=view, actor=site_actor(request))
    messages.success(request, _("The view {name} is removed.").format(name=view.name))
    return redirect(at[0])


def _list_at(request: HttpRequest) -> tuple[str, str]:
    """The address of the list and its name; 404 for what is no list of this site, so that nobody is led elsewhere."""
    at = request.POST.get("at", "")
    try:
        name = resolve(at).url_name
    except Resolver404 as error:
        raise Http404(_("at: is not the address of a list; expected one such as /audits/")) from error
    if name not in LISTS:
        raise Http404(_("at: is not the address of a list; expected one such as /audits/"))
    return at, str(name)


def _kept(query: str) -> str:
    """What an address asks for, but for what is not of a view: the page, and the file."""
    asked = QueryDict(query, mutable=True)
    for name in (PAGE, AS, WHICH):
        asked.pop(name, None)
    return asked.urlencode()


def _back(at: str, query: str) -> HttpResponseRedirect:
    return HttpResponseRedirect(f"{at}?{query}" if query else at)
