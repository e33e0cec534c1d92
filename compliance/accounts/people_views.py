"""Pages on which administrators of a team look after people. What they change, actions change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from compliance import actions
from compliance.access import permissions as access
from compliance.access.roles import Role
from compliance.accounts.people import (
    Person,
    links_table,
    lock_outs_of,
    lock_outs_table,
    people_of,
    people_table,
)
from compliance.accounts.people_forms import InvitationForm, RoleForm
from compliance.dashboard.event_lines import kind_words
from compliance.exceptions import ComplianceError
from compliance.governance.events import site_actor
from compliance.models import AccountLink, Event, LockOut, Membership
from compliance.registry.views import page
from compliance.tables.pages import page_of

LINES = 25
LINKS_SHOWN = 25
EVENTS_SHOWN = 25
GIVES = "add_membership"


@page("GET", "HEAD")
def people(request: HttpRequest) -> HttpResponseBase:
    """Everybody in one's teams; for administrators also the links that they made."""
    return _people(request)


@page("POST")
def invite(request: HttpRequest) -> HttpResponseBase:
    """Make an invitation, and show its link this once."""
    access.need(request.user, GIVES)
    form = InvitationForm(request.POST, user=request.user)
    if not form.is_valid():
        return _people(request, form=form, status=400)
    said = form.cleaned_data
    try:
        secret = actions.invite(
            team=said["team"], role=Role(said["role"]), name=said["name"], actor=site_actor(request)
        )
    except ComplianceError as error:
        form.add_error(None, str(error))
        return _people(request, form=form, status=409)
    return _people(request, made=_address(request, secret), made_for=said["name"])


@page("GET", "HEAD")
def person(request: HttpRequest, team: int, pk: int) -> HttpResponse:
    """One person of a team: roles, and what was done about them."""
    return _person(request, _found(request, team, pk))


@page("POST")
def give_role(request: HttpRequest, team: int, pk: int) -> HttpResponse:
    """Give a person of the team one more role."""
    row = _found(request, team, pk)
    access.require(request.user, GIVES, row.team.pk)
    form = RoleForm(request.POST)
    if not form.is_valid():
        return _person(request, row, form=form, status=400)
    role = Role(form.cleaned_data["role"])
    return _done(
        request, row, lambda: actions.add_member(team=row.team, user=row.user, role=role, actor=site_actor(request))
    )


@page("POST")
def take_role(request: HttpRequest, team: int, pk: int, role: int) -> HttpResponse:
    """Take one role from a person of the team."""
    row = _found(request, team, pk)
    access.require(request.user, "delete_membership", row.team.pk)
    held = next((item for item in row.roles if item.pk == role), None)
    if held is None:
        raise Http404("no such role")
    return _done(request, row, lambda: actions.remove_member(membership=held, actor=site_actor(request)))


@page("POST")
def new_password(request: HttpRequest, team: int, pk: int) -> HttpResponse:
    """Make a link by which a person chooses a new password, and show it this once."""
    return _offer(request, team, pk, actions.offer_new_password)


@page("POST")
def new_device(request: HttpRequest, team: int, pk: int) -> HttpResponse:
    """Make a link by which a person lets go of the device that was lost, and show it this once."""
    return _offer(request, team, pk, actions.offer_new_device)


def _offer(request: HttpRequest, team: int, pk: int, offer: Callable[..., str]) -> HttpResponse:
    row = _found(request, team, pk)
    access.require(request.user, GIVES, row.team.pk)
    try:
        secret = offer(team=row.team, user=row.user, actor=site_actor(request))
    except ComplianceError as error:
        return _person(request, row, refused=str(error), status=409)
    return _person(request, row, made=_address(request, secret))


@page("POST")
def lift_lock(request: HttpRequest, team: int, pk: int, lock: int) -> HttpResponse:
    """Let somebody log in again before the time of a lock-out is over."""
    row = _found(request, team, pk)
    access.require(request.user, GIVES, row.team.pk)
    found = LockOut.objects.filter(pk=lock, user=row.user.pk).select_related("user").first()
    if found is None:
        raise Http404("no such lock-out")
    try:
        actions.lift_lock_out(lock_out=found, team=row.team, actor=site_actor(request))
    except ComplianceError as error:
        return _person(request, row, refused=str(error), status=409)
    messages.success(request, _("The lock-out is lifted: the account can be logged in to."))
    return redirect("person", row.team.pk, row.user.pk)


@page("POST")
def withdraw_link(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a link useless that was not used yet."""
    link = AccountLink.objects.for_user(request.user).filter(pk=pk).first()
    if link is None:
        raise Http404("no such link")
    access.require(request.user, GIVES, link.team_id)
    try:
        actions.withdraw_account_link(link=link, actor=site_actor(request))
        messages.success(request, _("The link is withdrawn: it leads nowhere any more."))
    except ComplianceError as error:
        messages.error(request, str(error))
    return redirect("people")


def _people(
    request: HttpRequest,
    *,
    form: InvitationForm | None = None,
    made: str = "",
    made_for: str = "",
    status: int = 200,
) -> HttpResponseBase:
    access.need(request.user, "view_membership")
    found = people_of(Membership.objects.for_user(request.user))
    listed = Paginator(found, LINES).get_page(request.GET.get("page"))
    may_invite = request.user.has_perm(f"compliance.{GIVES}")
    links = (
        AccountLink.objects.for_user(request.user).select_related("team") if may_invite else AccountLink.objects.none()
    )
    given = access.teams_where(request.user, GIVES)
    locks = lock_outs_of(given) if may_invite else []
    context = {
        "locks": locks,
        "listed": listed,
        "asked": "",
        "form": (form or InvitationForm(user=request.user)) if may_invite else None,
        "made": made,
        "made_for": made_for,
        "links": links[:LINKS_SHOWN],
        "open_links": [link for link in links[:LINKS_SHOWN] if link.state == "open"],
    }
    tables = [
        people_table(list(listed.object_list), lambda: found),
        links_table(links[:LINKS_SHOWN], links.iterator),
        lock_outs_table(locks[:LINKS_SHOWN], lambda: locks),
    ]
    return page_of(request, "accounts/people.html", context, tables, status=status)


def _person(
    request: HttpRequest,
    row: Person,
    *,
    form: RoleForm | None = None,
    made: str = "",
    refused: str = "",
    status: int = 200,
) -> HttpResponse:
    may_give = access.may(request.user, GIVES, row.team.pk)
    name = row.user.get_username()
    events = Event.objects.for_user(request.user).filter(team=row.team, actor_user=row.user.pk)
    factor = actions.second_factor_of(row.user)
    context: dict[str, Any] = {
        "factor": factor,
        "may_offer_device": may_give and factor is not None and row.user.pk != request.user.pk,
        "locks": LockOut.objects.filter(user=row.user, lifted_at=None, until__gt=timezone.now()) if may_give else (),
        "person": row,
        "name": name,
        "may_take": access.may(request.user, "delete_membership", row.team.pk),
        "form": (form or RoleForm()) if may_give else None,
        "may_offer": may_give and row.user.pk != request.user.pk,
        "made": made,
        "refused": refused,
        "events": [
            {"action": kind_words(event.action), "object": event.object, "at": datetime.fromisoformat(event.ts)}
            for event in events[:EVENTS_SHOWN]
        ],
    }
    return render(request, "accounts/person.html", context, status=status)


def _done(request: HttpRequest, row: Person, change: Callable[[], object]) -> HttpResponse:
    try:
        change()
    except ComplianceError as error:
        return _person(request, row, refused=str(error), status=409)
    messages.success(request, _("The roles are changed; what was done before stays under the same name."))
    left = Membership.objects.filter(team=row.team, user=row.user).exists()
    return redirect("person", row.team.pk, row.user.pk) if left else redirect("people")


def _found(request: HttpRequest, team: int, pk: int) -> Person:
    """A person of a team that one may see. Others are not there."""
    rows = people_of(Membership.objects.for_user(request.user).filter(team=team, user=pk))
    if not rows:
        raise Http404("no such person")
    return rows[0]


def _address(request: HttpRequest, secret: str) -> str:
    return request.build_absolute_uri(reverse("account_link", args=[secret]))
