"""Pages of scheduled re-audits: the list, one schedule, the form that makes one. What they change, actions change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods, require_POST

from compliance import actions
from compliance.access import permissions as access
from compliance.actions.schedules import RUN, TRANSITIONS
from compliance.dashboard import schedule_tables
from compliance.dashboard.asked import choice
from compliance.dashboard.pages import page
from compliance.dashboard.schedule_forms import ScheduleForm, ScheduleMoveForm
from compliance.exceptions import ComplianceError
from compliance.governance.events import site_actor
from compliance.models import AuditSchedule, Event, ScheduleState
from compliance.sentences import in_sentence
from compliance.tables.lists import SEARCH, typed
from compliance.tables.pages import page_of
from compliance.templatetags.plumbline import plain_day

LINES, BATCH, EVENTS_SHOWN = 25, 200, 50
REFUSED, WRONG = 409, 400
SAID = {
    "schedule.made": gettext_noop("scheduled, first for {next_on}"),
    "schedule.started": gettext_noop("{audit} started for {due}; next on {next_on}"),
    "schedule.held": gettext_noop("could not start for {due}: {problem}"),
    "schedule.moved": gettext_noop("moved with the tier from {from} to {to}"),
    "schedule.paused": gettext_noop("paused"),
    "schedule.resumed": gettext_noop("gone on with, next on {next_on}"),
    "schedule.ended": gettext_noop("ended"),
}
VERBS = {
    ScheduleState.PAUSED: gettext_noop("Pause"),
    ScheduleState.ACTIVE: gettext_noop("Go on"),
    ScheduleState.ENDED: gettext_noop("End this schedule"),
}


@page
def schedules(request: HttpRequest) -> HttpResponseBase:
    """Schedules, the next first."""
    access.need(request.user, "view_auditschedule")
    words = typed(request.GET, SEARCH)
    state = choice(request.GET, "state", list(ScheduleState))
    rows = AuditSchedule.objects.for_user(request.user)
    rows = rows.filter(state=state) if state else rows
    for word in words.split():
        known = Q(plan__title__icontains=word) | Q(plan__name__icontains=word)
        rows = rows.filter(known | Q(language_model__name__icontains=word) | Q(made_by__icontains=word))
    rows = rows.select_related("plan", "language_model", "team", "last_audit")
    rows = rows.defer("plan__design_json", "last_audit__run_json")
    listed = Paginator(rows, LINES).get_page(request.GET.get("page"))
    asked = request.GET.copy()
    asked.pop("page", None)
    context = {
        "listed": listed,
        "words": words,
        "state": state,
        "states": ScheduleState,
        "asked": asked.urlencode(),
        "may_schedule": request.user.has_perm(f"{access.APP}.{RUN}"),
    }
    shown = list(listed.object_list)
    table = schedule_tables.schedules_table(shown, lambda: rows.iterator(BATCH))
    return page_of(request, "compliance/schedules.html", context, [table])


@require_http_methods(["GET", "HEAD", "POST"])
@cache_control(private=True, no_store=True)
@login_required
def new(request: HttpRequest) -> HttpResponse:
    """Schedule an approved design on a model."""
    access.need(request.user, RUN)
    if request.method != "POST":
        asked = {name: request.GET[name] for name in ("plan", "language_model", "data") if name in request.GET}
        return _form(request, ScheduleForm(user=request.user, initial=asked))
    form = ScheduleForm(request.POST, user=request.user)
    if not form.is_valid():
        return _form(request, form, status=WRONG)
    try:
        row = actions.make_schedule(actor=site_actor(request), **form.cleaned_data)
    except ComplianceError as error:
        form.add_error(None, str(error))
        return _form(request, form, status=REFUSED)
    line = _("It is scheduled; the first run is on {day}.")
    messages.success(request, line.format(day=plain_day(row.next_on)))
    return redirect(row)


@page
def schedule(request: HttpRequest, pk: int) -> HttpResponseBase:
    """One schedule: what runs when, by whom, what came of it."""
    return _page(request, _row(request, pk))


@require_POST
@cache_control(private=True, no_store=True)
@login_required
def move(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Pause it, go on with it, or end it."""
    row = _row(request, pk)
    access.require(request.user, RUN, row.team_id)
    form = ScheduleMoveForm(request.POST)
    if not form.is_valid():
        return _page(request, row, form, status=WRONG)
    said = form.cleaned_data
    try:
        actions.move_schedule(
            schedule=row,
            to=ScheduleState(said["to"]),
            revision=said["revision"],
            next_on=said["next_on"],
            actor=site_actor(request),
        )
    except ComplianceError as error:
        form.add_error(None, str(error))
        row.refresh_from_db()
        return _page(request, row, form, status=REFUSED)
    line = _("The schedule is {state}.")
    messages.success(request, line.format(state=in_sentence(row.get_state_display())))
    return redirect(row)


def _form(request: HttpRequest, form: ScheduleForm, *, status: int = 200) -> HttpResponse:
    return render(request, "compliance/schedule_new.html", {"form": form}, status=status)


def _page(
    request: HttpRequest, row: AuditSchedule, sent: ScheduleMoveForm | None = None, *, status: int = 200
) -> HttpResponseBase:
    stands = ScheduleState(row.state)
    may = access.may(request.user, RUN, row.team_id)
    events = Event.objects.for_user(request.user).filter(object=row.event_object, team=row.team_id)
    context = {
        "row": row,
        "moves": [(_(VERBS[to]), to, _kept(sent, to, row)) for to in TRANSITIONS[stands]] if may else [],
        "refused": _refusals(sent),
        "may": may,
        "events": events.count(),
    }
    lines = list(_lines(events.select_related("payload").order_by("-seq")[:EVENTS_SHOWN]))
    return page_of(request, "compliance/schedule.html", context, [schedule_tables.happened_table(lines)], status=status)


def _kept(sent: ScheduleMoveForm | None, to: ScheduleState, row: AuditSchedule) -> ScheduleMoveForm:
    mine = sent is not None and sent.data.get("to") == to
    return (sent if mine and sent is not None else ScheduleMoveForm()).for_way(to, row)


def _refusals(sent: forms.Form | None) -> list[str]:
    return [] if sent is None else [str(line) for line in sent.non_field_errors()]


def _lines(events: Any) -> Iterator[tuple[Event, str]]:
    for event in events:
        payload = getattr(event, "payload", None)
        told = {} if payload is None else dict(json.loads(payload.data_json))
        shown = {key: _plain(value) for key, value in told.items()}
        try:
            yield event, _(SAID[event.action]).format(**shown)
        except KeyError:
            yield event, event.action if payload is not None else _("what it said was erased")


def _plain(value: Any) -> Any:
    """A day as people read it; anything else as it is."""
    try:
        return plain_day(date.fromisoformat(value)) if isinstance(value, str) and len(value) == 10 else value
    except ValueError:
        return value


def _row(request: HttpRequest, pk: int) -> AuditSchedule:
    """A schedule somebody may see. One they may not see is not there for them."""
    beside = ("team", "plan", "language_model", "data", "last_audit")
    rows = AuditSchedule.objects.for_user(request.user).select_related(*beside)
    row = rows.defer("plan__design_json", "data__mapping", "last_audit__run_json").filter(pk=pk).first()
    if row is None:
        raise Http404(_("no such schedule"))
    return row
