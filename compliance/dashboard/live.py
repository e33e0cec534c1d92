"""The page of an audit that is not complete: where it stands, what happened, and the buttons that act on it.

Whole without scripts; with them a fragment is asked for every two seconds while the audit is under way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count, Max, Min, Q, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext, pgettext
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST, require_safe

from compliance import actions
from compliance.audits.pace import TimeLeft, left_of, paces_of, pieces_before, pieces_of, time_left
from compliance.dates import moment_said
from compliance.exceptions import ComplianceError
from compliance.execution.job import JobState
from compliance.execution.runner import phase_of
from compliance.governance.events import Actor, site_actor
from compliance.models import Audit, ChunkState, Event, Worker
from compliance.sentences import in_sentence
from compliance.words import translated

LOG_LINES = 40
FORCE_AFTER = timedelta(seconds=60)
STOP_POLLING = 286
REASON = "asked for on the site"
#: What :func:`phase_of` says of chunks that are of no test.
BUSY = (gettext_noop("scoring"), gettext_noop("asking"), gettext_noop("asking again"))
BESIDE = ("plan", "model__language_model", "data", "design_decision")

SAID = {
    "audit.requested": gettext_noop("asked for by {actor}"),
    "audit.started": gettext_noop("frozen; its number of prompts is known"),
    "audit.running": gettext_noop("scoring begins"),
    "audit.resumed": gettext_noop("gone on with by {actor}"),
    "audit.stop_requested": gettext_noop("{actor} asked it to stop"),
    "audit.stopped": gettext_noop("stopped; what was scored is kept"),
    "audit.force_stopped": gettext_noop("stopped by force by {actor}; what was scored is kept"),
    "audit.paused": gettext_noop("paused: the system that is asked does not go on; what was answered is kept"),
    "audit.failed": gettext_noop("failed"),
    "audit.finished": gettext_noop("finished"),
}


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A step on the way: ``stage`` is ``done``, ``on`` or ``todo``."""

    name: str
    stage: str
    note: str = ""

    @property
    def mark(self) -> str:
        """The sign before it."""
        return {"done": "✓", "on": "▸"}.get(self.stage, "·")


@dataclass(frozen=True, kw_only=True)
class InHand:
    """A chunk that is being worked on, since so many seconds."""

    index: int
    seconds: int


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of the log; ``warning`` for what went wrong, ``at`` ``None`` where the moment was not kept."""

    at: datetime | None
    text: str
    warning: bool = False


def live_page(request: HttpRequest, audit: Audit) -> HttpResponse:
    """The whole page."""
    return render(request, "dashboard/live.html", _context(request, audit))


@require_safe
@cache_control(private=True, no_store=True)
@login_required
def fragment(request: HttpRequest, number: int) -> HttpResponse:
    """What changes; 286 ends the asking, and a finished audit has its page loaded anew."""
    audit = _audit(request, number)
    answer = render(request, "dashboard/_live_part.html", _context(request, audit))
    if not audit.active:
        answer.status_code = STOP_POLLING
        answer["HX-Refresh"] = "true"
    return answer


def _button(act: Callable[[Audit, Actor], None], permission: str) -> Callable[..., HttpResponse]:
    """One POST is one action; a state that does not allow it any more is told, not an error."""

    @require_POST
    @login_required
    def view(request: HttpRequest, number: int) -> HttpResponse:
        audit = _audit(request, number)
        actor = site_actor(request)
        try:
            act(audit, actor)
        except ComplianceError as error:
            messages.warning(request, str(error))
        return redirect(audit)

    view.__doc__ = f"Needs ``{permission}``, which the action itself asks for."
    return view


stop = _button(lambda audit, actor: actions.stop_audit(audit=audit, reason=REASON, actor=actor), "cancel_audit")
force_stop = _button(lambda audit, actor: actions.force_stop(audit=audit, actor=actor), "cancel_audit")
retry = _button(
    lambda audit, actor: actions.retry_audit(audit=audit, queue=settings.CELERY_TASK_DEFAULT_QUEUE, actor=actor),
    "run_audit",
)


def _audit(request: HttpRequest, number: int) -> Audit:
    found = Audit.objects.for_user(request.user).filter(serial=number).select_related(*BESIDE).first()
    if found is None:
        raise Http404(_("no such audit"))
    return found


def _context(request: HttpRequest, audit: Audit) -> dict[str, Any]:
    now = timezone.now()
    counts = audit.chunks.aggregate(
        all=Count("pk"),
        done=Count("pk", filter=Q(state=ChunkState.DONE)),
        lost=Sum("lost"),
        running=Count("pk", filter=Q(state=ChunkState.RUNNING)),
        kind=Min("kind", filter=Q(state=ChunkState.RUNNING)),
    )
    rate = _rate(audit, now)
    left, rests_on = _left(audit, counts)
    stopping = audit.state == JobState.CANCELLING
    force_at = audit.stop_requested_at + FORCE_AFTER if stopping and audit.stop_requested_at else None
    return {
        "audit": audit,
        "state_words": in_sentence(audit.get_state_display()),
        "now": now,
        "percent": round(100 * audit.prompts_done / audit.prompts) if audit.prompts else 0,
        "phases": _phases(audit, counts),
        "log": _log(audit),
        "counts": counts,
        "rate": rate,
        "left": left,
        "minutes": left.seconds / 60 if left else None,
        "rests_on": rests_on,
        "in_hand": _in_hand(audit, now) if audit.state in (JobState.RUNNING, JobState.CANCELLING) else None,
        "stopping": stopping,
        "stopped": _stopped_words(audit) if audit.state == JobState.CANCELLED else "",
        "listening": Worker.objects.listening(audit.queue) if audit.queue else None,
        "may_stop": request.user.has_perm("compliance.cancel_audit") and audit.active and not stopping,
        "may_force": request.user.has_perm("compliance.cancel_audit") and force_at is not None and now >= force_at,
        "force_at": force_at,
        "may_retry": request.user.has_perm("compliance.run_audit") and audit.resumable,
    }


def _left(audit: Audit, counts: dict[str, Any]) -> tuple[TimeLeft | None, str]:
    """How long it still takes, and what that rests on: chunks of this run, else of earlier runs of the model here."""
    if audit.state != JobState.RUNNING or not counts["all"]:
        return None, ""
    left, own = left_of(audit), paces_of(pieces_of(audit))
    found = time_left(left, own, workers=counts["running"])
    if found is not None:
        return found, _("of this run")
    # A kind that this run has not come to yet goes by what it took before.
    found = time_left(left, {**paces_of(pieces_before(audit)), **own}, workers=counts["running"])
    if own:
        return found, _("of this run and of earlier ones of the model here")
    return found, _("of earlier runs of the model here")


def _in_hand(audit: Audit, now: datetime) -> InHand | None:
    """The chunk that was taken first of those in hand, and for how long it has been."""
    rows = audit.chunks.filter(state=ChunkState.RUNNING, claimed_at__isnull=False).order_by("claimed_at")
    row = rows.values_list("index", "claimed_at").first()
    if row is None or row[1] is None:
        return None
    return InHand(index=row[0], seconds=max(round((now - row[1]).total_seconds()), 0))


def _stopped_words(audit: Audit) -> str:
    ended = Event.objects.filter(object=audit.number, action__in=("audit.stopped", "audit.force_stopped"))
    moment = ended.order_by("-seq").values_list("ts", flat=True).first()
    if not moment:
        return _("Stopped.")
    return _("Stopped on {when}.").format(when=moment_said(datetime.fromisoformat(moment)))


def _rate(audit: Audit, now: datetime) -> float | None:
    """Prompts a second over the chunks of the last five minutes in which one ended."""
    done = audit.chunks.filter(state=ChunkState.DONE, done_at__gt=now - timedelta(minutes=5))
    found = done.aggregate(prompts=Sum("prompts"), first=Min("done_at"), last=Max("done_at"), chunks=Count("pk"))
    if found["chunks"] < 2:
        return None
    # From the end of the first to the end of the last: the first one's own prompts were scored before.
    seconds = (found["last"] - found["first"]).total_seconds()
    share = (found["chunks"] - 1) / found["chunks"]
    return found["prompts"] * share / seconds if seconds > 0 else None


def _phases(audit: Audit, counts: dict[str, Any]) -> list[Phase]:
    scored = audit.frozen and counts["done"] == counts["all"]
    at = 2 if scored else 1 if audit.frozen else 0
    names = (
        _("Read the data, render the prompts, freeze the run"),
        pgettext("phase of a run", "Score"),
        _("Conclude and write the report"),
    )
    notes = _notes(audit, counts, scored=scored) if audit.frozen else ("", "", "")
    under_way = audit.active
    return [
        Phase(
            name=name,
            note=note,
            stage="done" if index < at else "on" if index == at and under_way else "todo",
        )
        for index, (name, note) in enumerate(zip(names, notes, strict=True))
    ]


def _notes(audit: Audit, counts: dict[str, Any], *, scored: bool) -> tuple[str, str, str]:
    """What stands beside each phase once the run is frozen."""
    done, every = f"{counts['done']:,}", f"{counts['all']:,}"
    said = ngettext("{prompts} prompts in {chunks} chunk", "{prompts} prompts in {chunks} chunks", counts["all"])
    frozen = said.format(prompts=f"{audit.prompts:,}", chunks=every)
    if not counts["kind"] or scored:
        return frozen, _("{done} of {all} chunks done").format(done=done, all=every), ""
    line = _("{done} of {all} chunks done; now {phase}")
    return frozen, line.format(done=done, all=every, phase=translated(phase_of(counts["kind"]))), ""


def _log(audit: Audit) -> list[Line]:
    events = Event.objects.filter(object=audit.number, action__startswith="audit.").order_by("-seq")[:LOG_LINES]
    lines = [
        Line(
            at=datetime.fromisoformat(event.ts),
            text=_(SAID.get(event.action, event.action)).format(actor=event.actor),
            warning=event.action in ("audit.failed", "audit.force_stopped", "audit.paused"),
        )
        for event in events
    ]
    done = audit.chunks.filter(done_at__isnull=False).order_by("-done_at")
    lines += [
        Line(at=at, text=_scored(index, prompts, lost))
        for at, index, prompts, lost in done.values_list("done_at", "index", "prompts", "lost")[:LOG_LINES]
    ]
    lines.sort(key=lambda line: line.at or timezone.now(), reverse=True)
    troubled = audit.chunks.exclude(error="").order_by("index").values_list("index", "error")[:LOG_LINES]
    return [
        *(Line(at=None, text=_given_back(index, error), warning=True) for index, error in troubled),
        *lines[:LOG_LINES],
    ]


def _scored(index: int, prompts: int, lost: int) -> str:
    if not lost:
        return _("chunk {index}: {prompts} prompts").format(index=index, prompts=prompts)
    line = _("chunk {index}: {prompts} prompts, lost {lost} times before")
    return line.format(index=index, prompts=prompts, lost=lost)


def _given_back(index: int, error: str) -> str:
    return _("chunk {index} was given back: {error}").format(index=index, error=error)
