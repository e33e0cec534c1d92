"""What waits for somebody in their roles: to decide, to answer, to mend, to read. Each item leads to where it is done.

What a person may not do is not called up: a design of one's own is not theirs to approve, nor a rejection that they
proposed theirs to confirm. The action that is behind the link has the last word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, OuterRef, Q, Subquery
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from compliance.access.permissions import teams_where
from compliance.actions.approvals import APPROVE
from compliance.actions.retests import without_retest
from compliance.actions.schedules import RUN
from compliance.dashboard.audited_models import AuditedModel
from compliance.dates import day_said
from compliance.execution.job import JobState
from compliance.governance.finding_states import ANSWERED_IN, FindingState
from compliance.governance.revalidation import SOON_DAYS
from compliance.models import (
    AuditSchedule,
    DesignState,
    FindingRecord,
    PlanDecision,
    PlanDraft,
    Registration,
    RegistrationState,
    Release,
    ScheduleState,
    SystemListing,
    SystemState,
    VersionDecision,
    VersionState,
)
from compliance.templatetags.plumbline import in_sentence
from compliance.words import translated

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

    from compliance.models.audits import AuditQuerySet

    Somebody = User | AnonymousUser

MOST = 25
"""Of one kind; whoever has more of it begins with these."""
SOON = timedelta(days=SOON_DAYS)
"""How long before it ends an acceptance is called up, and a validation before it is due."""
STOPPED = {
    JobState.FAILED: gettext_noop("See why it failed"),
    JobState.PAUSED: gettext_noop("See why it paused, and go on with it"),
    JobState.CANCELLED: gettext_noop("Go on with it, or leave it"),
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
        Those that they may read. Runs that stopped wait for whoever asked for the audit, and may still run audits of
        its team; where nobody with an account did, for everybody who may.
    audited
        The models that have a standing, with the day on which each is due. They wait for whoever may run audits.
    """
    found = [
        *_validations(user, audited=audited, now=now),
        *_held(user),
        *_findings(user, today=now.date()),
        *_retests(user, today=now.date()),
        *_acceptances(user, today=now.date()),
        *_designs(user),
        *_returned_designs(user),
        *_versions(user),
        *_systems(user),
        *_registrations(user),
        *_stopped(audits, user),
        *_released(user, now=now),
    ]
    last = datetime.max.replace(tzinfo=UTC)
    return sorted(found, key=lambda task: (not task.late, task.due or last))


def _theirs(audits: AuditQuerySet, user: Somebody) -> AuditQuerySet:
    return audits.filter(Q(requested_by_user=user.pk) | Q(requested_by_user__isnull=True))


def _validations(user: Somebody, *, audited: Sequence[AuditedModel], now: datetime) -> Iterator[Task]:
    """Models that are due, and those that soon will be and for which nothing is scheduled by then."""
    teams = teams_where(user, RUN)
    mine = [
        item
        for item in audited
        if item.due is not None and item.due <= now + SOON and (teams is None or item.team_id in teams)
    ]
    keys = [item.language_model for item in mine]
    scheduled: dict[int, date] = {}
    if keys:
        rows = AuditSchedule.objects.filter(state=ScheduleState.ACTIVE, language_model__in=keys).order_by("-next_on")
        scheduled = dict(rows.values_list("language_model", "next_on"))
    for item in sorted(mine, key=lambda item: item.due or now)[:MOST]:
        late, day = item.due is not None and item.due <= now, scheduled.get(item.language_model)
        if not late and day is not None and item.due is not None and day <= item.due.date():
            continue
        yield Task(
            words=_("Repeat the validation") if late else _("Plan the next validation"),
            link=item.link,
            subject=item.name,
            detail=_validation(item, day),
            due=item.due,
            late=late,
        )


def _validation(item: AuditedModel, day: date | None) -> str:
    said = _("Tier {tier}, stands on {audit}")
    if day is not None:
        said = _("Tier {tier}, stands on {audit}; scheduled for {day}")
    audit = item.basis.audit if item.basis else _("nothing")
    return said.format(tier=item.tier, audit=audit, day=day_said(day) if day is not None else "")


def _held(user: Somebody) -> Iterator[Task]:
    """Schedules that were due and could not start."""
    within = _within(user, RUN, Q(state=ScheduleState.HELD))
    if within is None:
        return
    rows = AuditSchedule.objects.for_user(user).filter(within).select_related("language_model")
    for row in rows.order_by("next_on", "pk")[:MOST]:
        yield Task(
            words=_("See why a scheduled audit could not start"),
            link=row.get_absolute_url(),
            subject=row.language_model.name,
            detail=row.problem,
            due=_moment(row.next_on),
            late=True,
        )


def _stopped(audits: AuditQuerySet, user: Somebody) -> Iterator[Task]:
    within = _within(user, RUN, Q(state__in=list(STOPPED)))
    if within is None:
        return
    rows = _theirs(audits, user).filter(within).select_related("plan", "model__language_model")
    for row in rows.order_by("-serial").defer("run_json", "plan__design_json", "model__manifest")[:MOST]:
        yield Task(
            words=_(STOPPED[JobState(row.state)]),
            link=row.get_absolute_url(),
            subject=row.model.language_model.name,
            detail=_("Audit {number}, {plan}").format(number=row.number, plan=row.plan.title),
        )


def _findings(user: Somebody, *, today: date) -> Iterator[Task]:
    """To answer, to validate, to confirm: three sides of one list."""
    records = FindingRecord.objects.for_user(user).dated().select_related("language_model")
    answering = [state.value for state in ANSWERED_IN]
    unowned = _within(user, "answer_findingrecord", Q(owner__isnull=True))
    mine = Q(owner=user.pk) | (unowned if unowned is not None else Q(pk__in=()))
    for row in records.filter(mine, state__in=answering).order_by("-severity_rank", "serial")[:MOST]:
        yield _finding(_("Answer {number}"), row, today=today)
    deciding = _within(user, "validate_findingrecord", ~Q(owner=user.pk) | Q(owner__isnull=True))
    if deciding is None:
        return
    ready = records.filter(deciding, state=FindingState.READY_FOR_VALIDATION.value)
    for row in ready.order_by("-severity_rank", "serial")[:MOST]:
        yield _finding(_("Decide on the fix of {number}"), row, today=today)
    second = ~Q(rejection_by="") & (Q(rejection_by_user__isnull=True) | ~Q(rejection_by_user=user.pk))
    for row in records.filter(deciding, second).order_by("serial")[:MOST]:
        yield _finding(_("Confirm or leave the rejection of {number}"), row, today=today)


def _retests(user: Somebody, *, today: date) -> Iterator[Task]:
    """Findings that are handed over and that nothing retests: they wait for whoever may run audits, not for owners."""
    within = _within(user, RUN, Q(state=FindingState.READY_FOR_VALIDATION.value))
    if within is None:
        return
    records = FindingRecord.objects.for_user(user).dated().filter(within).select_related("language_model")
    for row in without_retest(records).order_by("-severity_rank", "serial")[:MOST]:
        yield _finding(_("Retest {number}"), row, today=today)


def _finding(words: str, row: Any, *, today: date) -> Task:
    due: date | None = row.due_by
    return Task(
        words=words.format(number=row.number),
        link=row.get_absolute_url(),
        subject=row.language_model.name,
        detail=f"{row.title}; {translated(row.severity)}, {in_sentence(row.stands.label)}",
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
            words=_("The acceptance of {number} ends").format(number=row.number),
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
    name = user.get_username()
    rows = PlanDraft.objects.for_user(user).filter(within).exclude(Q(begun_by=name) | Q(changed_by=name))
    waiting = rows.alias(stands=_stands()).filter(Q(stands=None) | Q(stands=DesignState.PROPOSED))
    waiting = waiting.order_by("changed_at").defer("text", "origin_text", "agreed")[:MOST]
    for row in {row.plan_id: row for row in waiting}.values():
        yield Task(
            words=_("Decide on a design"),
            link=reverse("plan", args=[row.plan_id]),
            subject=row.name,
            detail=_("registered by {who}").format(who=row.changed_by),
        )


def _returned_designs(user: Somebody) -> Iterator[Task]:
    """Designs that came back to whoever wrote them, until a copy is registered or they are submitted again."""
    if not user.is_authenticated:
        return
    name = user.get_username()
    rows = PlanDraft.objects.for_user(user).filter(Q(begun_by=name) | Q(changed_by=name), plan__isnull=False)
    corrected = Exists(PlanDraft.objects.filter(copy_of=OuterRef("plan"), plan__isnull=False))
    back = rows.alias(stands=_stands()).filter(~corrected, stands=DesignState.RETURNED)
    for row in back.order_by("changed_at").defer("text", "origin_text", "agreed")[:MOST]:
        yield Task(
            words=_("Returned to you: correct a design, or answer the comments"),
            link=reverse("plan", args=[row.plan_id]),
            subject=row.name,
            detail=_("returned with comments"),
        )


def _stands() -> Subquery:
    """Where the design of a draft stands; nothing while nobody decided."""
    return Subquery(PlanDecision.objects.filter(plan=OuterRef("plan")).order_by("-pk").values("state")[:1])


def _versions(user: Somebody) -> Iterator[Task]:
    """Versions to decide on, and those that came back to whoever proposed them."""
    rows = VersionDecision.objects.for_user(user).newest().select_related("version__language_model")
    rows = rows.defer("version__manifest").order_by("pk")
    teams = _within(user, APPROVE, Q(state=VersionState.PROPOSED), team="version__language_model__team")
    if teams is not None:
        for row in rows.filter(teams).exclude(decided_by_user=user.pk)[:MOST]:
            yield _version(_("Decide on a version of a model"), row, _("proposed by {who}").format(who=row.decided_by))
    proposed = VersionDecision.objects.filter(version=OuterRef("version"), state=VersionState.PROPOSED)
    mine = Subquery(proposed.order_by("-pk").values("decided_by_user")[:1])
    for row in rows.alias(proposer=mine).filter(proposer=user.pk, state=VersionState.RETURNED)[:MOST]:
        yield _version(_("Returned to you: a version of a model"), row, f"{row.decided_by}: {row.reason}"[:200])


def _version(words: str, row: VersionDecision, detail: str) -> Task:
    return Task(
        words=words,
        link=reverse("model_approval", args=[row.version_id]),
        subject=row.version.language_model.name,
        detail=detail,
    )


def _systems(user: Somebody) -> Iterator[Task]:
    within = _within(user, "approve_systemlisting", Q(state=SystemState.PROPOSED))
    if within is None:
        return
    rows = SystemListing.objects.for_user(user).filter(within).exclude(proposed_by_user=user.pk)
    for row in rows.defer("text").order_by("proposed_at")[:MOST]:
        yield Task(
            words=_("Decide on a system"),
            link=row.get_absolute_url(),
            subject=row.source,
            detail=_("proposed by {who}").format(who=row.proposed_by),
        )


def _registrations(user: Somebody) -> Iterator[Task]:
    rows = Registration.objects.for_user(user).filter(
        state__in=(RegistrationState.FAILED, RegistrationState.MAPPING), requested_by_user=user.pk
    )
    for row in rows.order_by("-created_at").defer("mapping", "look")[:MOST]:
        failed = row.state == RegistrationState.FAILED
        yield Task(
            words=_("See why it was not registered") if failed else _("Say what the columns mean"),
            link=reverse("registration", args=[row.public_id]),
            subject=row.name,
            detail=row.error.splitlines()[0][:200] if failed and row.error else row.source,
        )


def _released(user: Somebody, *, now: datetime) -> Iterator[Task]:
    if not user.is_authenticated:
        return
    rows = Release.objects.current().read_by(user).select_related("audit__plan")
    for row in rows.order_by("expires_at").defer("audit__run_json", "audit__plan__design_json")[:MOST]:
        yield Task(
            words=_("Read what was released to you"),
            link=row.audit.get_absolute_url(),
            subject=row.audit.number,
            detail=_("{title}; released by {who}: {reason}").format(
                title=row.audit.plan.title, who=row.released_by, reason=row.reason
            ),
            due=row.expires_at,
        )


def _within(user: Somebody, permission: str, also: Q, *, team: str = "team") -> Q | None:
    """``also``, narrowed to the teams in which somebody holds a permission; ``None`` where they hold it nowhere."""
    teams: Iterable[int] | None = teams_where(user, permission)
    if teams is None:
        return also
    return also & Q(**{f"{team}__in": teams}) if teams else None


def _moment(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), tzinfo=UTC) if day is not None else None
