"""What is entered of a step that reported no progress for too long, by whoever then ends the process that is at it.

A chunk is counted and freed, or fails. What is no chunk was counted when it was begun: it is freed, so that the next
worker need not wait until its claim counts as lost, and the reason is noted for whoever gives it up.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import F

from compliance.database.patience import patiently
from compliance.execution.job import WORKABLE
from compliance.execution.ledger import MAX_STALLED
from compliance.execution.steps import Step
from compliance.models import Audit, AuditChunk, ChunkState, Registration, RegistrationState

STALL_SECONDS = 60.0  # for a busy database, before a process that is stuck is ended uncounted


def enter_stall(kind: str, key: int, step: Step) -> None:
    """Enter that a process reported no progress for too long during a step.

    Parameters
    ----------
    kind, key
        ``audit`` or ``registration``, and the key of its row.
    """
    if step.chunk is not None:
        count_chunk(key, step.chunk, step)
    elif kind == "audit":
        note_audit(key, step)
    else:
        note_registration(key, step)


def count_chunk(audit: int, chunk: int, step: Step) -> None:
    """Free a chunk, or fail it if that happened too often.

    Somebody else may have taken the chunk over meanwhile: it is counted all the same, and whoever completes it first is
    right.
    """
    rows = AuditChunk.objects.filter(audit_id=audit, index=chunk).exclude(state=ChunkState.DONE)
    more = f"; {step.setting} allows more"

    @transaction.atomic
    def count() -> None:
        freed = {"lease_owner": "", "lease_expires_at": None}
        rows.update(stalled=F("stalled") + 1)
        rows.filter(stalled__lt=MAX_STALLED).update(state=ChunkState.QUEUED, error=step.late + more, **freed)
        often = f"{step.late}, {MAX_STALLED} times{more}"
        rows.filter(stalled__gte=MAX_STALLED).update(state=ChunkState.FAILED, error=often, **freed)

    patiently(count, seconds=STALL_SECONDS)


def note_audit(key: int, step: Step) -> None:
    """Say on an audit what took too long; free it, if the claim is still this one's. One that was stopped stays so."""
    rows = Audit.objects.filter(pk=key, state__in=WORKABLE)

    @transaction.atomic
    def note() -> None:
        rows.update(error=noted(step))
        if step.claim_token:
            rows.filter(claim_token=step.claim_token).update(claim_token="")

    patiently(note, seconds=STALL_SECONDS)


def note_registration(key: int, step: Step) -> None:
    """The same of a registration."""
    rows = Registration.objects.filter(pk=key, state=RegistrationState.REGISTERING, claim_token=step.claim_token)
    patiently(lambda: rows.update(error=noted(step), claim_token=""), seconds=STALL_SECONDS)


def noted(step: Step) -> str:
    """What is said of a step that is none of a chunk."""
    return f"{step.what} {step.late}; {step.setting} allows more"
