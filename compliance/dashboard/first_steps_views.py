"""The page of the first steps, and its three buttons. What they change, actions change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from compliance import actions
from compliance.access import permissions as access
from compliance.dashboard.asked import choice
from compliance.dashboard.first_steps_page import NEEDED, first_steps, team_for
from compliance.dashboard.pages import page
from compliance.exceptions import ComplianceError, StateError
from compliance.governance.events import Actor, site_actor
from compliance.models import Registration, Team
from compliance.plans.depth import Depth
from compliance.registry import demonstration


@page
def steps(request: HttpRequest) -> HttpResponse:
    """The steps of one's team; of several teams, of one without a report."""
    team = team_for(request.user) if request.user.has_perm("compliance.view_registration") else None
    if team is None:
        raise PermissionDenied
    wanted = choice(request.GET, "depth", [item.value for item in Depth])
    first = first_steps(request.user, team, wanted=Depth(wanted) if wanted else None)
    return render(request, "compliance/first_steps.html", {"first": first})


def _button(step: str, act: Callable[[HttpRequest, Team, Actor], Any]) -> Callable[..., HttpResponse]:
    """One POST is one step; what cannot be done is told on the page."""

    @require_POST
    @login_required
    def view(request: HttpRequest, team: int) -> HttpResponse:
        found = Team.objects.for_user(request.user).filter(pk=team).first()
        if found is None:
            raise Http404(_("no such team"))
        access.require(request.user, NEEDED[step], found.pk)
        actor = site_actor(request)
        try:
            act(request, found, actor)
        except ComplianceError as error:
            messages.warning(request, str(error))
        depth = choice(request.GET, "depth", [item.value for item in Depth])
        return redirect(reverse("first_steps", query={"depth": depth} if depth else None))

    return view


def _register_plan(request: HttpRequest, team: Team, actor: Actor) -> None:
    name = request.POST.get("plan", "")
    plans = {key: plan for depth in Depth for key, plan in demonstration.ready_made(depth).items()}
    plan = plans.get(name)
    if plan is None:
        names = ", ".join(plans)
        line = _("plan {name}: is not a ready-made plan; expected one of: {names}")
        raise StateError(line.format(name=repr(name[:80]), names=names))
    actions.register_plan(plan=plan, team=team, actor=actor)


register_model = _button(
    "model", lambda request, team, actor: demonstration.ask_for(Registration.MODEL, team=team, actor=actor)
)
register_data = _button(
    "data", lambda request, team, actor: demonstration.ask_for(Registration.DATA, team=team, actor=actor)
)
register_plan = _button("plan", _register_plan)
