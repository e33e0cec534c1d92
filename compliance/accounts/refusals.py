"""What people read who are refused: which permission they lack, who can give it, and what became of what they sent."""

from __future__ import annotations

from collections.abc import Callable

from django.apps import apps
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from compliance.access.permissions import APP, NotPermitted
from compliance.access.roles import Role, roles_with
from compliance.accounts.kept_forms import kept_or_none
from compliance.exceptions import ComplianceError
from compliance.models import Membership
from reports import wording

PLAIN = ("application/json", "text/csv")
VERBS = {"view": "look at", "add": "add", "change": "change", "delete": "take away"}
SHOWN = 5


def refused(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403. Of another team's permissions nothing is said, not even who is in it."""
    context = {"words": "", "roles": "", "givers": ""}
    if isinstance(exception, NotPermitted):
        held_by = sorted(str(Role(role).label) for role in roles_with(exception.permission))
        context = {
            "words": permission_words(exception.permission),
            "roles": wording.joined(held_by) if held_by else "",
            "givers": _givers(request, exception.team_id),
        }
    return render(request, "403.html", context, status=403)


class Refusals:
    """Middleware: pages of the site for an address that takes no such request, and for what an action refused."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """405, in words."""
        response = self._get_response(request)
        if response.status_code != 405 or response.content or not _reads_pages(request):
            return response
        page = render(request, "405.html", status=405)
        page["Allow"], page["Cache-Control"] = response.get("Allow", ""), "private, no-store"
        return page

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """409, with the line that says why: a view shows it on its own page where it has one."""
        if not isinstance(error, ComplianceError) or not _reads_pages(request):
            return None
        return render(request, "409.html", {"line": str(error)}, status=409)


def _reads_pages(request: HttpRequest) -> bool:
    return "HX-Request" not in request.headers and not request.headers.get("Accept", "").startswith(PLAIN)


def out_of_date(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form whose token is missing or another session's; if it was sent from a page of this site, that page.

    Nothing of it is carried out: the page shows it filled in again.
    """
    again = kept_or_none(request)
    if again is not None:
        return again
    return render(request, "403_form.html", status=403)


def permission_words(permission: str) -> str:
    """A permission (without label) as a reader says it.

    >>> permission_words("run_audit")
    'run audits'
    """
    verb, _, name = permission.partition("_")
    kinds = {
        model._meta.model_name: str(model._meta.verbose_name_plural) for model in apps.get_app_config(APP).get_models()
    }
    return f"{VERBS.get(verb, verb)} {kinds.get(name, name)}"


def _givers(request: HttpRequest, team_id: int | None) -> str:
    """The names of those who can give roles, in the team or in those of the reader."""
    own = request.user.memberships.values_list("team_id", flat=True) if request.user.is_authenticated else ()
    teams = [team_id] if team_id is not None and team_id in own else list(own)
    names = (
        Membership.objects.filter(team__in=teams, role=Role.ADMINISTRATOR)
        .order_by("user__username")
        .values_list("user__username", flat=True)
        .distinct()
    )
    return wording.joined(list(names[:SHOWN]))
