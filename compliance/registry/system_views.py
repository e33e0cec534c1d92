"""Pages on which administrators list the systems that may be asked. What they change, actions change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from auditor.exceptions import AuditorError, InputError
from compliance import actions
from compliance.access import permissions as access
from compliance.actions.systems import proposed
from compliance.dashboard.event_lines import history_of
from compliance.dashboard.list_pages import list_page
from compliance.exceptions import ComplianceError
from compliance.governance.events import site_actor
from compliance.models import LanguageModelVersion, SystemKey, SystemListing, SystemState
from compliance.registry.register_tables import systems_table
from compliance.registry.system_forms import EXAMPLES, ApprovalForm, KeyForm, ReasonForm, SystemForm, WithdrawalForm
from compliance.registry.system_page import facts_of
from compliance.registry.views import page
from compliance.tables.lists import Filter, Listing, by, named
from compliance.tables.pages import page_of


@page("GET", "HEAD")
def systems(request: HttpRequest) -> HttpResponseBase:
    """Every system of one's teams with its current version; the others stand in its history."""
    access.need(request.user, "view_systemlisting")
    context = {"may_propose": request.user.has_perm(f"compliance.{SystemForm.permission}")}
    return list_page(request, "registry/systems.html", _listing(request.user), context)


def _listing(user: Any) -> Listing:
    rows = SystemListing.objects.for_user(user).current().select_related("team").defer("text")
    return Listing(
        noun="system",
        rows=rows,
        search=named("name", "kind", "proposed_by", "approved_by", "team__name"),
        hint=_("Name, team, person"),
        filters=(
            Filter(
                name="state",
                label=_("Stands"),
                narrow=lambda found, value: found.filter(state=value),
                offered=[(item.value, str(item.label)) for item in SystemState],
            ),
            Filter(
                name="kind",
                label=_("Kind"),
                narrow=lambda found, value: found.filter(kind=value),
                offered=(
                    (SystemListing.ENDPOINT, _("Language models")),
                    (SystemListing.SERVICE, _("Decision services")),
                ),
            ),
        ),
        sorts=(
            by("name", _("Name"), "kind", "name", "-version", column="system"),
            by("proposed", _("Last proposed first"), "-proposed_at", "-pk", column="proposed_by", descending=True),
            by("approved", _("Last approved first"), F("approved_at").desc(nulls_last=True), "-pk",
               column="approved_by", descending=True),
        ),
        table=systems_table,
    )  # fmt: skip


@page("GET", "HEAD", "POST")
def propose(request: HttpRequest) -> HttpResponse:
    """Propose a system; another version begins as a copy of the one before."""
    access.need(request.user, SystemForm.permission)
    form = SystemForm(request.POST or None, user=request.user, initial=_begun(request))
    if form.is_valid():
        asked = form.cleaned_data
        try:
            row = actions.propose_system(
                team=asked["team"], text=asked["text"], reason=asked["reason"], actor=site_actor(request)
            )
            messages.success(request, _("The system is proposed. A second administrator has to approve it."))
            return redirect(row)
        except ComplianceError as error:
            form.add_error(None, str(error))
            return render(request, "registry/system_propose.html", {"form": form}, status=409)
    return render(request, "registry/system_propose.html", {"form": form}, status=400 if form.errors else 200)


def _begun(request: HttpRequest) -> dict[str, Any]:
    """What the form begins with: the table of a version somebody may see, or an example."""
    key = request.GET.get("from", "")
    if key.isdecimal() and len(key) < 19:
        row = _row(request, int(key))
        return {"text": row.text, "team": row.team_id}
    return {"text": EXAMPLES.get(request.GET.get("kind", ""), EXAMPLES[SystemListing.ENDPOINT])}


@page("GET", "HEAD")
def system(request: HttpRequest, pk: int) -> HttpResponseBase:
    """One version of a system: what it is, where it stands, what became of it."""
    return _page(request, _row(request, pk))


@page("POST")
def approve(request: HttpRequest, pk: int) -> HttpResponseBase:
    """List a proposed system."""
    row = _row(request, pk)
    access.require(request.user, "approve_systemlisting", row.team_id)
    form = ApprovalForm(request.POST)
    return _decided(request, row, form, actions.approve_system, _("The system is listed: it may be asked."))


@page("POST")
def withdraw(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Take back a proposal or a listing."""
    row = _row(request, pk)
    access.require(request.user, "withdraw_systemlisting", row.team_id)
    form = WithdrawalForm(request.POST)
    done = _("The system is withdrawn: it is not asked any more.")
    return _decided(request, row, form, actions.withdraw_system, done)


@sensitive_variables("form")
@sensitive_post_parameters("key")
@page("POST")
def set_key(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Set the key of a system; it is shown to nobody afterwards."""
    row = _row(request, pk)
    access.require(request.user, "add_systemkey", row.team_id)
    form = KeyForm(request.POST)
    if not form.is_valid():
        return _page(request, row, form, status=400)
    try:
        actions.set_system_key(listing=row, secret=form.cleaned_data["key"], actor=site_actor(request))
    except (ComplianceError, AuditorError) as error:
        form.add_error(None, str(error))
        return _page(request, row, form, status=409)
    messages.success(request, _("The key is set. It is kept sealed and shown to nobody."))
    return redirect(row)


@page("POST")
def erase_key(request: HttpRequest, pk: int) -> HttpResponse:
    """Erase the key of a system."""
    row = _row(request, pk)
    access.require(request.user, "add_systemkey", row.team_id)
    try:
        actions.erase_system_key(listing=row, actor=site_actor(request))
        messages.success(request, _("The key is erased."))
    except ComplianceError as error:
        messages.error(request, str(error))
    return redirect(row)


def _decided(
    request: HttpRequest, row: SystemListing, form: ReasonForm, action: Callable[..., None], done: str
) -> HttpResponseBase:
    if not form.is_valid():
        return _page(request, row, form, status=400)
    try:
        action(listing=row, reason=form.cleaned_data["reason"], actor=site_actor(request))
    except (ComplianceError, InputError) as error:
        form.add_error(None, str(error))
        row.refresh_from_db()
        return _page(request, row, form, status=409)
    messages.success(request, done)
    return redirect(row)


def _page(
    request: HttpRequest, row: SystemListing, sent: forms.Form | None = None, *, status: int = 200
) -> HttpResponseBase:
    """The page; with the form that was ``sent`` and refused, if one was."""
    may = {
        name: access.may(request.user, f"{name}_systemlisting", row.team_id) for name in ("add", "approve", "withdraw")
    }
    may_set = access.may(request.user, "add_systemkey", row.team_id) and row.state != SystemState.WITHDRAWN
    waits, own = row.state == SystemState.PROPOSED, proposed(row, site_actor(request))
    versions = SystemListing.objects.for_user(request.user).filter(kind=row.kind, name=row.name)
    others = [version.event_object for version in versions]
    history = history_of(request.user, *others, about=row.source)
    context = {
        "row": row,
        "facts": facts_of(row),
        "versions": versions,
        "registered": LanguageModelVersion.objects.for_user(request.user)
        .filter(source=row.source, language_model__team=row.team_id)
        .select_related("language_model")
        .defer("manifest")
        .numbered(),
        "history": history,
        "may_propose": may["add"],
        "own": waits and may["approve"] and own,
        "refused": sent.non_field_errors() if sent is not None else (),
        "approving": _form(ApprovalForm, sent) if waits and may["approve"] and not own else None,
        "withdrawing": _form(WithdrawalForm, sent) if may["withdraw"] and row.state != SystemState.WITHDRAWN else None,
        "key": SystemKey.objects.filter(listing=row).defer("sealed").first(),
        "keying": _form(KeyForm, sent) if may_set else None,
        "may_register": row.state == SystemState.LISTED
        and access.may(request.user, "add_languagemodelversion", row.team_id),
    }
    return page_of(request, "registry/system.html", context, [history.table], status=status)


def _form(kind: type[forms.Form], sent: forms.Form | None) -> forms.Form:
    """The one that was sent, with what was wrong with it, or an empty one."""
    return sent if isinstance(sent, kind) else kind()


def _row(request: HttpRequest, pk: int) -> SystemListing:
    """A listing somebody may see. One they may not see is not there for them."""
    row = SystemListing.objects.for_user(request.user).select_related("team").filter(pk=pk).first()
    if row is None:
        raise Http404("no such system")
    return row
