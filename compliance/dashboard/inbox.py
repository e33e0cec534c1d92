"""What waits for somebody in their roles: to decide, to answer, to mend, to read. Each item leads to where it is done.

What a person may not do is not called up: a design of one's own is not theirs to approve, nor a rejection that they
proposed theirs to confirm. The action that is behind the link has the last word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, OuterRef, Q
from django.urls import reverse

from compliance.access.permissions import teams_where
from compliance.dashboard.audited_models import AuditedModel
from compliance.execution.job import JobState
from compliance.governance.finding_states import ANSWERED_IN, FindingState
from compliance.models import (
    FindingRecord,
    PlanDecision,
    PlanDraft,
    Registration,
    RegistrationState,
    Release,
    SystemListing,
    SystemState,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

    from compliance.models.audits import AuditQuerySet

    Somebody = User | AnonymousUser

MOST = 25
"""Of one kind; whoever has more of it begins with these."""
SOON = timedelta(days=60)
"""How long before it ends an acceptance is called up."""
STOPPED = {
    JobState.FAILED: "See why it failed",
    JobState.PAUSED: "See why it paused, and go on with it",
    JobState.CANCELLED: "Go on with it, or leave it",
}


@dataclass(frozen=True, kw_only=True)
class Task:
    """Something that waits for somebody: what to do, of what, since or until when."""

    words: str
    link: str
    subject: str
    detail: str
    due: datetime | None = None
    late: bool = False


def tasks(audits: AuditQuerySet, user: Somebody, *, audited: Sequence[AuditedModel], now: datetime) -> list[Task]:
    """What waits for somebody, the most pressing first: what is late, then what has a day, then the rest by kind.

    Parameters
    ----------
    audits
        Those that they may read. Runs that stopped and models due for validation wait for whoever asked for the audit;
        where nobody with an account did, for everybody.
    audited
        The models that were audited, with the day on which each is due.
    """
    found = [
        *_validations(audits, user, audited=audited, now=now),
        *_findings(user, today=now.date()),
        *_acceptances(user, today=now.date()),
        *_designs(user),
        *_systems(user),
        *_registrations(user),
        *_stopped(audits, user),
        *_released(user, now=now),
    ]
    last = datetime.max.replace(tzinfo=UTC)
    return sorted(found, key=lambda task: (not task.late, task.due or last))


def _theirs(audits: AuditQuerySet, user: Somebody) -> AuditQuerySet:
    return audits.filter(Q(requested_by_user=user.pk) | Q(requested_by_user__isnull=True))


def _validations(
    audits: AuditQuerySet, user: Somebody, *, audited: Sequence[AuditedModel], now: datetime
) -> Iterator[Task]:
    keys = [item.audit_id for item in audited if item.due <= now]
    mine = set(_theirs(audits, user).filter(pk__in=keys).order_by().values_list("pk", flat=True)) if keys else set()
    for item in sorted(audited, key=lambda item: item.due):
        if item.due <= now and item.audit_id in mine:
            yield Task(
                words="Repeat the validation",
                link=item.link,
                subject=item.name,
                detail=f"Tier {item.tier}, last audit {item.audit}",
                due=item.due,
                late=True,
            )


def _stopped(audits: AuditQuerySet, user: Somebody) -> Iterator[Task]:
    rows = _theirs(audits, user).filter(state__in=list(STOPPED)).select_related("plan", "model__language_model")
    for row in rows.order_by("-serial").defer("run_json", "plan__design_json", "model__manifest")[:MOST]:
        yield Task(
            words=STOPPED[JobState(row.state)],
            link=row.get_absolute_url(),
            subject=row.model.language_model.name,
            detail=f"Audit {row.number}, {row.plan.title}",
        )


def _findings(user: Somebody, *, today: date) -> Iterator[Task]:
    """To answer, to validate, to confirm: three sides of one list."""
    records = FindingRecord.objects.for_user(user).dated().select_related("language_model")
    answering = [state.value for state in ANSWERED_IN]
    unowned = _within(user, "answer_findingrecord", Q(owner__isnull=True))
    mine = Q(owner=user.pk) | (unowned if unowned is not None else Q(pk__in=()))
    for row in records.filter(mine, state__in=answering).order_by("-severity_rank", "serial")[:MOST]:
        yield _finding(f"Answer {row.number}", row, today=today)
    deciding = _within(user, "validate_findingrecord", ~Q(owner=user.pk) | Q(owner__isnull=True))
    if deciding is None:
        return
    ready = records.filter(deciding, state=FindingState.READY_FOR_VALIDATION.value)
    for row in ready.order_by("-severity_rank", "serial")[:MOST]:
        yield _finding(f"Decide on the fix of {row.number}", row, today=today)
    second = ~Q(rejection_by="") & (Q(rejection_by_user__isnull=True) | ~Q(rejection_by_user=user.pk))
    for row in records.filter(deciding, second).order_by("serial")[:MOST]:
        yield _finding(f"Confirm or leave the rejection of {row.number}", row, today=today)


def _finding(words: str, row: Any, *, today: date) -> Task:
    due: date | None = row.due_by
    return Task(
        words=words,
        link=row.get_absolute_url(),
        subject=row.language_model.name,
        detail=f"{row.title}; {row.severity}, {row.stands.label.lower()}",
        due=_moment(due),
        late=due is not None and due < today,
    )


def _acceptances(user: Somebody, *, today: date) -> Iterator[Task]:
    within = _within(user, "accept_findingrecord", Q(accepted_until__lte=today + SOON))
    if within is None:
        return
    rows = FindingRecord.objects.for_user(user).filter(within, state=FindingState.RISK_ACCEPTED.value)
    for row in rows.select_related("language_model").order_by("accepted_until")[:MOST]:
        yield Task(
            words=f"The acceptance of {row.number} ends",
            link=row.get_absolute_url(),
            subject=row.language_model.name,
            detail=row.title,
            due=_moment(row.accepted_until),
        )


def _designs(user: Somebody) -> Iterator[Task]:
    """Designs that came from a draft. What a command registered was asked for by nobody who waits."""
    within = _within(user, "approve_planversion", Q(plan__isnull=False))
    if within is None:
        return
    decided = Exists(PlanDecision.objects.filter(plan=OuterRef("plan")))
    name = user.get_username()
    rows = PlanDraft.objects.for_user(user).filter(within).exclude(Q(begun_by=name) | Q(changed_by=name))
    waiting = rows.filter(~decided).order_by("changed_at").defer("text", "origin_text", "agreed")[:MOST]
    for row in {row.plan_id: row for row in waiting}.values():
        yield Task(
            words="Decide on a design",
            link=reverse("plan", args=[row.plan_id]),
            subject=row.name,
            detail=f"registered by {row.changed_by}",
        )


def _systems(user: Somebody) -> Iterator[Task]:
    within = _within(user, "approve_systemlisting", Q(state=SystemState.PROPOSED))
    if within is None:
        return
    rows = SystemListing.objects.for_user(user).filter(within).exclude(proposed_by_user=user.pk)
    for row in rows.defer("text").order_by("proposed_at")[:MOST]:
        yield Task(
            words="Decide on a system",
            link=row.get_absolute_url(),
            subject=row.source,
            detail=f"proposed by {row.proposed_by}",
        )


def _registrations(user: Somebody) -> Iterator[Task]:
    rows = Registration.objects.for_user(user).filter(
        state__in=(RegistrationState.FAILED, RegistrationState.MAPPING), requested_by_user=user.pk
    )
    for row in rows.order_by("-created_at").defer("mapping", "look")[:MOST]:
        failed = row.state == RegistrationState.FAILED
        yield Task(
            words="See why it was not registered" if failed else "Say what the columns mean",
            link=reverse("registration", args=[row.public_id]),
            subject=row.name,
            detail=row.error.splitlines()[0][:200] if failed and row.error else row.source,
        )


def _released(user: Somebody, *, now: datetime) -> Iterator[Task]:
    if not user.is_authenticated:
        return
    rows = Release.objects.current().filter(reader=user.pk).select_related("audit__plan")
    for row in rows.order_by("expires_at").defer("audit__run_json", "audit__plan__design_json")[:MOST]:
        yield Task(
            words="Read what was released to you",
            link=row.audit.get_absolute_url(),
            subject=row.audit.number,
            detail=f"{row.audit.plan.title}; released by {row.released_by}: {row.reason}",
            due=row.expires_at,
        )


def _within(user: Somebody, permission: str, also: Q) -> Q | None:
    """``also``, narrowed to the teams in which somebody holds a permission; ``None`` where they hold it nowhere."""
    teams: Iterable[int] | None = teams_where(user, permission)
    if teams is None:
        return also
    return also & Q(team__in=teams) if teams else None


def _moment(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), tzinfo=UTC) if day is not None else None
