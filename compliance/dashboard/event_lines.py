"""What the event log tells, in words: one line an event, the same on the page of the log and in every history."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from compliance.governance.finding_states import FindingState
from compliance.governance.finding_trends import FindingTrend
from compliance.models import Event
from compliance.tables.described import Column, Table
from compliance.templatetags.plumbline import utc

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

SHOWN = 25
ERASED = "what it said was erased"
#: Every kind of event, in words; what stands in braces is filled in from what the event says.
SAID = {
    "account.changed": "account changed",
    "account.created": "account made",
    "account.deleted": "account deleted",
    "account.first_administrator": "first administrator made",
    "account.first_run_link": "link for the first administrator made",
    "account.joined": "joined by a link",
    "account.link_made": "link made",
    "account.link_used": "link used",
    "account.link_withdrawn": "link withdrawn",
    "account.lock_out_lifted": "lock-out lifted",
    "account.locked_out": "locked out after wrong passwords",
    "account.mail_address_confirmed": "mail address confirmed",
    "account.mail_address_removed": "mail address removed",
    "account.mail_address_set": "mail address given",
    "account.password_set_by_link": "password chosen by a link",
    "account.recovery_code_used": "recovery code used",
    "account.recovery_codes_made": "recovery codes made",
    "account.second_factor_removed": "second factor removed",
    "account.second_factor_set": "second factor set up",
    "account.session_ended": "session ended",
    "audit.failed": "run failed",
    "audit.finished": "run finished",
    "audit.force_stopped": "stopped by force",
    "audit.paused": "run paused",
    "audit.release_withdrawn": "release withdrawn",
    "audit.released": "released to an examiner",
    "audit.requested": "run asked for",
    "audit.resumed": "run goes on",
    "audit.running": "run began",
    "audit.started": "run frozen",
    "audit.stop_requested": "stop asked for",
    "audit.stopped": "run stopped",
    "data.registered": "data set registered",
    "evidence.downloaded": "evidence downloaded",
    "evidence.viewed": "evidence read",
    "finding.acceptance_expired": "opened again: the acceptance ran until {accepted_until}",
    "finding.acceptance_revoked": "acceptance ended before its day, {accepted_until}: {said}",
    "finding.acknowledged": "acknowledged",
    "finding.action_planned": "action planned",
    "finding.answered": "answered",
    "finding.closed_validated": "closed after validation: {said}",
    "finding.commented": "commented",
    "finding.file_downloaded": "downloaded {file}",
    "finding.fix_attached": "evidence of the fix attached: {file_name}",
    "finding.in_remediation": "remediation started",
    "finding.opened": "opened by {audit} at severity {severity}",
    "finding.rated": "severity rated from {from} to {severity}: {said}",
    "finding.ready_for_validation": "handed over for validation",
    "finding.rejected_with_rationale": "rejection confirmed, as {rejection_proposed_by} proposed: {said}",
    "finding.rejection_declined": "rejection that {rejection_proposed_by} proposed declined: {said}",
    "finding.rejection_proposed": "rejection proposed: {said}",
    "finding.reopened": "seen again in {audit} and opened again, from {from}",
    "finding.retest_requested": "retest asked for: {audit}",
    "finding.risk_accepted": "risk accepted until {until}: {said}",
    "finding.seen_again": "seen again in {audit} at severity {severity}: {trend}",
    "finding.sent_back": "sent back to remediation",
    "group.changed": "group of permissions changed",
    "group.created": "group of permissions made",
    "group.deleted": "group of permissions deleted",
    "language_model.approval_ended": "approval ended",
    "language_model.decided": "decided on",
    "language_model.described": "description changed",
    "model.approval_ended": "approval of the version ended",
    "model.approval_withdrawn": "approval of the version withdrawn",
    "model.approved": "version approved",
    "model.proposed": "version proposed for approval",
    "model.registered": "model version registered",
    "model.returned": "version returned with comments",
    "pack.reviewed": "policy pack reviewed",
    "plan.decided": "design decided on",
    "plan.registered": "design registered",
    "plan_draft.begun": "draft begun",
    "plan_draft.registered": "draft registered as a design",
    "plan_draft.saved": "draft saved",
    "registration.failed": "registration failed",
    "registration.file_replaced": "another file sent",
    "registration.finished": "registration finished",
    "registration.mapped": "columns described",
    "registration.removed": "upload removed",
    "registration.requested": "registration asked for",
    "registration.tried_again": "tried again",
    "registration.upload_ended": "upload ended",
    "registration.uploaded": "table uploaded",
    "revalidation.due": "validation due",
    "revalidation.due_soon": "validation due soon",
    "schedule.ended": "schedule ended",
    "schedule.held": "schedule held: it could not start",
    "schedule.made": "schedule made",
    "schedule.moved": "date of the schedule moved",
    "schedule.paused": "schedule paused",
    "schedule.resumed": "schedule goes on",
    "schedule.started": "run started by the schedule",
    "system.key_erased": "key of the system erased",
    "system.key_set": "key of the system set",
    "system.keys_rotated": "keys sealed anew",
    "system.listed": "system listed",
    "system.proposed": "system proposed",
    "system.withdrawn": "system withdrawn",
    "team.member_added": "role given",
    "team.member_removed": "role taken",
    "team.named": "team named",
    "view.removed": "saved view removed",
    "view.saved": "view of a list saved",
    "webhook.ended": "webhook ended",
    "webhook.secret_renewed": "secret of the webhook renewed",
    "webhook.set": "webhook set",
}
#: Kinds whose line about one event has no first part that says what kind it is.
KINDS = {
    "finding.reopened": "seen again and opened again",
    "finding.acceptance_expired": "opened again, as an acceptance has ended",
    "finding.acceptance_revoked": "acceptance ended before its day",
    "finding.rated": "severity rated anew",
    "finding.rejection_declined": "proposed rejection declined",
}
FIELDS = {"owner": "owner", "due": "due date", "response": "response", "remediation": "remediation plan"}
NUMBERED = re.compile(r"(?P<letter>[AF])-[0-9]{4,9}")
PAGES = {"A": "audit", "F": "finding"}


@dataclass(frozen=True, kw_only=True)
class EventLine:
    """Something that happened. ``details`` is what the event says, as JSON; empty where it was erased."""

    seq: int
    at: datetime
    actor: str
    role: str
    action: str
    object: str
    what: str
    details: str
    hash: str


def kind_words(action: str) -> str:
    """A kind of event, without what single ones say."""
    words = KINDS.get(action) or SAID.get(action)
    if words is None:
        return action.partition(".")[2].replace("_", " ") or action
    return re.split(r"[:,] \{|,? (?:by|until|in|as) \{| \{", words)[0]


def event_lines(events: Iterable[Event]) -> Iterator[EventLine]:
    """What the event log tells, in words; ``events`` were read with their payloads."""
    for event in events:
        payload = getattr(event, "payload", None)
        told: dict[str, Any] | None = None if payload is None else json.loads(payload.data_json)
        yield EventLine(
            seq=event.seq,
            at=datetime.fromisoformat(event.ts),
            actor=event.actor,
            role=event.role,
            action=event.action,
            object=event.object,
            what=event_words(event.action, told),
            details="" if payload is None else payload.data_json,
            hash=event.hash,
        )


def event_words(action: str, told: dict[str, Any] | None) -> str:
    """What one event tells of."""
    if told is None:
        return f"{kind_words(action)}; {ERASED}"
    if action == "finding.answered":
        changed = [name for name in FIELDS if name in told]
        return "; ".join(
            f"{FIELDS[name]}: {told[name]['to'] or 'none'}" if name in ("owner", "due") else f"{FIELDS[name]} written"
            for name in changed
        )
    shown = {name: _shown(name, value) for name, value in told.items()}
    known = {"rejection_proposed_by": "somebody", "until": "", "said": "", **shown}
    words = SAID[action].format_map(_Missing(known)) if action in SAID else kind_words(action)
    if action == "finding.seen_again" and "rejection_proposed_by" in told:
        words = f"{words}; the rejection that {known['rejection_proposed_by']} proposed is dropped"
    return words


class _Missing(dict[str, Any]):
    """Words of which a later version may leave one out."""

    def __missing__(self, key: str) -> str:
        return "?"


def _shown(name: str, value: Any) -> Any:
    if name in ("from", "to") and value in list(FindingState):
        return FindingState(value).label.lower()
    return FindingTrend(value).label if name == "trend" and value in list(FindingTrend) else value


def events_table(
    lines: Iterable[EventLine],
    every: Callable[[], Iterable[EventLine]],
    *,
    about: str = "",
    title: str = "History",
    of_one: bool = True,
    details: bool = False,
) -> Table:
    """Events, newest first: those of one object, or of all; ``details`` puts into files what each says."""
    objects = () if of_one else (Column("object", "Of what", lambda line: line.object, _object_cell),)
    said = (Column("details", "", lambda line: line.details),) if details else ()
    return Table(
        name="events",
        title=title,
        kind="folds",
        about=about,
        rows=lines,
        every=every,
        columns=(
            Column("seq", "No.", lambda line: line.seq, lambda line: str(line.seq)),
            Column("at", "When (UTC)", lambda line: line.at, lambda line: utc(line.at)),
            Column("actor", "Who", lambda line: line.actor),
            Column("role", "Through", lambda line: line.role),
            *objects,
            Column("action", "", lambda line: line.action),
            Column("what", "What", lambda line: line.what, None, "long"),
            *said,
            Column("hash", "", lambda line: line.hash),
        ),
    )


def _object_cell(line: EventLine) -> str:
    found = NUMBERED.fullmatch(line.object)
    if found is None:
        return line.object
    return format_html('<a href="{}">{}</a>', reverse(PAGES[found["letter"]], args=[line.object]), line.object)


@dataclass(frozen=True, kw_only=True)
class History:
    """What happened to an object: how often, its table, and where all of it is searched."""

    count: int
    table: Table
    objects: tuple[str, ...]

    @property
    def link(self) -> SafeString | str:
        """The event log, narrowed to it; empty where it takes more than one name."""
        return reverse("events", query={"object": self.objects[0]}) if len(self.objects) == 1 else ""


def history_of(user: User | AnonymousUser, *objects: str, about: str = "", details: bool = False) -> History:
    """What somebody may see of what happened to an object, newest first; events may know it by several names."""
    events = Event.objects.for_user(user).filter(object__in=objects).select_related("payload")
    table = events_table(
        list(event_lines(events[:SHOWN])),
        lambda: event_lines(events.iterator(SHOWN)),
        about=about,
        of_one=len(objects) == 1,
        details=details,
    )
    return History(count=events.count(), table=table, objects=objects)
