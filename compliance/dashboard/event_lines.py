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
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from auditor.records import Severity
from compliance.dates import iso_day_said
from compliance.governance.finding_states import FindingState
from compliance.governance.finding_trends import FindingTrend
from compliance.models import Event
from compliance.tables.described import Column, Table
from compliance.templatetags.plumbline import in_sentence, utc
from compliance.words import translated

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

SHOWN = 25
#: Every kind of event, in words; what stands in braces is filled in from what the event says.
SAID = {
    "account.changed": gettext_noop("account changed"),
    "account.created": gettext_noop("account made"),
    "account.deleted": gettext_noop("account deleted"),
    "account.first_administrator": gettext_noop("first administrator made"),
    "account.first_run_link": gettext_noop("link for the first administrator made"),
    "account.joined": gettext_noop("joined by a link"),
    "account.link_made": gettext_noop("link made"),
    "account.link_used": gettext_noop("link used"),
    "account.link_withdrawn": gettext_noop("link withdrawn"),
    "account.lock_out_lifted": gettext_noop("lock-out lifted"),
    "account.locked_out": gettext_noop("locked out after wrong passwords"),
    "account.mail_address_confirmed": gettext_noop("mail address confirmed"),
    "account.mail_address_removed": gettext_noop("mail address removed"),
    "account.mail_address_set": gettext_noop("mail address given"),
    "account.password_set_by_link": gettext_noop("password chosen by a link"),
    "account.recovery_code_used": gettext_noop("recovery code used"),
    "account.recovery_codes_made": gettext_noop("recovery codes made"),
    "account.second_factor_removed": gettext_noop("second factor removed"),
    "account.second_factor_set": gettext_noop("second factor set up"),
    "account.session_ended": gettext_noop("session ended"),
    "audit.failed": gettext_noop("run failed"),
    "audit.finished": gettext_noop("run finished"),
    "audit.force_stopped": gettext_noop("stopped by force"),
    "audit.paused": gettext_noop("run paused"),
    "audit.release_withdrawn": gettext_noop("release withdrawn"),
    "audit.released": gettext_noop("released to an examiner"),
    "audit.requested": gettext_noop("run asked for"),
    "audit.resumed": gettext_noop("run goes on"),
    "audit.running": gettext_noop("run began"),
    "audit.started": gettext_noop("run frozen"),
    "audit.stop_requested": gettext_noop("stop asked for"),
    "audit.stopped": gettext_noop("run stopped"),
    "data.registered": gettext_noop("data set registered"),
    "evidence.downloaded": gettext_noop("evidence downloaded"),
    "evidence.viewed": gettext_noop("evidence read"),
    "finding.acceptance_expired": gettext_noop("opened again: the acceptance ran until {accepted_until}"),
    "finding.acceptance_revoked": gettext_noop("acceptance ended before its day, {accepted_until}: {said}"),
    "finding.acknowledged": gettext_noop("acknowledged"),
    "finding.action_planned": gettext_noop("action planned"),
    "finding.answered": gettext_noop("answered"),
    "finding.closed_validated": gettext_noop("closed after validation: {said}"),
    "finding.commented": gettext_noop("commented"),
    "finding.file_downloaded": gettext_noop("downloaded {file}"),
    "finding.fix_attached": gettext_noop("evidence of the fix attached: {file_name}"),
    "finding.in_remediation": gettext_noop("remediation started"),
    "finding.opened": gettext_noop("opened by {audit} at severity {severity}"),
    "finding.rated": gettext_noop("severity rated from {from} to {severity}: {said}"),
    "finding.ready_for_validation": gettext_noop("handed over for validation"),
    "finding.rejected_with_rationale": gettext_noop("rejection confirmed, as {rejection_proposed_by} proposed: {said}"),
    "finding.rejection_declined": gettext_noop("rejection that {rejection_proposed_by} proposed declined: {said}"),
    "finding.rejection_proposed": gettext_noop("rejection proposed: {said}"),
    "finding.reopened": gettext_noop("seen again in {audit} and opened again, from {from}"),
    "finding.retest_requested": gettext_noop("retest asked for: {audit}"),
    "finding.risk_accepted": gettext_noop("risk accepted until {until}: {said}"),
    "finding.seen_again": gettext_noop("seen again in {audit} at severity {severity}: {trend}"),
    "finding.sent_back": gettext_noop("sent back to remediation"),
    "group.changed": gettext_noop("group of permissions changed"),
    "group.created": gettext_noop("group of permissions made"),
    "group.deleted": gettext_noop("group of permissions deleted"),
    "language_model.approval_ended": gettext_noop("approval ended"),
    "language_model.decided": gettext_noop("decided on"),
    "language_model.described": gettext_noop("description changed"),
    "model.approval_ended": gettext_noop("approval of the version ended"),
    "model.approval_withdrawn": gettext_noop("approval of the version withdrawn"),
    "model.approved": gettext_noop("version approved"),
    "model.proposed": gettext_noop("version proposed for approval"),
    "model.registered": gettext_noop("model version registered"),
    "model.returned": gettext_noop("version returned with comments"),
    "pack.reviewed": gettext_noop("policy pack reviewed"),
    "plan.decided": gettext_noop("design decided on"),
    "plan.registered": gettext_noop("design registered"),
    "plan_draft.begun": gettext_noop("draft begun"),
    "plan_draft.registered": gettext_noop("draft registered as a design"),
    "plan_draft.saved": gettext_noop("draft saved"),
    "registration.failed": gettext_noop("registration failed"),
    "registration.file_replaced": gettext_noop("another file sent"),
    "registration.finished": gettext_noop("registration finished"),
    "registration.mapped": gettext_noop("columns described"),
    "registration.removed": gettext_noop("upload removed"),
    "registration.requested": gettext_noop("registration asked for"),
    "registration.tried_again": gettext_noop("tried again"),
    "registration.upload_ended": gettext_noop("upload ended"),
    "registration.uploaded": gettext_noop("table uploaded"),
    "revalidation.due": gettext_noop("validation due"),
    "revalidation.due_soon": gettext_noop("validation due soon"),
    "schedule.ended": gettext_noop("schedule ended"),
    "schedule.held": gettext_noop("schedule held: it could not start"),
    "schedule.made": gettext_noop("schedule made"),
    "schedule.moved": gettext_noop("date of the schedule moved"),
    "schedule.paused": gettext_noop("schedule paused"),
    "schedule.resumed": gettext_noop("schedule goes on"),
    "schedule.started": gettext_noop("run started by the schedule"),
    "system.key_erased": gettext_noop("key of the system erased"),
    "system.key_set": gettext_noop("key of the system set"),
    "system.keys_rotated": gettext_noop("keys sealed anew"),
    "system.listed": gettext_noop("system listed"),
    "system.proposed": gettext_noop("system proposed"),
    "system.withdrawn": gettext_noop("system withdrawn"),
    "team.member_added": gettext_noop("role given"),
    "team.member_removed": gettext_noop("role taken"),
    "team.named": gettext_noop("team named"),
    "view.removed": gettext_noop("saved view removed"),
    "view.saved": gettext_noop("view of a list saved"),
    "webhook.ended": gettext_noop("webhook ended"),
    "webhook.secret_renewed": gettext_noop("secret of the webhook renewed"),
    "webhook.set": gettext_noop("webhook set"),
}
#: What kinds are called whose line about one event says more.
KINDS = {
    "finding.acceptance_expired": gettext_noop("opened again, as an acceptance has ended"),
    "finding.closed_validated": gettext_noop("closed after validation"),
    "finding.file_downloaded": gettext_noop("downloaded"),
    "finding.fix_attached": gettext_noop("evidence of the fix attached"),
    "finding.opened": gettext_noop("opened"),
    "finding.rejected_with_rationale": gettext_noop("rejection confirmed"),
    "finding.rejection_proposed": gettext_noop("rejection proposed"),
    "finding.reopened": gettext_noop("seen again and opened again"),
    "finding.retest_requested": gettext_noop("retest asked for"),
    "finding.risk_accepted": gettext_noop("risk accepted"),
    "finding.seen_again": gettext_noop("seen again"),
    "finding.acceptance_revoked": gettext_noop("acceptance ended before its day"),
    "finding.rated": gettext_noop("severity rated anew"),
    "finding.rejection_declined": gettext_noop("proposed rejection declined"),
}
FIELDS = {
    "owner": gettext_noop("owner"),
    "due": gettext_noop("due date"),
    "response": gettext_noop("response"),
    "remediation": gettext_noop("remediation plan"),
}
#: What events keep as ``2026-12-05``.
DAYS = ("due", "until", "accepted_until")
#: By which way somebody acted, as events say it.
ROLES = (
    gettext_noop("administration"),
    gettext_noop("administrator"),
    gettext_noop("by a link"),
    gettext_noop("command line"),
    gettext_noop("logging in"),
    gettext_noop("registration"),
    gettext_noop("schedule"),
    gettext_noop("site"),
    gettext_noop("system"),
    gettext_noop("worker"),
)
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
    return _(words) if words is not None else action.partition(".")[2].replace("_", " ") or action


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
        return _("{kind}; what it said was erased").format(kind=kind_words(action))
    if action == "finding.answered":
        changed = [name for name in FIELDS if name in told]
        return "; ".join(_answered(name, told) for name in changed)
    shown = {name: _shown(name, value) for name, value in told.items()}
    known = {"rejection_proposed_by": _("somebody"), "until": "", "said": "", **shown}
    words = _(SAID[action]).format_map(_Missing(known)) if action in SAID else kind_words(action)
    if action == "finding.seen_again" and "rejection_proposed_by" in told:
        dropped = _("{words}; the rejection that {who} proposed is dropped")
        return dropped.format(words=words, who=known["rejection_proposed_by"])
    return words


def _answered(name: str, told: dict[str, Any]) -> str:
    if name in ("owner", "due"):
        return f"{_(FIELDS[name])}: {_shown(name, told[name]['to']) or _('none')}"
    return _("{field} written").format(field=_(FIELDS[name]))


class _Missing(dict[str, Any]):
    """Words of which a later version may leave one out."""

    def __missing__(self, key: str) -> str:
        return "?"


def _shown(name: str, value: Any) -> Any:
    if name in DAYS and isinstance(value, str):
        return iso_day_said(value)
    if name in ("from", "to") and value in list(FindingState):
        return in_sentence(FindingState(value).label)
    if name in ("severity", "from") and value in list(Severity):
        return translated(value)
    return str(FindingTrend(value).label) if name == "trend" and value in list(FindingTrend) else value


def events_table(
    lines: Iterable[EventLine],
    every: Callable[[], Iterable[EventLine]],
    *,
    about: str = "",
    title: str = "",
    of_one: bool = True,
    details: bool = False,
) -> Table:
    """Events, newest first: those of one object, or of all; ``details`` puts into files what each says."""
    objects = () if of_one else (Column("object", _("Of what"), lambda line: line.object, _object_cell),)
    said = (Column("details", "", lambda line: line.details),) if details else ()
    return Table(
        name="events",
        title=title or _("History"),
        kind="folds",
        about=about,
        rows=lines,
        every=every,
        columns=(
            Column("seq", _("No."), lambda line: line.seq, lambda line: str(line.seq)),
            Column("at", _("When (UTC)"), lambda line: line.at, lambda line: utc(line.at)),
            Column("actor", _("Who"), lambda line: line.actor),
            Column("role", _("Through"), lambda line: line.role, lambda line: _(line.role)),
            *objects,
            Column("action", "", lambda line: line.action),
            Column("what", _("What"), lambda line: line.what, None, "long"),
            *said,
            Column("hash", "", lambda line: line.hash),
        ),
    )


def _object_cell(line: EventLine) -> str:
    found = NUMBERED.fullmatch(line.object)
    if found is None:
        # As it is recorded, in every language: that is what the search finds.
        return format_html('<span lang="en" data-plain>{}</span>', line.object)
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
