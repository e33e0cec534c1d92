"""What can be done to an audit's job. compliance/execution/job.py draws which state leads where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from auditor.canonical import sha256_bytes
from auditor.decision_sources import is_decision_file
from auditor.ledger import Chunk
from auditor.records import Finding, Measurement
from auditor.run_record import RunRecord
from compliance.access import permissions as access
from compliance.actions.plans import newest_decision
from compliance.actions.sightings import record_findings
from compliance.exceptions import StateError
from compliance.execution.dispatch import enqueue_audit
from compliance.execution.job import ACTIVE, RESUMABLE, WAITING, JobState
from compliance.execution.ledger import DatabaseLedger
from compliance.governance.attestation import attested
from compliance.governance.events import Actor, append_event, lock_chain
from compliance.models import (
    Audit,
    AuditChunk,
    ChunkState,
    DataSetVersion,
    DesignState,
    FindingRow,
    LanguageModelVersion,
    MeasurementRow,
    PlanVersion,
    Priority,
    Team,
)
from compliance.sentences import in_sentence, one_of

ROWS_AT_ONCE = 500


@transaction.atomic
def start_ungoverned_audit(
    *,
    run: RunRecord,
    chunks: Iterable[Chunk],
    prompts: int,
    tokens: int,
    model: LanguageModelVersion,
    data: DataSetVersion,
    plan: PlanVersion,
    actor: Actor,
    command: str,
) -> Audit:
    """Start a run that nobody approved, or go on with the newest unfinished one that is frozen to the same bytes.

    Parameters
    ----------
    run, chunks, prompts, tokens
        As ``auditor.conductor.prepare`` froze them.
    command
        What was typed; the report prints it.

    Returns
    -------
    Audit
        Queued, or still running if its last process ended without a word.

    Raises
    ------
    StateError
        If plan, model and data are not of one team, whose the audit will be.
    """
    if {model.team_id, data.team_id} != {plan.team_id}:
        raise StateError(
            _("{name}: model and data belong to another team; expected those of {team}").format(
                name=plan.name, team=plan.team
            )
        )
    run_json = run.to_bytes()
    run_sha256 = sha256_bytes(run_json)
    # The lock makes "look for one, else create" one step: two command lines started at once meet in one audit, and
    # numbers have no gaps.
    lock_chain()
    known = Audit.objects.unfinished().filter(team=plan.team, run_sha256=run_sha256, governed=False, queue="")
    found = known.order_by("-serial").first()
    if found is not None:
        _resume(found, actor=actor)
        return found
    audit = Audit.objects.create(
        team=plan.team,
        serial=_next_serial(),
        plan=plan,
        model=model,
        data=data,
        run_json=run_json.decode(),
        run_sha256=run_sha256,
        governed=False,
        requested_by=actor.name,
        requested_by_user=actor.user,
        command=command,
        prompts=prompts,
        tokens=tokens,
    )
    DatabaseLedger(audit).freeze(run, chunks)
    payload = {
        "run_sha256": run_sha256,
        "design_sha256": plan.design_sha256,
        "model_sha256": model.sha256,
        "data_fingerprint": data.fingerprint,
        "governed": False,
        "prompts": prompts,
        "command": command,
    }
    append_event(actor=actor, team=audit.team, action="audit.started", object=audit.number, payload=payload)
    return audit


@transaction.atomic
def request_audit(
    *,
    plan: PlanVersion,
    model: LanguageModelVersion,
    data: DataSetVersion,
    queue: str,
    priority: int = Priority.NORMAL,
    request_key: str,
    actor: Actor,
) -> Audit:
    """Ask for an audit; a worker prepares, freezes and runs it.

    Parameters
    ----------
    queue
        Where it is enqueued.
    request_key
        Names the request: whoever sends the same one again, in two clicks or ten, gets the audit of the first.

    Raises
    ------
    PermissionDenied
        Without the permission to run audits.
    StateError
        If plan, model and data belong to different teams.
    """
    _allow(actor, "run_audit", plan.team)
    if not plan.team_id == model.team_id == data.team_id:
        raise StateError(
            _("{plan}: model and data belong to another team; expected all three to belong to one").format(plan=plan)
        )
    if is_decision_file(model.source) and model.sha256 != data.fingerprint:
        raise StateError(
            _("{model}: is audited by its own decisions; expected the data set it was registered from").format(
                model=model
            )
        )
    # The lock makes "look for one, else create" one step: two clicks at once meet in one audit, without a gap.
    lock_chain()
    found = Audit.objects.filter(request_key=request_key).first()
    if found is not None:
        return found
    # Governed: a second person approved the design before, and a person with an account asks for the run.
    decision = newest_decision(plan)
    approved = decision is not None and decision.state == DesignState.APPROVED and actor.user is not None
    audit = Audit.objects.create(
        team=plan.team,
        serial=_next_serial(),
        plan=plan,
        model=model,
        data=data,
        governed=approved,
        design_decision=decision if approved else None,
        state=JobState.REQUESTED,
        requested_by=actor.name,
        requested_by_user=actor.user,
        request_key=request_key,
        queue=queue,
        priority=priority,
    )
    payload = {
        "design_sha256": plan.design_sha256,
        "model_sha256": model.sha256,
        "data_fingerprint": data.fingerprint,
        "governed": approved,
        "design_approved_by": decision.decided_by if decision and approved else "",
        "queue": queue,
        "priority": int(priority),
    }
    append_event(actor=actor, team=audit.team, action="audit.requested", object=audit.number, payload=payload)
    enqueue_audit(audit)
    return audit


@transaction.atomic
def freeze_audit(
    *,
    audit: Audit,
    run: RunRecord,
    chunks: Iterable[Chunk],
    prompts: int,
    tokens: int,
    actor: Actor,
    claim_token: str | None = None,
) -> None:
    """Freeze a requested audit to its run; parameters as ``auditor.conductor.prepare`` gave them.

    Parameters
    ----------
    claim_token
        The worker's claim token; refused if another one has it by now.

    Raises
    ------
    StateError
        If it was stopped in the meantime, or somebody else froze it.
    """
    run_json = run.to_bytes()
    frozen: dict[str, Any] = {"run_json": run_json.decode(), "run_sha256": sha256_bytes(run_json)}
    frozen |= {"prompts": prompts, "tokens": tokens}
    held = {} if claim_token is None else {"claim_token": claim_token}
    _move(audit, JobState.QUEUED, held=held, **frozen, claim_token="", attempts=0, error="")
    DatabaseLedger(audit).freeze(run, chunks)
    payload = {"run_sha256": audit.run_sha256, "prompts": prompts, "chunks": audit.chunks.count()}
    append_event(actor=actor, team=audit.team, action="audit.started", object=audit.number, payload=payload)


@transaction.atomic
def retry_audit(*, audit: Audit, queue: str, actor: Actor) -> None:
    """Go on with a stopped, paused or failed audit: the unfinished chunks of the same run.

    Raises
    ------
    PermissionDenied
        Without the permission to run audits.
    StateError
        If it is under way or done.
    """
    _allow(actor, "run_audit", audit.team)
    lock_chain()
    audit.refresh_from_db()
    if not audit.resumable:
        raise StateError(
            _("{audit}: is {state}; expected one that was stopped, paused or failed").format(
                audit=audit, state=in_sentence(audit.get_state_display())
            )
        )
    _resume(audit, actor=actor, queue=queue)
    enqueue_audit(audit)


@transaction.atomic
def force_stop(*, audit: Audit, actor: Actor) -> None:
    """Stop a run whose worker does not heed the request: its chunks are freed, the worker's process is ended.

    Raises
    ------
    PermissionDenied
        Without the permission to stop audits.
    StateError
        If nobody asked it to stop.
    """
    _allow(actor, "cancel_audit", audit.team)
    audit.refresh_from_db(fields=["state"])
    if audit.state != JobState.CANCELLING:
        raise StateError(
            _("{audit}: is {state}; expected one that was asked to stop").format(
                audit=audit, state=in_sentence(audit.get_state_display())
            )
        )
    _move(audit, JobState.CANCELLED, forced=True)
    AuditChunk.objects.filter(audit=audit, state=ChunkState.RUNNING).update(
        state=ChunkState.QUEUED, lease_owner="", lease_expires_at=None, error="stopped by force"
    )
    append_event(
        actor=actor, team=audit.team, action="audit.force_stopped", object=audit.number, payload=_progress(audit)
    )


def _resume(audit: Audit, *, actor: Actor, queue: str = "") -> None:
    before = audit.state
    if before == JobState.CANCELLING:  # its process ended between the request and the stop
        _move(audit, JobState.CANCELLED)
    if audit.resumable:
        to = JobState.QUEUED if audit.frozen else JobState.REQUESTED
        fresh: dict[str, Any] = {"finished_at": None, "stop_requested_at": None, "forced": False}
        _move(audit, to, sources=RESUMABLE, **fresh, error="", claim_token="", attempts=0, queue=audit.queue or queue)
        AuditChunk.objects.filter(audit=audit, state=ChunkState.FAILED).update(state=ChunkState.QUEUED, lost=0)
        AuditChunk.objects.filter(audit=audit, stalled__gt=0).exclude(state=ChunkState.DONE).update(stalled=0)
    payload = {"from": before, "prompts_done": audit.prompts_done}
    append_event(actor=actor, team=audit.team, action="audit.resumed", object=audit.number, payload=payload)


@transaction.atomic
def begin_audit(*, audit: Audit, actor: Actor) -> None:
    """A worker starts on a queued run; harmless if another one has.

    Raises
    ------
    StateError
        If the run was stopped, failed or is done.
    """
    # Two workers may begin the same run; the second finds it running.
    audit.refresh_from_db(fields=["state", "started_at"])
    if audit.state == JobState.RUNNING:
        return
    _move(audit, JobState.RUNNING, started_at=audit.started_at or timezone.now())
    append_event(
        actor=actor,
        team=audit.team,
        action="audit.running",
        object=audit.number,
        payload={"run_sha256": audit.run_sha256},
    )


@transaction.atomic
def stop_audit(*, audit: Audit, reason: str, actor: Actor) -> None:
    """Ask a run to stop. A queued one is stopped at once, a running one at its next batch.

    Raises
    ------
    PermissionDenied
        Without the permission to stop audits.
    StateError
        If it is not under way.
    """
    _allow(actor, "cancel_audit", audit.team)
    while True:
        audit.refresh_from_db(fields=["state"])
        if audit.state == JobState.CANCELLING:
            return
        to, sources = (
            (JobState.CANCELLED, WAITING) if audit.state in WAITING else (JobState.CANCELLING, {JobState.RUNNING})
        )
        try:
            _move(audit, to, sources=sources, stop_requested_at=timezone.now())
            break
        except StateError:
            # Between the look and the move a worker may begin it: then it is asked to stop as a running one is; or
            # somebody else may press the same button: then it is asked to stop already.
            if audit.state not in ACTIVE:
                raise
    append_event(
        actor=actor, team=audit.team, action="audit.stop_requested", object=audit.number, payload={"reason": reason}
    )


@transaction.atomic
def confirm_stopped(*, audit: Audit, actor: Actor) -> None:
    """The worker of a run that was asked to stop has stopped. What it scored is kept.

    Raises
    ------
    StateError
        If nobody asked it to.
    """
    _move(audit, JobState.CANCELLED, sources={JobState.CANCELLING})
    append_event(actor=actor, team=audit.team, action="audit.stopped", object=audit.number, payload=_progress(audit))


@transaction.atomic
def pause_audit(*, audit: Audit, error: str, actor: Actor) -> None:
    """The system that a running audit asks does not answer, refuses, or a cap is reached. What was answered is kept.

    Nothing is wrong with the run: whoever may run audits goes on with it when the system is there again.

    Raises
    ------
    StateError
        If it is not running.
    """
    _move(audit, JobState.PAUSED, error=error)
    payload = {"error": error.splitlines()[0] if error else "", **_progress(audit)}
    append_event(actor=actor, team=audit.team, action="audit.paused", object=audit.number, payload=payload)


@transaction.atomic
def fail_audit(*, audit: Audit, error: str, actor: Actor) -> None:
    """A requested or running audit cannot go on. What it scored is kept.

    Raises
    ------
    StateError
        If it is neither.
    """
    _move(audit, JobState.FAILED, error=error)
    payload = {"error": error.splitlines()[0] if error else "", **_progress(audit)}
    append_event(actor=actor, team=audit.team, action="audit.failed", object=audit.number, payload=payload)


@transaction.atomic
def finish_audit(
    *,
    audit: Audit,
    measurements: Iterable[Measurement],
    findings: Iterable[Finding],
    files: Mapping[str, str],
    finished_at: datetime,
    actor: Actor,
) -> None:
    """Enter what a run says, and the SHA-256 of each published file by its name.

    The findings of a governed audit open records, or are seen again in those that are there.

    Raises
    ------
    StateError
        If the run is not under way or has chunks that are not done.
    """
    left = AuditChunk.objects.filter(audit=audit).exclude(state=ChunkState.DONE).count()
    if left:
        raise StateError(
            _("{audit}: {left} chunks are not scored yet; expected all of them before it is concluded").format(
                audit=audit, left=left
            )
        )
    # Two workers may conclude the same run; only one finds it under way.
    _move(audit, JobState.DONE, files=dict(files), finished_at=finished_at, error="")
    rows = [_measurement(audit, position, item) for position, item in enumerate(measurements)]
    MeasurementRow.objects.bulk_create(rows, batch_size=ROWS_AT_ONCE)
    judged = [_finding(audit, position, item) for position, item in enumerate(findings)]
    FindingRow.objects.bulk_create(judged, batch_size=ROWS_AT_ONCE)
    audit.refresh_from_db()
    payload = {
        "run_sha256": audit.run_sha256,
        "files": dict(files),
        "measurements": len(rows),
        "findings": {row.key: row.severity for row in judged},
        "rows": attested(audit),
    }
    append_event(actor=actor, team=audit.team, action="audit.finished", object=audit.number, payload=payload)
    measured = {row.key: row for row in rows}
    record_findings(audit=audit, findings=judged, measurements=measured, actor=actor)


def _move(
    audit: Audit,
    to: JobState,
    *,
    sources: Iterable[JobState] | None = None,
    held: Mapping[str, Any] = MappingProxyType({}),
    **fields: Any,
) -> None:
    """One conditional UPDATE: whoever comes second finds the state, or what they ``held``, changed and is refused."""
    sources = to.sources if sources is None else frozenset(sources)
    if not Audit.objects.filter(pk=audit.pk, state__in=sources, **held).update(state=to, **fields):
        audit.refresh_from_db(fields=["state"])
        expected = one_of(sorted((source.label for source in sources), key=str), between=", ")
        raise StateError(
            _("{audit}: is {state}; expected one of: {expected}").format(
                audit=audit, state=in_sentence(JobState(audit.state).label), expected=expected
            )
        )
    audit.state = to
    for name, value in fields.items():
        setattr(audit, name, value)


MAY_NOT = {
    "run_audit": gettext_noop("{name}: may not run audits of {team}"),
    "cancel_audit": gettext_noop("{name}: may not cancel audits of {team}"),
}


def _allow(actor: Actor, permission: str, team: Team) -> None:
    """Refuse who may not. Whoever has the command line and the data folder needs no account."""
    if actor.user is not None and not access.may(actor.user, permission, team.pk):
        raise PermissionDenied(_(MAY_NOT[permission]).format(name=actor.name, team=team))


def _next_serial() -> int:
    """The next number, without gaps; the caller holds the chain's lock."""
    return (Audit.objects.aggregate(last=Max("serial"))["last"] or 0) + 1


def _progress(audit: Audit) -> dict[str, int]:
    audit.refresh_from_db(fields=["prompts_done"])
    return {"prompts_done": audit.prompts_done, "prompts": audit.prompts}


def _measurement(audit: Audit, position: int, measurement: Measurement) -> MeasurementRow:
    row = measurement.row()
    return MeasurementRow(audit=audit, position=position, key=row.pop("id"), **row)


def _finding(audit: Audit, position: int, finding: Finding) -> FindingRow:
    row = finding.row()
    return FindingRow(
        audit=audit,
        position=position,
        key=row.pop("id"),
        measurement_keys=list(row.pop("measurements")),
        criteria=list(row.pop("criteria")),
        severity_rank=finding.severity.rank,
        **row,
    )
