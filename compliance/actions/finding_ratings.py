"""What people decide about a finding beside the ways of its states: its severity, and what they take back."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from auditor.records import Severity
from compliance.actions.findings import ACCEPT, VALIDATE, begin, hold, plain_text, tell, unchanged, where
from compliance.actions.sightings import let_go_of_rejection, reopen
from compliance.exceptions import StateError
from compliance.governance.deadlines import allowed_until
from compliance.governance.events import Actor
from compliance.governance.finding_states import FindingState, Guard
from compliance.models import FindingRecord
from compliance.words import translated


@transaction.atomic
def decline_rejection(*, record: FindingRecord, reason: str, revision: int | None = None, actor: Actor) -> None:
    """Leave a proposed rejection: the finding stays open and is answered. Whoever proposed it may take it back so.

    Raises
    ------
    PermissionDenied
        Without an account, or without the permission to reject findings.
    StateError
        If none is proposed, the person answers for it, no reason is given, or it was changed since it was read.
    """
    begin(record, actor, VALIDATE)
    unchanged(record, revision)
    reason = plain_text(record, reason)
    if not record.rejection_by:
        raise StateError(
            _("{record}: has not been proposed for rejection; expected a proposal to decline").format(record=record)
        )
    hold(record, actor, reason, Guard.NOT_THE_OWNER, Guard.RATIONALE)
    payload = {"said": reason, **let_go_of_rejection(record)}
    record.revision += 1
    record.save()
    tell(actor, "finding.rejection_declined", record, payload)


@transaction.atomic
def rate_finding(
    *, record: FindingRecord, severity: str, reason: str, revision: int | None = None, actor: Actor
) -> None:
    """Say that a finding is more or less grave than the audit that saw it says. The audit's own row stays as it is.

    A milder rating takes nothing back: what may be accepted, and by which day it is remedied, still follow from the
    gravest severity at which an audit saw it since it was opened. A graver one allows less time, from this day.

    Raises
    ------
    PermissionDenied
        Without an account, or without the permission to validate findings.
    StateError
        If it is settled, the person answers for it, no reason is given, it is rated so already, the severity is
        unknown, or it was changed since it was read.
    """
    begin(record, actor, VALIDATE)
    unchanged(record, revision)
    reason = plain_text(record, reason)
    if severity not in {level.value for level in Severity}:
        expected = ", ".join(level.value for level in Severity)
        raise StateError(
            _("{record}: {severity} is not a severity; expected one of: {expected}").format(
                record=record, severity=repr(severity[:40]), expected=expected
            )
        )
    if not record.stands.live:
        raise StateError(
            _("{record}: is {state}; expected one that is not settled").format(record=record, state=where(record))
        )
    hold(record, actor, reason, Guard.NOT_THE_OWNER, Guard.RATIONALE)
    if severity == record.severity:
        raise StateError(
            _("{record}: is rated {severity} already; expected another severity").format(
                record=record, severity=translated(severity)
            )
        )
    payload: dict[str, Any] = {"from": record.severity, "severity": severity, "said": reason}
    rank = Severity(severity).rank
    if rank > record.severity_rank:
        # Whoever proposed to reject it did so of less than it is now.
        payload |= let_go_of_rejection(record)
        allowed = allowed_until(severity, seen=timezone.now().date())
        days = [day for day in (record.allowed_until, allowed) if day is not None]
        record.allowed_until = min(days, default=None)
    record.severity, record.severity_rank = severity, rank
    record.revision += 1
    record.save()
    tell(actor, "finding.rated", record, payload)


@transaction.atomic
def end_acceptance(*, record: FindingRecord, reason: str, revision: int | None = None, actor: Actor) -> None:
    """Take back the acceptance of a risk before its day: the finding is open again.

    Raises
    ------
    PermissionDenied
        Without an account, or without the permission to accept risks.
    StateError
        If its risk is not accepted, no reason is given, or it was changed since it was read.
    """
    begin(record, actor, ACCEPT)
    unchanged(record, revision)
    reason = plain_text(record, reason)
    if record.stands is not FindingState.RISK_ACCEPTED or record.accepted_until is None:
        raise StateError(
            _("{record}: is {state}; expected one whose risk is accepted").format(record=record, state=where(record))
        )
    hold(record, actor, reason, Guard.RATIONALE)
    payload = {
        "from": FindingState.RISK_ACCEPTED,
        "to": FindingState.OPEN,
        "accepted_until": record.accepted_until.isoformat(),
        "said": reason,
    }
    reopen(record)
    record.save()
    tell(actor, "finding.acceptance_revoked", record, payload)
