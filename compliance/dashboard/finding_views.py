"""The pages of findings: the list over all audits, and one page a finding. What they change, actions change."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST

from auditor.canonical import sha256_json
from compliance import actions
from compliance.access import permissions as access
from compliance.actions.findings import ACCEPT, ANSWER, VALIDATE, WRITE, answers_for, ways_for
from compliance.actions.retests import newest_retest
from compliance.dashboard import finding_list, finding_page, finding_tables
from compliance.dashboard.event_lines import history_of
from compliance.dashboard.finding_forms import (
    AnswerForm,
    DeclineForm,
    EndForm,
    MoveForm,
    NoteForm,
    RatingForm,
    RejectionForm,
    RetestForm,
)
from compliance.dashboard.links import cases_behind, cases_link
from compliance.dashboard.list_pages import list_page
from compliance.dashboard.pages import for_officers, page
from compliance.exceptions import ComplianceError
from compliance.governance.events import site_actor
from compliance.governance.finding_states import ANSWERED_IN, FindingState
from compliance.models import FindingNote, FindingRecord, NotePurpose
from compliance.tables.pages import page_of

REFUSED, WRONG = 409, 400
Sent = forms.Form | None


@page
@for_officers
def findings(request: HttpRequest) -> HttpResponseBase:
    """Findings over all audits, worst first."""
    access.need(request.user, "view_audit")
    rows = FindingRecord.objects.for_user(request.user)
    return list_page(request, "compliance/findings.html", finding_list.listing(rows, now=timezone.now()))


@page
def finding(request: HttpRequest, number: int) -> HttpResponseBase:
    """One finding: what was seen, where it stands, what happened, and what I can do about it."""
    return _page(request, _record(request, number))


def _form_of(
    view: Callable[[HttpRequest, FindingRecord], tuple[forms.Form, Callable[[], object], str]],
) -> Callable[..., HttpResponseBase]:
    """One POST is one action; what is refused is told on the page, with what was filled in."""

    @wraps(view)
    def answer(request: HttpRequest, number: int) -> HttpResponseBase:
        record = _record(request, number)
        form, act, done = view(request, record)
        if not form.is_valid():
            return _page(request, record, form, status=WRONG)
        try:
            act()
        except ComplianceError as error:
            form.add_error(None, str(error))
            record.refresh_from_db()
            return _page(request, record, form, status=REFUSED)
        messages.success(request, done)
        return redirect(record)

    return require_POST(cache_control(private=True, no_store=True)(login_required(answer)))


@_form_of
def move(request: HttpRequest, record: FindingRecord) -> tuple[forms.Form, Callable[[], object], str]:
    """Lead it to another state."""
    form = MoveForm(request.POST)

    def act() -> None:
        said = form.cleaned_data
        actions.move_finding(
            record=record,
            to=FindingState(said["to"]),
            revision=said["revision"],
            said=said["said"],
            until=said["until"],
            actor=site_actor(request),
        )

    return form, act, _("The finding is moved on.")


@_form_of
def reject(request: HttpRequest, record: FindingRecord) -> tuple[forms.Form, Callable[[], object], str]:
    """Propose that it is rejected."""
    _require(request, VALIDATE, record)
    form = RejectionForm(request.POST)

    def act() -> None:
        actions.propose_rejection(record=record, reason=form.cleaned_data["reason"], actor=site_actor(request))

    done = _("The rejection is proposed. A second person has to confirm it; until then the finding is open.")
    return form, act, done


@_form_of
def decline(request: HttpRequest, record: FindingRecord) -> tuple[forms.Form, Callable[[], object], str]:
    """Leave a proposed rejection."""
    _require(request, VALIDATE, record)
    form = DeclineForm(request.POST)

    def act() -> None:
        said = form.cleaned_data
        actions.decline_rejection(
            record=record, reason=said["said"], revision=said["revision"], actor=site_actor(request)
        )

    return form, act, _("The proposed rejection is declined. The finding stays open.")


@_form_of
def rate(request: HttpRequest, record: FindingRecord) -> tuple[forms.Form, Callable[[], object], str]:
    """Rate its severity anew."""
    _require(request, VALIDATE, record)
    form = RatingForm(request.POST)

    def act() -> None:
        said = form.cleaned_data
        actions.rate_finding(
            record=record,
            severity=said["severity"],
            reason=said["said"],
            revision=said["revision"],
            actor=site_actor(request),
        )

    return form, act, _("The severity is rated anew. What the audit said of it stays on the page of the audit.")


@_form_of
def end_acceptance(request: HttpRequest, record: FindingRecord) -> tuple[forms.Form, Callable[[], object], str]:
    """Take back an acceptance before its day."""
    _require(request, ACCEPT, record)
    form = EndForm(request.POST)

    def act() -> None:
        said = form.cleaned_data
        actions.end_acceptance(record=record, reason=said["said"], revision=said["revision"], actor=site_actor(request))

    return form, act, _("The acceptance is ended. The finding is open again.")


@_form_of
def answer(request: HttpRequest, record: FindingRecord) -> tuple[forms.Form, Callable[[], object], str]:
    """Set owner, due date, response and plan."""
    _require(request, ANSWER, record)
    form = AnswerForm(request.POST).for_record(record)
    actor = site_actor(request)
    return form, lambda: actions.answer_finding(record=record, actor=actor, **form.cleaned_data), _("Saved.")


@_form_of
def note(request: HttpRequest, record: FindingRecord) -> tuple[forms.Form, Callable[[], object], str]:
    """Comment, or attach a file."""
    _require(request, WRITE, record)
    form = NoteForm(request.POST, request.FILES)

    def act() -> None:
        said = form.cleaned_data
        file = said["file"]
        actions.note_finding(
            record=record,
            text=said["text"],
            name=file.name if file else "",
            content=file.read() if file else None,
            purpose=NotePurpose(said["purpose"]),
            actor=site_actor(request),
        )

    return form, act, _("It is added. It stays as it is.")


@_form_of
def retest(request: HttpRequest, record: FindingRecord) -> tuple[forms.Form, Callable[[], object], str]:
    """Run the same design on another version."""
    _require(request, "run_audit", record)
    form = RetestForm(request.POST).offer(finding_page.other_versions(record))

    def act() -> None:
        said = form.cleaned_data
        key = sha256_json([said["token"], request.user.pk, record.number, said["model"].sha256])
        queue = settings.CELERY_TASK_DEFAULT_QUEUE
        actor = site_actor(request)
        audit = actions.retest_finding(record=record, model=said["model"], queue=queue, request_key=key, actor=actor)
        line = _("{audit} runs the same design on {version}.")
        messages.info(request, line.format(audit=audit, version=said["model"].source))

    return form, act, _("The retest is asked for.")


@page
def file(request: HttpRequest, number: int, pk: int) -> HttpResponse:
    """An attached file, as a download and never shown."""
    record = _record(request, number)
    row = FindingNote.objects.for_user(request.user).filter(record=record, pk=pk).exclude(sha256="").first()
    if row is None:
        raise Http404(_("no such file"))
    if request.method == "HEAD":  # nothing is taken
        return HttpResponse(content_type="application/octet-stream", headers={"Content-Length": str(row.size)})
    try:
        content = actions.download_attachment(note=row, actor=site_actor(request))
    except ComplianceError as error:
        raise Http404(str(error)) from error
    disposition = content_disposition_header(as_attachment=True, filename=row.file_name)
    return HttpResponse(
        content,
        content_type="application/octet-stream",
        headers={
            "Content-Disposition": disposition or "attachment",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        },
    )


def _page(request: HttpRequest, record: FindingRecord, sent: Sent = None, *, status: int = 200) -> HttpResponseBase:
    """The page; with the form that was ``sent`` and refused, if one was."""
    actor, today = site_actor(request), timezone.now().date()
    retested = newest_retest(record)
    ways = ways_for(record, actor, retest=retested)
    lines = finding_page.sighting_lines(record)
    last = lines[0].sighting if lines else None
    may = {
        name: access.may(request.user, name, record.team_id) for name in (ANSWER, VALIDATE, ACCEPT, WRITE, "run_audit")
    }
    own, answering = answers_for(record, actor), may[ANSWER] and record.stands in ANSWERED_IN
    history = history_of(request.user, record.number, about=record.number, details=True)
    versions = finding_page.other_versions(record)
    proposing = record.stands is FindingState.OPEN and may[VALIDATE] and not own and not record.rejection_by
    validating, accepted = may[VALIDATE] and not own, record.stands is FindingState.RISK_ACCEPTED
    notes = list(FindingNote.objects.for_user(request.user).filter(record=record).select_related("record"))
    context = {
        "record": record,
        "finding": last.finding if last else None,
        "last": last,
        "cases": _cases(lines[0]) if lines else "",
        "change": lines[0].change if lines else "",
        "seen": len({line.sighting.audit_id for line in lines}),
        "overdue": record.overdue(today),
        "retested": retested,
        "own": own,
        "moves": [
            (
                way.transition,
                _kept(MoveForm, sent, to=way.transition.target).for_way(way.transition, revision=record.revision),
            )
            for way in ways
            if way.allowed and not way.refusal
        ],
        "waiting": [
            item
            for item in finding_page.waiting_of(ways, record)
            if not (proposing and item.to is FindingState.REJECTED_WITH_RATIONALE)
        ],
        "proposing": _kept(RejectionForm, sent) if proposing else None,
        "reasoned": [
            (at, words, _kept(kind, sent).of(record))
            for at, words, kind, offered in (
                ("finding_decline", _("Decline the rejection"), DeclineForm, validating and bool(record.rejection_by)),
                ("finding_rate", _("Rate the severity anew"), RatingForm, validating and record.stands.live),
                ("finding_end_acceptance", _("End the acceptance"), EndForm, may[ACCEPT] and accepted),
            )
            if offered
        ],
        "answering": _answer_form(record, sent) if answering else None,
        "apart": finding_page.apart(record, sent.data) if isinstance(sent, AnswerForm) and status == REFUSED else (),
        "noting": _kept(NoteForm, sent).offer(fix=answering) if may[WRITE] else None,
        "retesting": _retest_form(record, versions, sent) if may["run_audit"] and record.stands.live else None,
        "who_comments": finding_page.who_comments(),
        "refused": sent.non_field_errors() if sent is not None else (),
        "notes": notes,
        "history": history,
    }
    tables = [
        finding_tables.sightings_table(lines, record),
        *([finding_tables.notes_table(notes, record)] if notes else []),
        history.table,
    ]
    return page_of(request, "compliance/finding.html", context, tables, status=status)


def _cases(line: finding_page.SightingLine) -> str:
    """Where its cases stand: at the cut-off that it speaks of, the pairs that flip there."""
    audit, query = line.sighting.audit, line.sighting.finding.cases
    if not query:
        return ""
    return cases_behind(audit, line.measurement, query) if line.measurement else cases_link(audit, query)


def _kept(kind: type[Any], sent: Sent, *, to: str = "") -> Any:
    """The form that was sent, with what was wrong with it, or an empty one."""
    mine = isinstance(sent, kind) and to in ("", sent.data.get("to"))
    return sent if mine else kind()


def _answer_form(record: FindingRecord, sent: Sent) -> forms.Form:
    if isinstance(sent, AnswerForm):
        # Somebody else may have changed it: what they wrote stands above, and what was typed is kept on top of it.
        kept = {name: sent.data.get(name, "") for name in sent.data}
        sent.data = {**kept, "revision": str(record.revision)}
        return sent
    there = {name: getattr(record, name) for name in ("owner", "due", "response", "remediation", "revision")}
    return AnswerForm(initial={**there, "owner": record.owner_id}).for_record(record)


def _retest_form(record: FindingRecord, versions: Any, sent: Sent) -> forms.Form | None:
    if isinstance(sent, RetestForm):
        return sent
    if not versions.exists():
        return None
    return RetestForm(initial={"token": secrets.token_hex(16)}).offer(versions)


def _record(request: HttpRequest, number: int) -> FindingRecord:
    """A finding somebody may see. One they may not see is not there for them."""
    beside = ("team", "language_model", "plan", "owner", "opened_in__model", "opened_in__data")
    rows = FindingRecord.objects.for_user(request.user).select_related(*beside)
    heavy = ("plan__design_json", "opened_in__run_json", "opened_in__model__manifest", "opened_in__data__mapping")
    record = rows.defer(*heavy).filter(serial=number).first()
    if record is None:
        raise Http404(_("no such finding"))
    return record


def _require(request: HttpRequest, permission: str, record: FindingRecord) -> None:
    access.require(request.user, permission, record.team_id)
