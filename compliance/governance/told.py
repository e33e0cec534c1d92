"""What the event log says of people's decisions: rows of approvals, releases and reviews, compared with their events.

Each such row is entered in the transaction of its event. Whoever owns the database can change the one without the
other; these are held against each other here, one by one, in the order in which they were made.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any

from django.contrib.auth import get_user_model

from auditor.canonical import sha256_bytes
from compliance.governance.finding_states import SETTLED, FindingState
from compliance.models import (
    Approval,
    AuditSchedule,
    DataSetVersion,
    Event,
    FindingNote,
    FindingRecord,
    LanguageModel,
    LanguageModelVersion,
    PlanDecision,
    PlanVersion,
    PolicyPackReview,
    Release,
    SystemListing,
    VersionDecision,
    VersionState,
)
from compliance.models.approvals import version_standing

NAMED = ("source", "name", "title", "sha256", "fingerprint", "design_sha256", "rows")
APART = timedelta(minutes=5)
"""By which the time of a row and that of its event may differ: a clock may be set in between."""
Told = tuple[Event, dict[str, Any]]


def decisions() -> Iterator[str]:
    """Everything that people decided in the register and the log says otherwise."""
    yield from _designs(_events("plan.decided"))
    yield from _approvals(_events("language_model.decided", "language_model.approval_ended"))
    yield from _version_decisions(_events(*_VERSION_STEPS))
    yield from _schedules(_events(*_SCHEDULE_STEPS, "schedule.moved"))
    yield from _releases(_events("audit.released"), _events("audit.release_withdrawn"))
    yield from _reviews(_events("pack.reviewed"))
    yield from _systems(_events("system.proposed", "system.listed", "system.withdrawn"))
    yield from _findings(_events(*_LEADS_TO))
    yield from _answers(_events(*_SEEN, *_UNDATED, "finding.answered"))
    yield from _notes(_events("finding.commented", "finding.fix_attached"))
    yield from _versions(_events("model.registered", "data.registered", "plan.registered"))


def _events(*actions: str) -> dict[str, list[Told]]:
    """Events with their payloads by what they tell of; one whose payload was erased says who and when, and no more."""
    found: dict[str, list[Told]] = defaultdict(list)
    for event in Event.objects.filter(action__in=actions).order_by("seq").select_related("payload"):
        payload = getattr(event, "payload", None)
        found[event.object].append((event, {} if payload is None else dict(json.loads(payload.data_json))))
    return found


def _designs(told: dict[str, list[Told]]) -> Iterator[str]:
    rows = PlanDecision.objects.select_related("plan").order_by("pk")
    yield from _decided(
        rows, told, lambda row: {"to": row.state, "reason": row.reason, "design_sha256": row.plan.design_sha256}
    )


def _decided(
    decisions: Iterable[PlanDecision | VersionDecision],
    told: dict[str, list[Told]],
    says: Callable[[Any], dict[str, Any]],
) -> Iterator[str]:
    """Decisions about designs, or about versions, each against its event; ``says`` is what the event says too."""
    rows: dict[str, list[PlanDecision | VersionDecision]] = defaultdict(list)
    for row in decisions:
        rows[row.event_object].append(row)
    for name in sorted({*rows, *told}):
        for decision, entry in zip_longest(rows.get(name, ()), told.get(name, ())):
            if decision is None or entry is None:
                yield f"{name}: has another number of decisions than events tell of"
                break
            event, payload = entry
            if decision.state != _VERSION_STEPS.get(event.action, decision.state):
                yield f"{name}: a decision says {decision.state}, event {event.seq} says {event.action}"
            yield from _compared(f"{name}: a decision", says(decision), event, payload)
            yield from _by(f"{name}: a decision", decision.decided_by, decision.decided_by_user_id, event)
            yield from _when(f"{name}: a decision", decision.decided_at, event)


def _approvals(told: dict[str, list[Told]]) -> Iterator[str]:
    for model in LanguageModel.objects.order_by("pk"):
        entries = told.get(model.event_object, [])
        if entries and entries[-1][1]:
            says = {"to": model.approval, "approved_sha256": model.approved_sha256}
            yield from _compared(str(model), says, *entries[-1])
            if model.approval == Approval.APPROVED and model.approved_sha256 and not model.approved:
                yield f"{model}: is approved, and is not what event {entries[-1][0].seq} approved"
        elif not entries and model.approval != LanguageModel._meta.get_field("approval").default:
            yield f"{model}: is {model.approval}, and no event tells of it"


#: What a decision about a version says, by its event.
_VERSION_STEPS = {
    "model.proposed": "proposed",
    "model.returned": "returned",
    "model.approved": "approved",
    "model.approval_withdrawn": "withdrawn",
    "model.approval_ended": "ended",
}


def _version_decisions(told: dict[str, list[Told]]) -> Iterator[str]:
    rows = VersionDecision.objects.select_related("version__language_model").order_by("pk")
    yield from _decided(
        rows,
        told,
        lambda row: {"reason": row.reason, "rests_on": row.rests_on, "described_sha256": row.described_sha256},
    )
    for version in (
        LanguageModelVersion.objects.filter(decisions__isnull=False).distinct().select_related("language_model")
    ):
        last = version_standing(version).last
        if last is not None and last.state == VersionState.APPROVED:
            yield f"{version}: is approved, and something else is said of its model than was approved"


#: Where a schedule stands after an event.
_SCHEDULE_STEPS = {
    "schedule.made": "active",
    "schedule.resumed": "active",
    "schedule.paused": "paused",
    "schedule.ended": "ended",
    "schedule.held": "held",
    "schedule.started": "active",
}


def _schedules(told: dict[str, list[Told]]) -> Iterator[str]:
    """Schedules stand where the last event led them, and are due on the day that the last one names."""
    rows = {row.event_object: row for row in AuditSchedule.objects.order_by("pk")}
    for name in sorted({*rows, *told}):
        row, entries = rows.get(name), told.get(name, [])
        if row is None or not entries:
            yield f"{name}: {'no event tells of it' if row else 'events tell of it, and it is gone'}"
            continue
        steps = [event for event, _ in entries if event.action in _SCHEDULE_STEPS]
        if steps and row.state != _SCHEDULE_STEPS[steps[-1].action]:
            yield f"{name}: is {row.state}, event {steps[-1].seq} says {_SCHEDULE_STEPS[steps[-1].action]}"
        days = [(event, payload.get("next_on") or payload["to"]) for event, payload in entries
                if "next_on" in payload or (event.action == "schedule.moved" and payload)]  # fmt: skip
        if days and days[-1][1] != row.next_on.isoformat():
            yield f"{name}: is due on {row.next_on}, event {days[-1][0].seq} says {days[-1][1]}"


def _releases(released: dict[str, list[Told]], withdrawn: dict[str, list[Told]]) -> Iterator[str]:
    rows: dict[str, list[Release]] = defaultdict(list)
    for row in Release.objects.select_related("audit", "reader").order_by("pk"):
        rows[row.event_object].append(row)
    for name in sorted({*rows, *released}):
        for row, entry in zip_longest(rows.get(name, ()), released.get(name, ())):
            if row is None or entry is None:
                yield f"{name}: was released another number of times than events tell of"
                break
            event, payload = entry
            says: dict[str, Any] = {"until": row.expires_at.isoformat(), "reason": row.reason}
            # Accounts may be given another name; who they are stays.
            says |= {"account": row.reader_id} if "account" in payload else {"reader": row.reader.get_username()}
            yield from _compared(f"{name}: a release", says, event, payload)
            if row.released_by != event.actor:
                yield f"{name}: a release: by {row.released_by}, event {event.seq} says {event.actor}"
            yield from _when(f"{name}: a release", row.released_at, event)
        yield from _ended(name, [row for row in rows.get(name, ()) if row.withdrawn_at], withdrawn.get(name, []))


def _ended(name: str, rows: list[Release], told: list[Told]) -> Iterator[str]:
    """Releases that were withdrawn: as many as events tell of, and those that they tell of."""
    if len(rows) != len(told):
        yield f"{name}: {len(rows)} releases are withdrawn, events tell of {len(told)}"
        return
    named = Counter((payload["account"], payload["until"]) for _, payload in told if "until" in payload)
    beside = named - Counter((row.reader_id, row.expires_at.isoformat()) for row in rows)
    for account, until in beside:
        yield f"{name}: the release to account {account} until {until} stands, an event says it was withdrawn"


def _reviews(told: dict[str, list[Told]]) -> Iterator[str]:
    rows: dict[str, list[PolicyPackReview]] = defaultdict(list)
    for row in PolicyPackReview.objects.select_related("pack").order_by("pk"):
        rows[row.pack.event_object].append(row)
    for name in sorted({*rows, *told}):
        for row, entry in zip_longest(rows.get(name, ()), told.get(name, ())):
            if row is None or entry is None:
                yield f"{name}: has another number of reviews than events tell of"
                break
            yield from _compared(f"{name}: a review", {"note": row.note, "due": row.due.isoformat()}, *entry)
            yield from _by(f"{name}: a review", row.reviewer, row.reviewer_user_id, entry[0])
            yield from _when(f"{name}: a review", row.reviewed_at, entry[0])


#: Where a system stands after an event, and the column that names who did it.
_STEPS = {
    "system.proposed": ("proposed", "proposed_by"),
    "system.listed": ("listed", "approved_by"),
    "system.withdrawn": ("withdrawn", "withdrawn_by"),
}


def _systems(told: dict[str, list[Told]]) -> Iterator[str]:
    """Systems stand where the last event put them, by whom it says, with the table it names by its hash."""
    rows = {row.event_object: row for row in SystemListing.objects.order_by("pk")}
    for name in sorted({*rows, *told}):
        row, entries = rows.get(name), told.get(name, [])
        if row is None or not entries:
            yield f"{name}: {'no event tells of it' if row else 'events tell of it, and it is gone'}"
            continue
        if row.state != _STEPS[entries[-1][0].action][0]:
            yield f"{name}: is {row.state}, event {entries[-1][0].seq} says {_STEPS[entries[-1][0].action][0]}"
        if sha256_bytes(row.text.encode()) != row.text_sha256:
            yield f"{name}: its table is not the one that its hash names"
        for event, payload in entries:
            if "text_sha256" in payload:
                yield from _compared(name, {"text_sha256": row.text_sha256}, event, payload)
            column = _STEPS[event.action][1]
            yield from _by(name, getattr(row, column), getattr(row, f"{column}_user_id"), event)


#: Where a finding stands after an event.
_LEADS_TO = {
    "finding.opened": FindingState.OPEN,
    "finding.reopened": FindingState.OPEN,
    "finding.acceptance_expired": FindingState.OPEN,
    "finding.acceptance_revoked": FindingState.OPEN,
    "finding.sent_back": FindingState.IN_REMEDIATION,
    **{f"finding.{state}": state for state in FindingState if state is not FindingState.OPEN},
}


def _findings(told: dict[str, list[Told]]) -> Iterator[str]:
    """Findings stand where the last event led them, for the reason and until the day that it names."""
    rows = {row.event_object: row for row in FindingRecord.objects.order_by("pk").iterator(chunk_size=200)}
    for name in sorted({*rows, *told}):
        row, entries = rows.get(name), told.get(name, [])
        if row is None or not entries:
            yield f"{name}: {'no event tells of it' if row else 'events tell of it, and it is gone'}"
            continue
        event, payload = entries[-1]
        if row.state != _LEADS_TO[event.action]:
            yield f"{name}: is {row.state}, event {event.seq} says {_LEADS_TO[event.action]}"
        says = {"said": row.rationale, "until": row.accepted_until.isoformat() if row.accepted_until else None}
        if row.stands in SETTLED:
            yield from _compared(name, says, event, payload)


#: Each names the severity that a finding has after it.
_SEEN = ("finding.opened", "finding.seen_again", "finding.reopened", "finding.rated")
#: After each of these no day is set.
_UNDATED = ("finding.opened", "finding.reopened", "finding.acceptance_expired", "finding.acceptance_revoked")


def _answers(told: dict[str, list[Told]]) -> Iterator[str]:
    """Findings are as grave as they were last seen; owner and day are as they were last answered."""
    accounts = set(get_user_model().objects.values_list("pk", flat=True))
    for row in FindingRecord.objects.order_by("pk").iterator(chunk_size=200):
        for says, event, payload in _last_of(told.get(row.event_object, [])):
            # Of an account that was deleted nothing is left to compare.
            gone = row.owner_id is None and payload.get("account") not in (None, *accounts)
            now = {"severity": row.severity, "account": row.owner_id, "due": row.due.isoformat() if row.due else ""}
            yield from _compared(row.number, {says: now[says]}, event, {} if says == "account" and gone else payload)


def _last_of(entries: list[Told]) -> Iterator[tuple[str, Event, dict[str, Any]]]:
    """What was said last of severity, owner and day; an erased payload leaves open what it said."""
    last: dict[str, tuple[Event, dict[str, Any]]] = {}
    for event, payload in entries:
        if event.action in _SEEN:
            last["severity"] = (event, payload)
        if event.action == "finding.opened":
            last["account"] = (event, {"account": None})
        if event.action in _UNDATED:
            last["due"] = (event, {"due": ""})
        if event.action == "finding.answered":
            last["account"] = (event, {"account": payload.get("account")} if payload else {})
            if "due" in payload or not payload:
                last["due"] = (event, {"due": payload["due"]["to"]} if payload else {})
    yield from ((name, event, payload) for name, (event, payload) in last.items())


def _notes(told: dict[str, list[Told]]) -> Iterator[str]:
    """What was written and attached is what events say, and nothing else is."""
    entries = {payload["note"]: (event, payload) for found in told.values() for event, payload in found if payload}
    known = sum(len(found) for found in told.values())
    count = 0
    for note in FindingNote.objects.select_related("record").order_by("pk").iterator(chunk_size=200):
        count += 1
        if note.pk in entries:
            what = f"{note.record}: note {note.pk}"
            says = {"text": note.text, **({"sha256": note.sha256} if note.sha256 else {})}
            yield from _compared(what, says, *entries[note.pk])
            yield from _by(what, note.written_by, note.written_by_user_id, entries[note.pk][0])
    if count != known:
        yield f"findings: {count} notes are in the register, events tell of {known}"


def _versions(told: dict[str, list[Told]]) -> Iterator[str]:
    """Versions are entered once; what names them is in their event."""
    there: Counter[str] = Counter()
    for kind in (LanguageModelVersion, DataSetVersion, PlanVersion):
        for version in _rows(kind):
            there[version.event_object] += 1
            entries = told.get(version.event_object, [])
            if not entries:
                yield f"{version}: no event tells of it"
                continue
            says = {name: getattr(version, name) for name in NAMED if hasattr(version, name)}
            if not any(not list(_compared("", says, event, payload)) for event, payload in entries):
                yield from _compared(str(version), says, *entries[-1])
    for name, entries in told.items():
        # One more may be of a version that was deleted, or tell of a changed one anew.
        if len(entries) > there[name]:
            yield f"{name}: {len(entries)} events tell of it, the register holds {there[name]}"


def _rows(kind: Any) -> Iterable[Any]:
    found: Iterable[Any] = kind.objects.order_by("pk").iterator(chunk_size=200)
    return found


def _compared(what: str, says: dict[str, Any], event: Event, payload: dict[str, Any]) -> Iterator[str]:
    """Fields that an event names otherwise; what it does not name is not compared."""
    for name, found in says.items():
        if name in payload and payload[name] != found:
            yield f"{what}: {name} is {found!s:.80}, event {event.seq} says {payload[name]!s:.80}"


def _when(what: str, moment: datetime, event: Event) -> Iterator[str]:
    """A row is entered with its event: their times are one, but for a moment."""
    if abs(moment - datetime.fromisoformat(event.ts)) > APART:
        yield f"{what}: of {moment.isoformat()}, event {event.seq} says {event.ts}"


def _by(what: str, person: str, account: int | None, event: Event) -> Iterator[str]:
    if (person, account) != (event.actor, event.actor_user_id):
        yield f"{what}: by {person} (account {account}), event {event.seq} says {event.actor} ({event.actor_user_id})"
