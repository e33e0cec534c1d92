"""What the event log answers for: rows and files as they were when an event told of them, compared with what is there.

Triggers refuse changes to evidence, and whoever owns the database can drop them. The chain cannot be changed without a
trace that its head shows, so each event that ends a piece of work carries the hashes of the rows it tells of.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from django.forms.models import model_to_dict

from auditor.canonical import sha256_bytes, sha256_file, sha256_json
from compliance.execution.job import JobState
from compliance.governance.told import decisions
from compliance.models import Audit, Event, FindingRow, MeasurementRow

UNHASHED = frozenset({"id", "audit"})
ONCE = frozenset({"audit.requested", "audit.started", "audit.finished"})
#: Where an audit may stand while this is the last that was told of its job.
LEADS_TO = {
    "audit.requested": {JobState.REQUESTED},
    "audit.started": {JobState.QUEUED},
    "audit.running": {JobState.RUNNING},
    # One whose process ended without a word is gone on with where it stands.
    "audit.resumed": {JobState.REQUESTED, JobState.QUEUED, JobState.RUNNING},
    "audit.stop_requested": {JobState.CANCELLING, JobState.CANCELLED},
    "audit.stopped": {JobState.CANCELLED},
    "audit.force_stopped": {JobState.CANCELLED},
    "audit.paused": {JobState.PAUSED},
    "audit.failed": {JobState.FAILED},
    "audit.finished": {JobState.DONE},
}


def attested(audit: Audit) -> dict[str, str]:
    """SHA-256 of everything that a finished audit consists of, by what it is.

    Rows are read back from the database, so that what is hashed is what will be found there.
    """
    return {
        "record": sha256_json(_record(audit)),
        "chunks": _chunks(audit),
        "measurements": sha256_json(
            [_row(row) for row in MeasurementRow.objects.filter(audit=audit).order_by("position")]
        ),
        "findings": sha256_json([_row(row) for row in FindingRow.objects.filter(audit=audit).order_by("position")]),
    }


def problems(*, folder: Path) -> Iterator[str]:
    """Everything in the register that the event log contradicts, in the log's order.

    Parameters
    ----------
    folder
        The data folder; published files are below ``audits``.
    """
    audits = {audit.number: audit for audit in Audit.objects.select_related("plan", "model", "data", "team")}
    told: set[str] = set()
    once: set[tuple[str, str]] = set()
    stands: dict[str, Event] = {}
    finished: dict[str, Mapping[str, Any] | None] = {}
    for event in Event.objects.filter(action__startswith="audit.").order_by("seq").select_related("payload"):
        told.add(event.object)
        audit = audits.get(event.object)
        if audit is None:
            yield f"event {event.seq} tells of {event.object}, which is not in the register"
            continue
        if event.team_id is not None and event.team_id != audit.team_id:
            yield f"{audit}: belongs to another team than event {event.seq} says"
        payload = _payload(event)
        if event.action in ONCE and (event.object, event.action) in once:
            # What stands in the register could have been changed, and told anew at the end of a chain that is whole.
            yield f"{audit}: event {event.seq} tells once more what is told once ({event.action})"
            continue
        once.add((event.object, event.action))
        if event.action in LEADS_TO:
            stands[event.object] = event
        if event.action in ("audit.requested", "audit.started"):
            yield from _as_asked(audit, event, payload or {})
        if event.action == "audit.finished":
            finished[audit.number] = payload
    for number, audit in sorted(audits.items()):
        if number not in told:
            yield f"{number}: no event tells of it"
        yield from _as_it_stands(audit)
        yield from _as_it_went(audit, finished=number in finished, last=stands.get(number))
        results = finished.get(number)
        if results is not None:
            yield from _as_finished(audit, results, folder)
        elif audit.files or MeasurementRow.objects.filter(audit=audit).exists():
            yield f"{number}: has results, and no readable event says that it was finished"
    yield from decisions()


def erasures() -> list[int]:
    """Numbers of the events whose payload was erased."""
    return list(Event.objects.filter(payload__isnull=True).order_by("seq").values_list("seq", flat=True))


def _as_it_stands(audit: Audit) -> Iterator[str]:
    """Texts against the hashes beside them."""
    if audit.run_json and sha256_bytes(audit.run_json.encode()) != audit.run_sha256:
        yield f"{audit.number}: the frozen run is not the one its SHA-256 names"
    if sha256_bytes(audit.plan.design_json.encode()) != audit.plan.design_sha256:
        yield f"{audit.number}: the design is not the one its SHA-256 names"


def _as_it_went(audit: Audit, *, finished: bool, last: Event | None) -> Iterator[str]:
    """The state of its job against what was told of it."""
    state = JobState(audit.state).label.lower()
    if finished != audit.complete:
        said = "finished" if finished else "not finished"
        yield f"{audit}: is {state} in the register, and {said} in the event log"
    elif last is not None and audit.state not in LEADS_TO[last.action]:
        yield f"{audit}: is {state} in the register, event {last.seq} says {last.action}"


def _as_asked(audit: Audit, event: Event, payload: Mapping[str, Any]) -> Iterator[str]:
    expected = {
        "run_sha256": audit.run_sha256,
        "design_sha256": audit.plan.design_sha256,
        "model_sha256": audit.model.sha256,
        "data_fingerprint": audit.data.fingerprint,
        "governed": audit.governed,
        "command": audit.command,
    }
    for key, found in expected.items():
        if key in payload and payload[key] != found:
            yield f"{audit}: {key.replace('_', ' ')} is {found!s:.80}, event {event.seq} says {payload[key]!s:.80}"
    # The worker that freezes a run is not who asked for it.
    asked = event.action == "audit.requested" or "design_sha256" in payload
    if asked and event.actor != audit.requested_by:
        yield f"{audit}: requested by {audit.requested_by}, event {event.seq} says {event.actor}"
    if asked and event.actor_user_id != audit.requested_by_user_id:
        yield (
            f"{audit}: requested by account {audit.requested_by_user_id}, event {event.seq} says {event.actor_user_id}"
        )


def _as_finished(audit: Audit, payload: Mapping[str, Any], folder: Path) -> Iterator[str]:
    if audit.files != payload.get("files"):
        yield f"{audit}: the hashes of its files are not those of the event that finished it"
    for name, sha256 in sorted(dict(payload.get("files", {})).items()):
        path = folder / "audits" / audit.number / name
        if not path.is_file():
            yield f"{audit}: {name} is missing"
        elif (found := sha256_file(path)) != sha256:
            yield f"{audit}: {name} has SHA-256 {found}, the event that finished it says {sha256}"
    rows = payload.get("rows")
    if rows is None:
        # Entered by a version that hashed files only: what can still be compared is how many there are.
        if MeasurementRow.objects.filter(audit=audit).count() != payload.get("measurements"):
            yield f"{audit}: has another number of measurements than the event that finished it says"
        return
    now = attested(audit)
    for name, sha256 in sorted(dict(rows).items()):
        if now.get(name) != sha256:
            yield f"{audit}: its {name} are not those of the event that finished it"


def _record(audit: Audit) -> dict[str, Any]:
    """What the register says of an audit and a report repeats."""
    decision = audit.design_decision
    return {
        "number": audit.number,
        "team": audit.team_id,
        "design": audit.plan.design_sha256,
        "plan": {"name": audit.plan.name, "title": audit.plan.title},
        "model": {"source": audit.model.source, "sha256": audit.model.sha256},
        "data": audit.data.fingerprint,
        "run": sha256_bytes(audit.run_json.encode()),
        "governed": audit.governed,
        "approval": None
        if decision is None
        else {
            "state": decision.state,
            "by": decision.decided_by,
            "user": decision.decided_by_user_id,
            "at": decision.decided_at.isoformat(),
            "reason": decision.reason,
        },
        "requested_by": audit.requested_by,
        "command": audit.command,
        "started_at": audit.started_at.isoformat() if audit.started_at else None,
        "finished_at": audit.finished_at.isoformat() if audit.finished_at else None,
        "prompts": audit.prompts,
    }


def _chunks(audit: Audit) -> str:
    digest = hashlib.sha256()
    for index, kind, payload, result in (
        audit.chunks.order_by("index").values_list("index", "kind", "payload", "result").iterator(chunk_size=50)
    ):
        parts = (str(index).encode(), kind.encode(), bytes(payload), bytes(result or b""))
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _row(row: MeasurementRow | FindingRow) -> dict[str, Any]:
    return {name: value for name, value in model_to_dict(row).items() if name not in UNHASHED}


def _payload(event: Event) -> dict[str, Any] | None:
    payload = getattr(event, "payload", None)
    return None if payload is None else dict(json.loads(payload.data_json))
