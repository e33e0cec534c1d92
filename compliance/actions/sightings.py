"""What audits see of findings, and what time does to them: the changes that no person makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Q
from django.utils import timezone

from auditor.canonical import sha256_json
from auditor.finding_questions import question_of, settled, speaks_of_the_model
from auditor.records import AS_FILED_CASES, Conclusion
from compliance.execution.job import JobState
from compliance.governance.deadlines import allowed_until
from compliance.governance.events import Actor, append_event, lock_chain
from compliance.governance.finding_states import FindingState, reopens
from compliance.governance.finding_trends import FindingTrend, Seen, trend
from compliance.models import Audit, FindingRecord, FindingRow, MeasurementRow, Sighting

SYSTEM = Actor(name="system", role="system")


def record_findings(
    *, audit: Audit, findings: Sequence[FindingRow], measurements: Mapping[str, MeasurementRow], actor: Actor
) -> None:
    """Enter what a finished audit saw: new findings, and those that are seen again. Part of `finish_audit`.

    Only a governed audit opens findings, and only what it could tell: an ungoverned one leaves drafts, and so does a
    contrast that a run *cannot say* anything of. Its rows stay what they are, the evidence of one audit.
    """
    if not audit.governed:
        return
    seen: set[int] = set()
    for row in findings:
        if not settled(cases=row.cases, conclusion=row.conclusion):
            continue
        lead = measurements.get(row.measurement_keys[0]) if row.measurement_keys else None
        question = _question(row, lead)
        fingerprint = fingerprint_of(audit, question)
        record = FindingRecord.objects.filter(team=audit.team, fingerprint=fingerprint).first()
        if record is not None and record.pk in seen:
            # Worst first: what asks the same and is less grave stands beside it, and tells nothing new.
            Sighting.objects.create(
                record=record, audit=audit, finding=row, measurement=lead, trend=FindingTrend.UNKNOWN
            )
            continue
        if record is None:
            record = _open(audit, row, lead=lead, question=question, fingerprint=fingerprint, actor=actor)
        else:
            _see_again(record, audit, row, lead, actor)
        seen.add(record.pk)


@transaction.atomic
def enter_earlier_findings(*, actor: Actor = SYSTEM) -> int:
    """Open the findings of governed audits that were finished before findings lived on; how many audits there were.

    Called after every ``migrate``; once they are entered there is nothing left to do.
    """
    lock_chain()
    told = Q(conclusion__isnull=True) | ~Q(conclusion=Conclusion.INCONCLUSIVE) | Q(cases=AS_FILED_CASES)
    settled_ones = FindingRow.objects.filter(told, audit=OuterRef("pk"))
    rows = Audit.objects.filter(Exists(settled_ones), governed=True, state=JobState.DONE, sightings__isnull=True)
    audits = list(rows.select_related("team", "plan", "model__language_model").defer("run_json").order_by("serial"))
    for audit in audits:
        measured = {row.key: row for row in MeasurementRow.objects.filter(audit=audit)}
        findings = list(FindingRow.objects.filter(audit=audit).order_by("position"))
        record_findings(audit=audit, findings=findings, measurements=measured, actor=actor)
    return len(audits)


def fingerprint_of(audit: Audit, question: Mapping[str, Any]) -> str:
    """What names an issue: the question, of which model, under which design."""
    return sha256_json(
        {
            "question": dict(question),
            "language_model": audit.model.language_model_id,
            "design_sha256": audit.plan.design_sha256,
        }
    )


@transaction.atomic
def expire_acceptances(*, actor: Actor = SYSTEM) -> int:
    """Open what was accepted until a day that is past; how many there were."""
    lock_chain()
    today = timezone.now().date()
    rows = FindingRecord.objects.filter(state=FindingState.RISK_ACCEPTED, accepted_until__lte=today).order_by("pk")
    return sum(expire(record, actor=actor) for record in rows)


def expire(record: FindingRecord, *, actor: Actor = SYSTEM) -> bool:
    """Open a finding whose acceptance has expired; whether it had. With the event chain locked."""
    today = timezone.now().date()
    due = record.accepted_until
    if record.stands is not FindingState.RISK_ACCEPTED or due is None or due > today:
        return False
    reopen(record)
    record.save()
    payload = {"from": FindingState.RISK_ACCEPTED, "to": FindingState.OPEN, "accepted_until": due.isoformat()}
    append_event(
        actor=actor, action="finding.acceptance_expired", object=record.number, payload=payload, team=record.team
    )
    return True


def let_go_of_rejection(record: FindingRecord) -> dict[str, str]:
    """A proposed rejection is confirmed or passed over by the next move, or by a graver sighting; each is told."""
    if not record.rejection_by:
        return {}
    told = {"rejection_proposed_by": record.rejection_by}
    record.rejection_reason, record.rejection_by, record.rejection_by_user = "", "", None
    return told


def seen_of(row: MeasurementRow | None) -> Seen | None:
    """What of a measurement is compared."""
    return None if row is None else Seen(estimate=row.estimate, low=row.low, high=row.high, unit=row.unit)


def _question(row: FindingRow, lead: MeasurementRow | None) -> dict[str, Any]:
    decides = speaks_of_the_model(cases=row.cases, conclusion=row.conclusion)
    if lead is None:
        return {"question": row.title, "subject": {}, "reference": None}
    return question_of(
        test=lead.test, metric=lead.metric, subject=lead.subject, reference=lead.reference, decides=decides
    )


def _open(
    audit: Audit,
    row: FindingRow,
    *,
    lead: MeasurementRow | None,
    question: dict[str, Any],
    fingerprint: str,
    actor: Actor,
) -> FindingRecord:
    moment = audit.finished_at or timezone.now()
    # The caller holds the chain's lock, so numbers have no gaps.
    record = FindingRecord.objects.create(
        team=audit.team,
        serial=(FindingRecord.objects.aggregate(last=Max("serial"))["last"] or 0) + 1,
        language_model=audit.model.language_model,
        plan=audit.plan,
        fingerprint=fingerprint,
        question=question,
        title=row.title,
        severity=row.severity,
        severity_rank=row.severity_rank,
        opened_in=audit,
        opened_at=moment,
        first_seen=moment,
        last_seen=moment,
        allowed_until=allowed_until(row.severity, seen=moment.date()),
    )
    Sighting.objects.create(record=record, audit=audit, finding=row, measurement=lead, trend=FindingTrend.FIRST)
    payload = {
        "to": FindingState.OPEN,
        "audit": audit.number,
        "finding": row.key,
        "severity": row.severity,
        "fingerprint": fingerprint,
    }
    append_event(actor=actor, action="finding.opened", object=record.number, payload=payload, team=audit.team)
    return record


def _see_again(record: FindingRecord, audit: Audit, row: FindingRow, lead: MeasurementRow | None, actor: Actor) -> None:
    before, moment = record.stands, audit.finished_at or timezone.now()
    found = _trend(record, lead)
    opened = reopens(before, rank=row.severity_rank, settled_rank=record.settled_rank)
    kept = not opened and _rating_stands(record, row)
    graver, dropped = not kept and row.severity_rank > record.severity_rank, {}
    allowed = allowed_until(row.severity, seen=moment.date())
    if opened or record.allowed_until is None:
        record.allowed_until = allowed
    elif graver and allowed is not None:
        # A graver severity allows less time, from the day on which it was first seen at it; a milder one no more.
        record.allowed_until = min(record.allowed_until, allowed)
    record.title = row.title
    if not kept:
        record.severity, record.severity_rank = row.severity, row.severity_rank
    record.last_seen = moment
    if opened:
        reopen(record)
        record.opened_in = audit
    elif graver:
        # Whoever read or proposed something did so of less than it is now.
        dropped = let_go_of_rejection(record)
        record.revision += 1
    record.save()
    Sighting.objects.create(record=record, audit=audit, finding=row, measurement=lead, trend=found, reopened=opened)
    payload: dict[str, Any] = {
        "audit": audit.number,
        "finding": row.key,
        "severity": record.severity,
        **({"seen_at_severity": row.severity} if kept else {}),
        "trend": found,
        **dropped,
        **({"from": before, "to": FindingState.OPEN} if opened else {}),
    }
    action = "finding.reopened" if opened else "finding.seen_again"
    append_event(actor=actor, action=action, object=record.number, payload=payload, team=audit.team)


def reopen(record: FindingRecord) -> None:
    """Back to *open*, as if nobody had answered: who owned it stays, until when it was to be done does not."""
    record.state, record.settled_rank = FindingState.OPEN, None
    record.rationale, record.accepted_until, record.due = "", None, None
    record.opened_at = timezone.now()
    record.revision += 1


def _rating_stands(record: FindingRecord, row: FindingRow) -> bool:
    """Whether what a person rated it goes on: somebody did, and no audit sees it graver than the one before.

    A rating says otherwise than the audit that saw it last; where both say the same there is nothing to keep.
    """
    last = record.sightings.order_by("-pk").values_list("audit", flat=True).first()
    seen = record.sightings.filter(audit=last).order_by("-finding__severity_rank")
    before = seen.values_list("finding__severity", "finding__severity_rank").first()
    if before is None or before[0] == record.severity:
        return False
    return row.severity_rank <= max(before[1], record.severity_rank)


def _trend(record: FindingRecord, lead: MeasurementRow | None) -> FindingTrend:
    """Against what the same measurement was in the audit that saw it last."""
    if lead is None:
        return FindingTrend.UNKNOWN
    last = Sighting.objects.filter(record=record).order_by("-pk").values_list("audit", flat=True).first()
    earlier = MeasurementRow.objects.filter(audit=last, key=lead.key).first()
    return trend(seen_of(earlier), seen_of(lead))
