"""What people do about findings. compliance/governance/finding_states.py holds what leads where, and what guards it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from auditor.canonical import sha256_bytes
from compliance.access import permissions as access
from compliance.access.roles import Role, roles_with
from compliance.actions.attachment_room import check_room
from compliance.actions.persons import is_person
from compliance.actions.retests import RetestSays, newest_retest
from compliance.actions.sightings import expire, let_go_of_rejection
from compliance.dates import day_said
from compliance.exceptions import StateError
from compliance.governance.attachments import file_name, hand_out, take_in
from compliance.governance.events import Actor, append_event, lock_chain
from compliance.governance.finding_states import (
    ANSWERED_IN,
    SETTLED,
    Facts,
    FindingState,
    Guard,
    Retest,
    Transition,
    transition,
    ways_from,
)
from compliance.models import Event, FindingNote, FindingRecord, Membership, NotePurpose
from compliance.sentences import in_sentence, one_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: What each role of the table of states holds over findings.
PERMISSIONS: Mapping[Role, str] = MappingProxyType(
    {
        Role.MODEL_OWNER: "answer_findingrecord",
        Role.VALIDATOR: "validate_findingrecord",
        Role.APPROVER: "accept_findingrecord",
    }
)
ANSWER, VALIDATE, WRITE = PERMISSIONS[Role.MODEL_OWNER], PERMISSIONS[Role.VALIDATOR], "add_findingnote"
MAY_NOT = {
    ANSWER: gettext_noop("{name}: may not answer findings of {team}"),
    VALIDATE: gettext_noop("{name}: may not validate findings of {team}"),
    PERMISSIONS[Role.APPROVER]: gettext_noop("{name}: may not accept findings of {team}"),
    WRITE: gettext_noop("{name}: may not comment on findings of {team}"),
}
ACCEPT = PERMISSIONS[Role.APPROVER]
DESCRIBED = "language_model.described"
SENT_BACK = "finding.sent_back"
#: Whoever did one of these answers for the finding, and neither closes, accepts nor rejects it.
OWNER_SIDE = (
    "finding.answered",
    "finding.fix_attached",
    *(
        f"finding.{state}"
        for state in (
            FindingState.ACKNOWLEDGED,
            FindingState.ACTION_PLANNED,
            FindingState.IN_REMEDIATION,
            FindingState.READY_FOR_VALIDATION,
        )
    ),
)
LONGEST = 10_000
#: Within which the same words, or the same file, of the same person are one note that was sent twice.
SENT_TWICE = timedelta(minutes=10)
#: States that rest on an owner, a day and a plan: what led there may be changed, and is not taken away.
PLANNED = (FindingState.ACTION_PLANNED, FindingState.IN_REMEDIATION)


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way on from where a finding stands, for one person: ``refusal`` is empty where it is open to them.

    ``allowed`` says whether they hold its role. What they fill in, a rationale or a day, is taken as given.
    ``refusal_to_anybody`` is what stands against it whoever goes it.
    """

    transition: Transition
    allowed: bool
    refusal: str
    refusal_to_anybody: str = ""


@transaction.atomic
def move_finding(
    *,
    record: FindingRecord,
    to: FindingState,
    revision: int | None = None,
    said: str = "",
    until: date | None = None,
    actor: Actor,
) -> None:
    """Lead a finding to another state.

    Parameters
    ----------
    revision
        The one that was read before, by whom a page was shown; ``None`` moves it as it stands now.
    said
        Why: kept as the rationale of what closes or accepts it. Of a rejection it is the one that was proposed.
    until
        The day on which an acceptance is to expire.

    Raises
    ------
    PermissionDenied
        Without an account, or without the permission of the role that leads there.
    StateError
        If no way leads there, it was changed since it was read, or one of its guards refuses; in one line.
    """
    way = _begun(record, actor, to)
    unchanged(record, revision)
    said = plain_text(record, said)
    if way.target is FindingState.REJECTED_WITH_RATIONALE:
        said = record.rejection_reason
    refusal = way.refusal(facts_of(record, actor, said=said, until=until))
    if refusal:
        raise StateError(f"{record}: {refusal}")
    before = record.stands
    payload: dict[str, Any] = {"from": before, "to": to, "said": said, "severity": record.severity}
    if way.source is FindingState.OPEN:
        payload |= let_go_of_rejection(record)
    record.state = to
    if to in SETTLED:
        record.settled_rank, record.rationale = record.worst[0], said
    if to is FindingState.RISK_ACCEPTED and until is not None:
        record.accepted_until = until
        payload["until"] = until.isoformat()
    record.revision += 1
    record.save()
    sent_back = before is FindingState.READY_FOR_VALIDATION and to is FindingState.IN_REMEDIATION
    tell(actor, SENT_BACK if sent_back else f"finding.{to}", record, payload)


@transaction.atomic
def propose_rejection(*, record: FindingRecord, reason: str, actor: Actor) -> None:
    """Propose that an open finding is rejected; it stays open until a second person confirms.

    Raises
    ------
    PermissionDenied
        Without an account, or without the permission to reject findings.
    StateError
        If it is not open, the person answers for it, no reason is given, or a rejection is proposed already.
    """
    way = _begun(record, actor, FindingState.REJECTED_WITH_RATIONALE)
    reason = plain_text(record, reason)
    hold(record, actor, reason, *(guard for guard in way.guards if guard is not Guard.SECOND_PERSON))
    if record.rejection_by:
        raise StateError(
            _("{record}: {rejection_by} proposed to reject it already; expected a second person to confirm it").format(
                record=record, rejection_by=record.rejection_by
            )
        )
    record.rejection_reason, record.rejection_by, record.rejection_by_user = reason, actor.name, actor.user
    record.revision += 1
    record.save()
    tell(actor, "finding.rejection_proposed", record, {"said": reason, "severity": record.severity})


@transaction.atomic
def answer_finding(
    *,
    record: FindingRecord,
    revision: int,
    owner: User | None,
    due: date | None,
    response: str,
    remediation: str,
    actor: Actor,
) -> None:
    """Set who owns a finding, until when, and what they say and plan; what is as it was leaves no event.

    Parameters
    ----------
    revision
        The one that was read before.

    Raises
    ------
    PermissionDenied
        Without an account, or without the permission to answer findings.
    StateError
        If nothing is answered any more where it stands, somebody else changed it in the meantime, the owner does not
        answer findings in its team, the day is past, or what a planned action rests on would be taken away.
    """
    begin(record, actor, ANSWER)
    if record.stands not in ANSWERED_IN:
        raise StateError(
            _("{record}: is {state}; expected one that is not handed over or settled").format(
                record=record, state=where(record)
            )
        )
    if record.revision != revision:
        raise StateError(
            _("{record}: somebody else changed it in the meantime; expected your changes on top of theirs").format(
                record=record
            )
        )
    if owner is not None and owner.pk != record.owner_id and not _answers_in(record, owner):
        raise StateError(
            _("{record}: {owner} does not answer findings in {team}; expected a member who does").format(
                record=record, owner=owner, team=record.team
            )
        )
    if due is not None and due != record.due and due < timezone.now().date():
        raise StateError(_("{record}: {day} is past; expected a day to come").format(record=record, day=day_said(due)))
    if record.stands in PLANNED:
        left = {_("owner"): owner, _("due date"): due, _("remediation plan"): remediation.strip()}
        if missing := [name for name, value in left.items() if not value]:
            raise StateError(
                _("{record}: is {state} and would have no {missing}; expected one to stay set").format(
                    record=record, state=where(record), missing=missing[0]
                )
            )
    before = _answers(record)
    record.owner, record.due = owner, due
    record.response, record.remediation = plain_text(record, response), plain_text(record, remediation)
    after = _answers(record)
    if before == after:
        return
    record.revision += 1
    record.save()
    changed = {name: {"from": before[name], "to": after[name]} for name in after if before[name] != after[name]}
    payload = {**changed, **({"account": owner.pk} if owner is not None else {})}
    tell(actor, "finding.answered", record, payload)


@transaction.atomic
def note_finding(
    *,
    record: FindingRecord,
    text: str = "",
    name: str = "",
    content: bytes | None = None,
    purpose: NotePurpose = NotePurpose.COMMENT,
    actor: Actor,
) -> FindingNote:
    """Add a comment, a file, or both; nobody changes it afterwards. Sent twice, it is added once.

    Parameters
    ----------
    name, content
        Of the file that is attached, if one is.
    purpose
        ``FIX`` for evidence of the fix, which takes a file and the permission to answer findings.

    Raises
    ------
    PermissionDenied
        Without an account, or without the permission.
    StateError
        If it says nothing, the file is not one that is taken in or finds no room, or evidence of a fix is given where
        none is asked for.
    """
    fix = purpose is NotePurpose.FIX
    begin(record, actor, ANSWER if fix else WRITE)
    text = plain_text(record, text)
    if fix and record.stands not in ANSWERED_IN:
        raise StateError(
            _("{record}: is {state}; expected one that is not handed over or settled").format(
                record=record, state=where(record)
            )
        )
    if fix and content is None:
        raise StateError(_("{record}: no file is attached; expected one that shows the fix").format(record=record))
    if content is None and not text:
        raise StateError(_("{record}: the comment is empty; expected a sentence or a file").format(record=record))
    attached: dict[str, Any] = {}
    if content is not None:
        called = file_name(name)
        check_room(record, name=called, sha256=sha256_bytes(content), size=len(content))
        attached = {"file_name": called, "sha256": take_in(name, content), "size": len(content)}
    before = record.notes.filter(
        text=text, purpose=purpose, sha256=attached.get("sha256", ""), written_by=actor.name,
        written_by_user=actor.user, written_at__gt=timezone.now() - SENT_TWICE,
    ).first()  # fmt: skip
    if before is not None:
        return before
    note = FindingNote.objects.create(
        record=record, purpose=purpose, text=text, written_by=actor.name, written_by_user=actor.user, **attached
    )
    payload = {"note": note.pk, "text": text, **attached}
    tell(actor, "finding.fix_attached" if fix else "finding.commented", record, payload)
    return note


@transaction.atomic
def download_attachment(*, note: FindingNote, actor: Actor) -> bytes:
    """The bytes of an attached file, with the event that says who took them.

    Raises
    ------
    PermissionDenied
        Without the permission to look at findings of its team.
    EvidenceError
        If it is not on this server, or not the file that was recorded.
    """
    if actor.user is None or not access.may(actor.user, "view_findingnote", note.team_id):
        raise PermissionDenied(
            _("{name}: may not look at findings of {team}").format(name=actor.name, team=note.record.team)
        )
    content = hand_out(note.file_name, note.sha256)
    tell(actor, "finding.file_downloaded", note.record, {"file": note.file_name, "sha256": note.sha256})
    return content


def ways_for(record: FindingRecord, actor: Actor, *, retest: RetestSays | None = None) -> list[Way]:
    """Every way on from where a finding stands, and what stands against it for this person."""
    tomorrow = timezone.now().date() + timedelta(days=1)
    known = facts_of(record, actor, said="given", until=tomorrow, retest=retest)
    return [
        Way(
            transition=way,
            allowed=actor.user is not None and access.may(actor.user, permission_of(way), record.team_id),
            refusal=way.refusal(known),
            refusal_to_anybody=way.refusal(replace(known, answers_for_it=False, proposed_it=False)),
        )
        for way in ways_from(record.stands)
    ]


def permission_of(way: Transition) -> str:
    """What the role of a way holds; LookupError for one that only the system goes."""
    if way.role is None:
        raise LookupError(f"{way.source} to {way.target}: is a way of the system")
    return PERMISSIONS[way.role]


def facts_of(
    record: FindingRecord,
    actor: Actor,
    *,
    said: str = "",
    until: date | None = None,
    retest: RetestSays | None = None,
) -> Facts:
    """What the guards ask about, for one person. Retests and severities are looked for only where they matter."""
    if retest is None and record.stands is FindingState.READY_FOR_VALIDATION:
        retest = newest_retest(record)
    fixes = record.notes.filter(purpose=NotePurpose.FIX, written_at__gte=record.opened_at)
    return Facts(
        owner=record.owner_id is not None,
        due=record.due is not None,
        plan=bool(record.remediation.strip()),
        fix_attached=record.stands is FindingState.IN_REMEDIATION and fixes.exists(),
        critical=any(Guard.NOT_CRITICAL in way.guards for way in ways_from(record.stands)) and record.critical,
        answers_for_it=answers_for(record, actor),
        said=said,
        until=until,
        today=timezone.now().date(),
        proposed=bool(record.rejection_by),
        proposed_it=is_person(actor, record.rejection_by, record.rejection_by_user_id),
        retest=retest.code if retest else Retest.NONE,
        retest_words=retest.words if retest else "",
    )


def answers_for(record: FindingRecord, actor: Actor) -> bool:
    """Whether this person is or was its owner or the model's, or moved the finding on the owner's side.

    Persons are looked up in the event log, by account and by name: another owner entered in time frees nobody.
    """
    if record.owner is not None and is_person(actor, record.owner.get_username(), record.owner_id):
        return True
    if is_person(actor, record.language_model.owner, None):
        return True
    moved = Q(object=record.number, team=record.team_id, action__in=OWNER_SIDE)
    described = Q(object=record.language_model.event_object, action=DESCRIBED)
    for event in Event.objects.filter(moved | described).select_related("payload").order_by():
        payload = getattr(event, "payload", None)
        told: dict[str, Any] = json.loads(payload.data_json) if payload is not None else {}
        if event.action == DESCRIBED:
            if any(is_person(actor, name, None) for name in _owners(told.get("owner"))):
                return True
            continue
        if is_person(actor, event.actor, event.actor_user_id):
            return True
        owner = told.get("account")
        if owner is not None and actor.user is not None and owner == actor.user.pk:
            return True
    return False


def _owners(told: Any) -> tuple[str, ...]:
    """Whom an event names as the model's owner: when it was entered, or before and after a change."""
    return (told["from"], told["to"]) if isinstance(told, dict) else (told or "",)


def _begun(record: FindingRecord, actor: Actor, to: FindingState) -> Transition:
    """The way that leads there, with the chain locked, for somebody who holds its role."""
    if actor.user is None:
        raise PermissionDenied(
            _("{name}: findings are answered and decided on by people with an account").format(name=actor.name)
        )
    lock_chain()
    record.refresh_from_db()
    expire(record)
    way = transition(record.stands, to)
    if way is None or way.role is None:
        _some_role(record, actor)
        ways = one_of((item.target.label for item in ways_from(record.stands)), between=", ")
        line = (
            _("{record}: is {state}, from where nobody leads it to {to}; expected one of: {ways}")
            if ways
            else _(
                "{record}: is {state}, from where nobody leads it to {to}; expected it to be opened again by an audit "
                "or an expiry"
            )
        )
        raise StateError(line.format(record=record, state=where(record), to=in_sentence(to.label), ways=ways))
    _allow(actor, permission_of(way), record)
    return way


def begin(record: FindingRecord, actor: Actor, permission: str) -> None:
    """The finding as it is now, with the chain locked; PermissionDenied without an account or the permission."""
    if actor.user is None:
        raise PermissionDenied(
            _("{name}: findings are answered and decided on by people with an account").format(name=actor.name)
        )
    _allow(actor, permission, record)
    lock_chain()
    record.refresh_from_db()
    expire(record)


def hold(record: FindingRecord, actor: Actor, said: str, *guards: Guard) -> None:
    """StateError with the first thing that one of these guards says against it."""
    facts = facts_of(record, actor, said=said)
    for guard in guards:
        if words := Transition.check(guard, facts):
            raise StateError(f"{record}: {words}")


def unchanged(record: FindingRecord, revision: int | None) -> None:
    """StateError if it is not the one that was read; ``None`` takes it as it stands."""
    if revision is not None and record.revision != revision:
        raise StateError(
            _("{record}: was changed in the meantime; expected your move on what it is now").format(record=record)
        )


def _some_role(record: FindingRecord, actor: Actor) -> None:
    """Refuse whoever could move no finding of the team, whatever its state."""
    if not any(access.may(actor.user, name, record.team_id) for name in PERMISSIONS.values()):
        raise PermissionDenied(_("{name}: may not move findings of {team}").format(name=actor.name, team=record.team))


def _allow(actor: Actor, permission: str, record: FindingRecord) -> None:
    if not access.may(actor.user, permission, record.team_id):
        raise PermissionDenied(_(MAY_NOT[permission]).format(name=actor.name, team=record.team))


def _answers_in(record: FindingRecord, owner: User) -> bool:
    """Whether an account may be the owner. Anybody else, entered once, would be barred from judging the finding."""
    return Membership.objects.filter(team=record.team, user=owner, role__in=roles_with(ANSWER)).exists()


def _answers(record: FindingRecord) -> dict[str, Any]:
    return {
        "owner": record.owner.get_username() if record.owner else "",
        "due": record.due.isoformat() if record.due else "",
        "response": record.response,
        "remediation": record.remediation,
    }


def plain_text(record: FindingRecord, text: str) -> str:
    """A text as it is kept; StateError if it is longer than may be."""
    plain = text.strip().replace("\r\n", "\n")
    if len(plain) > LONGEST:
        raise StateError(
            _("{record}: the text has {count} characters; expected at most {longest}").format(
                record=record, count=f"{len(plain):,}", longest=f"{LONGEST:,}"
            )
        )
    return plain


def where(record: FindingRecord) -> str:
    """Where it stands, as a sentence goes on with it."""
    return in_sentence(record.stands.label)


def tell(actor: Actor, action: str, record: FindingRecord, payload: Mapping[str, Any]) -> None:
    """Append an event of a finding, in the transaction of what it tells of."""
    append_event(actor=actor, action=action, object=record.number, payload=dict(payload), team=record.team)
