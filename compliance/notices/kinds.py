"""The kinds of notices, and which event is one of them for whom.

Everything hangs on the event log: what another part of the site wants to be told of appends an event, gets a line in
`KINDS`, and one in `TELLS` that says to whom. A day that comes without an event is a function in `REMINDERS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext_noop

from compliance.access.roles import roles_with
from compliance.governance.finding_states import FindingState
from compliance.models import (
    Audit,
    AuditSchedule,
    Event,
    FindingRecord,
    Membership,
    Notice,
    PlanDraft,
    PlanVersion,
    Registration,
    RegistrationState,
    Release,
    SystemListing,
)
from compliance.notices.words import day_written

RUN, ANSWER, VALIDATE, ACCEPT = "run_audit", "answer_findingrecord", "validate_findingrecord", "accept_findingrecord"
SOON = timedelta(days=30)
"""How long before it ends people are told of an acceptance."""
UNDESCRIBED = timedelta(days=2)
"""How long a table may wait for its columns to be described before who sent it is told."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What can be chosen: in a person's words, in a team's, and whether it is mailed to whoever chose nothing."""

    label: str
    event: str
    mailed: bool = True


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "design_registered": Kind(
            label=gettext_noop("A design waits for approval"), event=gettext_noop("A design waits for approval")
        ),
        "design_decided": Kind(
            label=gettext_noop("A design of mine was decided on"), event=gettext_noop("A design was decided on")
        ),
        "system_proposed": Kind(
            label=gettext_noop("A system waits for a second administrator"),
            event=gettext_noop("A system waits for a second administrator"),
        ),
        "registration_failed": Kind(
            label=gettext_noop("A registration of mine failed"), event=gettext_noop("A registration failed")
        ),
        "table_waits": Kind(
            label=gettext_noop("A table of mine waits for its columns to be described"),
            event=gettext_noop("A table waits for its columns to be described"),
        ),
        "audit_finished": Kind(
            label=gettext_noop("An audit that I asked for finished"), event=gettext_noop("An audit finished")
        ),
        "audit_halted": Kind(
            label=gettext_noop("An audit that I asked for failed, paused or was stopped"),
            event=gettext_noop("An audit failed, paused or was stopped"),
        ),
        "schedule_started": Kind(
            label=gettext_noop("A schedule of mine started an audit"),
            event=gettext_noop("A schedule started an audit"),
            mailed=False,
        ),
        "schedule_held": Kind(
            label=gettext_noop("A schedule of mine could not start"), event=gettext_noop("A schedule could not start")
        ),
        "finding_opened": Kind(
            label=gettext_noop("A finding was opened or opened again"),
            event=gettext_noop("A finding was opened or opened again"),
        ),
        "finding_assigned": Kind(
            label=gettext_noop("A finding was given to me"), event=gettext_noop("A finding was given to its owner")
        ),
        "finding_answered": Kind(
            label=gettext_noop("A finding was answered"), event=gettext_noop("A finding was answered"), mailed=False
        ),
        "finding_rated": Kind(
            label=gettext_noop("A finding of mine was rated anew"),
            event=gettext_noop("A finding was rated anew"),
            mailed=False,
        ),
        "finding_to_decide": Kind(
            label=gettext_noop("A finding waits for a second person"),
            event=gettext_noop("A finding waits for a second person"),
        ),
        "retest_wanted": Kind(
            label=gettext_noop("A finding waits for its retest"), event=gettext_noop("A finding waits for its retest")
        ),
        "finding_overdue": Kind(label=gettext_noop("A finding is overdue"), event=gettext_noop("A finding is overdue")),
        "finding_returned": Kind(
            label=gettext_noop("A finding of mine was sent back"), event=gettext_noop("A finding was sent back")
        ),
        "finding_settled": Kind(
            label=gettext_noop("A finding of mine was closed, accepted or rejected"),
            event=gettext_noop("A finding was closed, accepted or rejected"),
        ),
        "acceptance_ends": Kind(
            label=gettext_noop("The acceptance of a finding ends soon"),
            event=gettext_noop("The acceptance of a finding ends soon"),
        ),
        "release": Kind(
            label=gettext_noop("An audit was released to me, or its release withdrawn"),
            event=gettext_noop("An audit was released, or a release withdrawn"),
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """Something to tell: of what, in which words, to whom.

    Attributes
    ----------
    key
        Names the occasion: whoever was told of one is not told again.
    subject, subject_id
        The row that it is about; whoever may not see that is not told.
    permission
        What the people hold in the team, where it is told to a role.
    """

    key: str
    kind: str
    team: int
    subject: str
    subject_id: int
    words: str
    title: str
    link: str
    people: frozenset[int]
    permission: str = ""


@dataclass(frozen=True, kw_only=True)
class Told:
    """An event as it is told on. An erased payload is empty."""

    event: Event
    payload: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Names its occasion."""
        return f"event {self.event.seq}"


def occasions_of(event: Event) -> list[Occasion]:
    """What there is to tell of an event, and to whom; nothing for most of them. Whoever did it is not told of it."""
    tell = TELLS.get(event.action)
    if tell is None or event.team_id is None:
        return []
    payload = getattr(event, "payload", None)
    told = Told(event=event, payload=json.loads(payload.data_json) if payload is not None else {})
    return list(tell(told))


def reminders(*, today: date) -> Iterator[Occasion]:
    """What a day brings."""
    for remind in REMINDERS:
        yield from remind(today)


def visible(user: Any, subject: str, keys: Iterable[int]) -> set[int]:
    """The rows of one kind, among these, that somebody may see now."""
    if subject == "release":
        found = Release.objects.current().read_by(user).filter(pk__in=keys)
    elif subject == "past release":
        found = Release.objects.read_by(user).filter(pk__in=keys)
    else:
        rows: Any = SUBJECTS[subject].objects
        found = rows.for_user(user).filter(pk__in=keys)
    return set(found.order_by().values_list("pk", flat=True))


def holders(team: int, permission: str) -> frozenset[int]:
    """Who holds a permission in a team by a role."""
    roles = roles_with(permission)
    rows = Membership.objects.filter(team=team, role__in=roles, user__is_active=True)
    return frozenset(rows.order_by().values_list("user_id", flat=True))


def _audit(told: Told, kind: str, said: str, *, number: str = "") -> Iterator[Occasion]:
    audit = (
        Audit.objects.select_related("plan")
        .defer("run_json", "plan__design_json")
        .filter(serial=_serial(number or told.event.object))
        .first()
    )
    if audit is None:
        return
    asked = audit.requested_by_user_id
    people = frozenset({asked}) if asked is not None else holders(audit.team_id, "run_audit")
    yield Occasion(
        key=told.key,
        kind=kind,
        team=audit.team_id,
        subject="audit",
        subject_id=audit.pk,
        words=said.format(number=audit.number),
        title=audit.plan.title,
        link=audit.get_absolute_url(),
        people=people - {told.event.actor_user_id},
        permission="" if asked is not None else "run_audit",
    )


def _started(told: Told) -> Iterator[Occasion]:
    """An audit that began by itself, to whoever it runs in the name of."""
    number = str(told.payload.get("audit", ""))
    yield from _audit(
        told, "schedule_started", gettext_noop("Audit {number} was started by its schedule"), number=number
    )


def _held(told: Told) -> Iterator[Occasion]:
    """A schedule that could not start, to whoever made it; else to all who may go on with it."""
    rows = AuditSchedule.objects.select_related("plan").defer("plan__design_json")
    row = rows.filter(pk=_key(told.event.object)).first()
    if row is None:
        return
    made = row.made_by_user_id
    yield Occasion(
        key=told.key,
        kind="schedule_held",
        team=row.team_id,
        subject="auditschedule",
        subject_id=row.pk,
        words=gettext_noop("A schedule could not start"),
        title=row.plan.title,
        link=row.get_absolute_url(),
        people=frozenset({made}) if made is not None else holders(row.team_id, RUN),
        permission="" if made is not None else RUN,
    )


def _record(told: Told) -> FindingRecord | None:
    return FindingRecord.objects.filter(serial=_serial(told.event.object)).first()


def _finding(
    told: Told, record: FindingRecord, *, kind: str, said: str, people: Iterable[int | None], permission: str = ""
) -> Occasion:
    return Occasion(
        key=told.key,
        kind=kind,
        team=record.team_id,
        subject="findingrecord",
        subject_id=record.pk,
        words=said.format(number=record.number),
        title=record.title,
        link=record.get_absolute_url(),
        people=frozenset(pk for pk in people if pk is not None and pk != told.event.actor_user_id),
        permission=permission,
    )


def _opened(said: str) -> Callable[[Told], Iterator[Occasion]]:
    def tell(told: Told) -> Iterator[Occasion]:
        record = _record(told)
        if record is None:
            return
        owner = record.owner_id
        people = {owner} if owner is not None else holders(record.team_id, ANSWER)
        permission = "" if owner is not None else ANSWER
        yield _finding(told, record, kind="finding_opened", said=said, people=people, permission=permission)

    return tell


def _answered(told: Told) -> Iterator[Occasion]:
    record = _record(told)
    if record is None:
        return
    if "owner" in told.payload and record.owner_id is not None:
        owner = {record.owner_id}
        yield _finding(
            told, record, kind="finding_assigned", said=gettext_noop("{number} was given to you"), people=owner
        )
    if told.payload.keys() & {"response", "remediation"}:
        people = holders(record.team_id, VALIDATE)
        yield _finding(
            told,
            record,
            kind="finding_answered",
            said=gettext_noop("{number} was answered"),
            people=people,
            permission=VALIDATE,
        )


def _handed_over(told: Told) -> Iterator[Occasion]:
    """A decision on its fix takes a retest: whoever may run one is told too, unless they decide anyway."""
    record = _record(told)
    if record is None:
        return
    deciding = holders(record.team_id, VALIDATE) - {record.owner_id}
    said = gettext_noop("{number} waits for a decision on its fix")
    yield _finding(told, record, kind="finding_to_decide", said=said, people=deciding, permission=VALIDATE)
    people = holders(record.team_id, RUN) - deciding
    said = gettext_noop("{number} waits for its retest")
    retest = _finding(told, record, kind="retest_wanted", said=said, people=people, permission=RUN)
    # A webhook is told of an occasion once: this is another one than the decision.
    yield replace(retest, key=f"{told.key}, retest")


def _to_decide(said: str) -> Callable[[Told], Iterator[Occasion]]:
    def tell(told: Told) -> Iterator[Occasion]:
        record = _record(told)
        if record is not None:
            people = holders(record.team_id, VALIDATE) - {record.owner_id}
            yield _finding(told, record, kind="finding_to_decide", said=said, people=people, permission=VALIDATE)

    return tell


def _to_owner(kind: str, said: str) -> Callable[[Told], Iterator[Occasion]]:
    def tell(told: Told) -> Iterator[Occasion]:
        record = _record(told)
        if record is not None:
            yield _finding(told, record, kind=kind, said=said, people={record.owner_id})

    return tell


def _design(told: Told) -> Iterator[Occasion]:
    """A design that came from a draft; those who wrote it are not asked."""
    draft = PlanDraft.objects.select_related("plan").filter(pk=_key(told.event.object)).first()
    if draft is None or draft.plan is None:
        return
    permission = "approve_planversion"
    written = Event.objects.filter(object=draft.event_object, actor_user__isnull=False)
    wrote = set(written.values_list("actor_user_id", flat=True))
    yield Occasion(
        key=told.key,
        kind="design_registered",
        team=draft.team_id,
        subject="planversion",
        subject_id=draft.plan.pk,
        words=gettext_noop("A design waits for approval"),
        title=draft.name,
        link=reverse("plan", args=[draft.plan.pk]),
        people=holders(draft.team_id, permission) - wrote,
        permission=permission,
    )


def _decided(told: Told) -> Iterator[Occasion]:
    """What became of a design, to those who wrote it."""
    short = told.event.object.removeprefix("plan ")
    plan = PlanVersion.objects.filter(team=told.event.team_id, design_sha256__startswith=short).first()
    if plan is None or not short:
        return
    drafts = [f"plan draft {key}" for key in plan.drafts.values_list("pk", flat=True)]
    wrote = Event.objects.filter(object__in=drafts, actor_user__isnull=False).values_list("actor_user_id", flat=True)
    said = {
        "approved": gettext_noop("Your design was approved"),
        "retired": gettext_noop("Your design was retired"),
        "returned": gettext_noop("Your design was returned to you"),
    }
    yield Occasion(
        key=told.key,
        kind="design_decided",
        team=plan.team_id,
        subject="planversion",
        subject_id=plan.pk,
        words=said.get(str(told.payload.get("to")), gettext_noop("Your design was decided on")),
        title=plan.title,
        link=reverse("plan", args=[plan.pk]),
        people=frozenset(wrote) - {told.event.actor_user_id},
    )


def _system(told: Told) -> Iterator[Occasion]:
    name, _, version = told.event.object.removeprefix("system ").partition(", version ")
    kind, _, short = name.partition(":")
    row = SystemListing.objects.filter(kind=kind, name=short, version=_key(f"x {version}")).first()
    if row is None:
        return
    permission = "approve_systemlisting"
    yield Occasion(
        key=told.key,
        kind="system_proposed",
        team=row.team_id,
        subject="systemlisting",
        subject_id=row.pk,
        words=gettext_noop("A system waits for a second administrator"),
        title=str(row),
        link=row.get_absolute_url(),
        people=holders(row.team_id, permission) - {told.event.actor_user_id},
        permission=permission,
    )


def _registration(told: Told) -> Iterator[Occasion]:
    row = Registration.objects.filter(pk=_key(told.event.object)).first()
    if row is not None:
        yield Occasion(
            key=told.key,
            kind="registration_failed",
            team=row.team_id,
            subject="registration",
            subject_id=row.pk,
            words=gettext_noop("A registration failed"),
            title=row.name,
            link=reverse("registration", args=[row.public_id]),
            people=frozenset() if row.requested_by_user_id is None else frozenset({row.requested_by_user_id}),
        )


def _released(subject: str, said: str) -> Callable[[Told], Iterator[Occasion]]:
    def tell(told: Told) -> Iterator[Occasion]:
        rows = Release.objects.filter(audit__serial=_serial(told.event.object), reader=told.payload.get("account"))
        row = rows.select_related("audit__plan").defer("audit__run_json", "audit__plan__design_json").first()
        if row is not None:
            yield Occasion(
                key=told.key,
                kind="release",
                team=row.audit.team_id,
                subject=subject,
                subject_id=row.pk,
                words=said.format(number=row.audit.number),
                title=row.audit.plan.title if subject == "release" else "",
                link=reverse("released", args=[row.pk]),
                people=frozenset({row.reader_id}),
            )

    return tell


def _acceptances(today: date) -> Iterator[Occasion]:
    """Accepted findings whose day comes, to those who may accept them again, once for each such day."""
    rows = FindingRecord.objects.filter(
        state=FindingState.RISK_ACCEPTED.value, accepted_until__gt=today, accepted_until__lte=today + SOON
    )
    for row in rows.order_by("pk"):
        yield _on_a_day(
            row,
            key=f"{row.number} accepted until {row.accepted_until}",
            kind="acceptance_ends",
            words=gettext_noop("The acceptance of {number} ends on {day}"),
            day=row.accepted_until,
            people=holders(row.team_id, ACCEPT),
            permission=ACCEPT,
        )


def _on_a_day(
    row: FindingRecord, *, key: str, kind: str, words: str, day: date | None, people: frozenset[int], permission: str
) -> Occasion:
    """What a day that comes, or has passed, tells of a finding; ``words`` take its number and the day."""
    return Occasion(
        key=key,
        kind=kind,
        team=row.team_id,
        subject="findingrecord",
        subject_id=row.pk,
        words=words.format(number=row.number, day=day_written(day) if day is not None else ""),
        title=row.title,
        link=row.get_absolute_url(),
        people=people,
        permission=permission,
    )


def _untold(keys: Iterable[str]) -> set[str]:
    """Those of which nobody was told yet: what was told of is looked up once, however much of it there is."""
    wanted = set(keys)
    return wanted - set(Notice.objects.filter(key__in=wanted).order_by().values_list("key", flat=True).distinct())


def _overdue(today: date) -> Iterator[Occasion]:
    """Findings whose day is past, to their owner, else to whoever answers findings; once for each such day."""
    rows = FindingRecord.objects.overdue(today).only("serial", "team", "title", "owner", "due", "allowed_until")
    late = {f"{row.number} overdue since {row.due_on}": row for row in rows.order_by("pk")}
    answering: dict[int, frozenset[int]] = {}
    for key in sorted(_untold(late)):
        row = late[key]
        if row.owner_id is None and row.team_id not in answering:
            answering[row.team_id] = holders(row.team_id, ANSWER)
        yield _on_a_day(
            row,
            key=key,
            kind="finding_overdue",
            words=gettext_noop("{number} is overdue since {day}"),
            day=row.due_on,
            people=answering[row.team_id] if row.owner_id is None else frozenset({row.owner_id}),
            permission=ANSWER if row.owner_id is None else "",
        )


def _tables(today: date) -> Iterator[Occasion]:
    """Tables that were sent and not described for some days, to who sent them, once."""
    sent = datetime.combine(today - UNDESCRIBED, time(), tzinfo=UTC)
    waiting = Registration.objects.filter(
        state=RegistrationState.MAPPING, created_at__lt=sent, requested_by_user__isnull=False
    )
    rows = {f"{row.event_object} waits": row for row in waiting.defer("mapping", "look").order_by("pk")}
    for key in sorted(_untold(rows)):
        row = rows[key]
        if row.requested_by_user_id is not None:
            yield Occasion(
                key=key,
                kind="table_waits",
                team=row.team_id,
                subject="registration",
                subject_id=row.pk,
                words=gettext_noop("A table waits for its columns to be described"),
                title=row.name,
                link=reverse("registration", args=[row.public_id]),
                people=frozenset({row.requested_by_user_id}),
            )


def _serial(name: str) -> int:
    """``A-0001``, ``F-0001``: the number."""
    return _key(name.replace("-", " "))


def _key(name: str) -> int:
    number = name.rpartition(" ")[2]
    return int(number) if number.isdecimal() and len(number) < 19 else 0


SUBJECTS: Mapping[str, Any] = MappingProxyType(
    {
        "audit": Audit,
        "auditschedule": AuditSchedule,
        "findingrecord": FindingRecord,
        "planversion": PlanVersion,
        "registration": Registration,
        "systemlisting": SystemListing,
    }
)
TELLS: Mapping[str, Callable[[Told], Iterator[Occasion]]] = MappingProxyType(
    {
        "plan_draft.registered": _design,
        "plan.decided": _decided,
        "system.proposed": _system,
        "registration.failed": _registration,
        "registration.upload_ended": _registration,
        "audit.finished": lambda told: _audit(told, "audit_finished", gettext_noop("Audit {number} finished")),
        "audit.failed": lambda told: _audit(told, "audit_halted", gettext_noop("Audit {number} failed")),
        "audit.paused": lambda told: _audit(told, "audit_halted", gettext_noop("Audit {number} paused")),
        "audit.stopped": lambda told: _audit(told, "audit_halted", gettext_noop("Audit {number} was stopped")),
        "schedule.started": _started,
        "schedule.held": _held,
        "finding.opened": _opened(gettext_noop("{number} was opened")),
        "finding.reopened": _opened(gettext_noop("{number} was opened again")),
        "finding.acceptance_expired": _opened(gettext_noop("{number} is open again: its acceptance has ended")),
        "finding.answered": _answered,
        "finding.acceptance_revoked": _opened(gettext_noop("{number} is open again: its acceptance was taken back")),
        "finding.ready_for_validation": _handed_over,
        "finding.rated": _to_owner("finding_rated", gettext_noop("{number} was rated anew")),
        "finding.rejection_declined": _opened(gettext_noop("{number} stays open: its rejection was declined")),
        "finding.rejection_proposed": _to_decide(
            gettext_noop("{number} waits for a second person: a rejection was proposed")
        ),
        "finding.sent_back": _to_owner("finding_returned", gettext_noop("{number} was sent back to you")),
        "finding.closed_validated": _to_owner("finding_settled", gettext_noop("{number} was closed")),
        "finding.risk_accepted": _to_owner("finding_settled", gettext_noop("{number} was accepted")),
        "finding.rejected_with_rationale": _to_owner("finding_settled", gettext_noop("{number} was rejected")),
        "audit.released": _released("release", gettext_noop("Audit {number} was released to you")),
        "audit.release_withdrawn": _released("past release", gettext_noop("Audit {number} is released to you no more")),
    }
)
REMINDERS: tuple[Callable[[date], Iterator[Occasion]], ...] = (_acceptances, _overdue, _tables)
