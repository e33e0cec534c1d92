"""Re-audits that start by themselves: made, paused and ended by people, started and held by the sweep."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from auditor.decision_sources import is_decision_file
from compliance.access import permissions as access
from compliance.actions.audits import request_audit
from compliance.actions.plans import design_state
from compliance.dates import day_said
from compliance.exceptions import StateError
from compliance.governance.events import Actor, append_event, lock_chain
from compliance.governance.revalidation import months_after, next_round, revalidation_months
from compliance.governance.standing import Due, due_dates
from compliance.models import (
    Approval,
    Audit,
    AuditSchedule,
    DataSetVersion,
    DesignState,
    LanguageModel,
    LanguageModelVersion,
    PlanVersion,
    Reminder,
    ScheduleState,
)
from compliance.models.schedules import MOST_MONTHS
from compliance.sentences import in_sentence, one_of

RUN = "run_audit"
SCHEDULER = Actor(name="scheduler", role="system")
#: Where each state may be led by a person. Nobody but the sweep leads to *held*.
TRANSITIONS = {
    ScheduleState.ACTIVE: (ScheduleState.PAUSED, ScheduleState.ENDED),
    ScheduleState.PAUSED: (ScheduleState.ACTIVE, ScheduleState.ENDED),
    ScheduleState.HELD: (ScheduleState.ACTIVE, ScheduleState.ENDED),
    ScheduleState.ENDED: (),
}
EVENTS = {
    ScheduleState.ACTIVE: "schedule.resumed",
    ScheduleState.PAUSED: "schedule.paused",
    ScheduleState.ENDED: "schedule.ended",
}


@transaction.atomic
def make_schedule(
    *,
    plan: PlanVersion,
    language_model: LanguageModel,
    data: DataSetVersion | None,
    every_months: int | None,
    first_on: date | None,
    actor: Actor,
) -> AuditSchedule:
    """Have an approved design run again on the newest version of a model.

    Parameters
    ----------
    data
        The data set; of a file of decisions ``None``, since it is audited by its own.
    every_months
        From 1 to 120; ``None`` for the date of the model's tier.
    first_on
        The first day, not before today; ``None`` for the date of the tier, which is today if it is past.

    Raises
    ------
    PermissionDenied
        Without an account, or without the permission to run audits in that team.
    StateError
        If the three are not of one team, the design is not approved, the model is retired or has no version, the day is
        past, the tier gives none, or this design is scheduled for this model already.
    """
    _may_run(plan.team_id, actor)
    lock_chain()
    language_model.refresh_from_db()
    if {language_model.team_id, *([data.team_id] if data is not None else [])} != {plan.team_id}:
        raise StateError(
            _("{plan}: model and data belong to another team; expected all three to belong to one").format(plan=plan)
        )
    _runnable(plan, language_model)
    _bound(language_model, data)
    today = timezone.now().date()
    if every_months is not None and not 1 <= every_months <= MOST_MONTHS:
        raise StateError(
            _("schedule: every {count} months; expected 1 to {most}").format(count=every_months, most=MOST_MONTHS)
        )
    if first_on is None:
        first_on = _day_of_the_tier(language_model, today)
    if first_on < today:
        raise StateError(
            _("schedule: the first day, {day}, is past; expected today or a day to come").format(day=day_said(first_on))
        )
    there = AuditSchedule.objects.filter(plan=plan, language_model=language_model).exclude(state=ScheduleState.ENDED)
    if (known := there.first()) is not None:
        raise StateError(
            _("{known}: runs this design on {language_model} already; expected it to be ended first").format(
                known=known, language_model=language_model
            )
        )
    row = AuditSchedule.objects.create(
        team=plan.team,
        plan=plan,
        language_model=language_model,
        data=data,
        every_months=every_months,
        first_on=first_on,
        next_on=first_on,
        made_by=actor.name,
        made_by_user=actor.user,
        changed_by=actor.name,
        changed_at=timezone.now(),
    )
    payload = {
        "design_sha256": plan.design_sha256,
        "language_model": language_model.name,
        "data_fingerprint": data.fingerprint if data is not None else "",
        "every_months": every_months,
        "next_on": row.next_on.isoformat(),
    }
    _tell(actor, "schedule.made", row, payload)
    return row


@transaction.atomic
def move_schedule(
    *, schedule: AuditSchedule, to: ScheduleState, revision: int, next_on: date | None = None, actor: Actor
) -> None:
    """Pause a schedule, go on with it, or end it. Whoever goes on with it is who asks for its audits from then on.

    Parameters
    ----------
    next_on
        When it goes on: the next day, if it is not to be the one that stands there. One that is past starts at once.

    Raises
    ------
    PermissionDenied
        Without an account, or without the permission to run audits in that team.
    StateError
        If it is not where this can follow, somebody changed it in the meantime, or the day is past.
    """
    _may_run(schedule.team_id, actor)
    lock_chain()
    schedule.refresh_from_db()
    before = ScheduleState(schedule.state)
    if to not in TRANSITIONS[before]:
        sources = [state.label for state, targets in TRANSITIONS.items() if to in targets]
        raise StateError(
            _("{schedule}: is {state}; expected {expected}").format(
                schedule=schedule, state=in_sentence(before.label), expected=one_of(sources)
            )
        )
    if schedule.revision != revision:
        raise StateError(
            _("{schedule}: {changed_by} changed it in the meantime; expected it to be read again").format(
                schedule=schedule, changed_by=schedule.changed_by
            )
        )
    if to is ScheduleState.ACTIVE:
        if next_on is not None and next_on != schedule.next_on:
            if next_on < timezone.now().date():
                raise StateError(
                    _("{schedule}: {day} is past; expected today or a day to come").format(
                        schedule=schedule, day=day_said(next_on)
                    )
                )
            if schedule.started_for is not None and next_on <= schedule.started_for:
                raise StateError(
                    _("{schedule}: started for {day} already; expected a later day").format(
                        schedule=schedule, day=day_said(schedule.started_for)
                    )
                )
            schedule.first_on = schedule.next_on = next_on
        _runnable(schedule.plan, schedule.language_model)
        schedule.problem = ""
        schedule.made_by, schedule.made_by_user = actor.name, actor.user
    schedule.state, schedule.revision = to, revision + 1
    schedule.changed_by, schedule.changed_at = actor.name, timezone.now()
    schedule.save()
    payload = {"from": str(before), "to": str(to), "next_on": schedule.next_on.isoformat()}
    _tell(actor, EVENTS[to], schedule, payload)


@transaction.atomic
def start_scheduled_audit(*, schedule: AuditSchedule, due: date, today: date) -> Audit | None:
    """Start the audit of a schedule for the day on which it was due. Days that were missed before are passed over.

    Two sweeps may be here for one day: the lock lets one after the other, and the second finds the next day.

    Returns
    -------
    Audit or None
        ``None`` if it was started, moved or paused in the meantime.

    Raises
    ------
    PermissionDenied, StateError
        If it cannot start: then nothing is changed, and the sweep holds it.
    """
    lock_chain()
    schedule.refresh_from_db()
    if schedule.state != ScheduleState.ACTIVE or schedule.next_on != due or due > today:
        return None
    account = schedule.made_by_user_id or 0
    person = get_user_model().objects.filter(pk=account, is_active=True).first()
    if person is None or not access.may(person, RUN, schedule.team_id):
        raise StateError(
            _(
                "{schedule}: {made_by}, who scheduled it, may not run audits any more; expected "
                "somebody who may to go on with it"
            ).format(schedule=schedule, made_by=schedule.made_by)
        )
    _runnable(schedule.plan, schedule.language_model)
    model = newest_version(schedule.language_model)
    audit = request_audit(
        plan=schedule.plan,
        model=model,
        data=data_of(schedule, model),
        queue=settings.CELERY_TASK_DEFAULT_QUEUE,
        request_key=f"schedule {schedule.pk} {due.isoformat()}",
        actor=Actor(name=person.get_username(), role="schedule", user=person),
    )
    schedule.started_for, schedule.started_on, schedule.last_audit = due, today, audit
    if schedule.every_months is None:
        schedule.next_on = months_after(today, revalidation_months()[schedule.language_model.risk_tier])
    else:
        schedule.next_on = next_round(schedule.first_on, months=schedule.every_months, after=today)
    schedule.problem = ""
    schedule.revision += 1
    schedule.save()
    payload = {"audit": audit.number, "due": due.isoformat(), "next_on": schedule.next_on.isoformat()}
    _tell(SCHEDULER, "schedule.started", schedule, payload)
    return audit


@transaction.atomic
def hold_schedule(*, schedule: AuditSchedule, due: date, problem: str) -> bool:
    """Enter why a schedule could not start; nothing tries again before somebody goes on with it.

    Returns
    -------
    bool
        Whether it was still there to be held.
    """
    lock_chain()
    schedule.refresh_from_db()
    if schedule.state != ScheduleState.ACTIVE or schedule.next_on != due:
        return False
    schedule.state, schedule.problem = ScheduleState.HELD, problem
    schedule.revision += 1
    schedule.changed_by, schedule.changed_at = SCHEDULER.name, timezone.now()
    schedule.save()
    _tell(SCHEDULER, "schedule.held", schedule, {"due": due.isoformat(), "problem": problem})
    return True


@transaction.atomic
def follow_tiers(*, due: list[Due]) -> int:
    """Move the next day of schedules that follow the tier of their model; how many were moved.

    The day of the tier moves when an audit counts, or when the tier does. One for which a schedule started already is
    past, whatever came of that audit.
    """
    day_of = {item.language_model.pk: item.at.date() for item in due}
    rows = AuditSchedule.objects.filter(state=ScheduleState.ACTIVE, every_months=None, language_model__in=list(day_of))
    moved = [row for row in rows.order_by("pk") if _follows(row, day_of[row.language_model_id])]
    if not moved:
        return 0
    lock_chain()
    count = 0
    for row in moved:
        row.refresh_from_db()
        day = day_of[row.language_model_id]
        if row.state != ScheduleState.ACTIVE or not _follows(row, day):
            continue
        before, row.next_on = row.next_on, day
        row.revision += 1
        row.save()
        _tell(SCHEDULER, "schedule.moved", row, {"from": before.isoformat(), "to": day.isoformat()})
        count += 1
    return count


@transaction.atomic
def remind(*, due: list[Due], today: date, days: int) -> int:
    """Tell once of each model that is due within so many days, and once of each that is due; how many were told of."""
    wanted = {}
    for item in due:
        day = item.at.date()
        kind = Reminder.Kind.DUE if day <= today else Reminder.Kind.SOON
        if (day - today).days <= days:
            wanted[item.language_model.pk, str(kind), day] = item
    told = Reminder.objects.filter(language_model__in=[key[0] for key in wanted])
    new = [key for key in wanted if key not in set(told.values_list("language_model", "kind", "due"))]
    if not new:
        return 0
    lock_chain()
    count = 0
    for key in new:
        language_model, told_as, day = key
        _row, made = Reminder.objects.get_or_create(language_model_id=language_model, kind=told_as, due=day)
        if made:
            row = wanted[key].language_model
            payload = {"due": day.isoformat(), "tier": row.risk_tier, "last_audit": f"A-{wanted[key].last.serial:04d}"}
            append_event(
                actor=SCHEDULER,
                action=f"revalidation.{told_as}",
                object=row.event_object,
                payload=payload,
                team=row.team,
            )
            count += 1
    return count


def newest_version(language_model: LanguageModel) -> LanguageModelVersion:
    """The version that was registered last.

    Raises
    ------
    StateError
        If it has none.
    """
    found = language_model.versions.order_by("-pk").first()
    if found is None:
        raise StateError(
            _("{language_model}: has no version; expected one that was registered").format(
                language_model=language_model
            )
        )
    return found


def data_of(schedule: AuditSchedule, model: LanguageModelVersion) -> DataSetVersion:
    """The data of a schedule; of a file of decisions its own.

    Raises
    ------
    StateError
        If they are not registered.
    """
    if not is_decision_file(model.source) and schedule.data is not None:
        return schedule.data
    found = DataSetVersion.objects.filter(team=schedule.team_id, fingerprint=model.sha256).first()
    if found is None:
        raise StateError(
            _("{schedule}: the data of {model} are not registered; expected the table it was read from").format(
                schedule=schedule, model=model
            )
        )
    return found


def _follows(row: AuditSchedule, day: date) -> bool:
    return day != row.next_on and (row.started_on is None or day > row.started_on)


def _day_of_the_tier(language_model: LanguageModel, today: date) -> date:
    found = due_dates([language_model.pk])
    if not found:
        raise StateError(
            _(
                "{language_model}: its tier gives no date before an audit counts; expected the day of the first run"
            ).format(language_model=language_model)
        )
    return max(found[0].at.date(), today)


def _runnable(plan: PlanVersion, language_model: LanguageModel) -> None:
    state = design_state(plan)
    if state is not DesignState.APPROVED:
        raise StateError(
            _("{plan}: the design is {state}; expected an approved one").format(
                plan=plan, state=in_sentence(state.label)
            )
        )
    if language_model.approval == Approval.RETIRED:
        raise StateError(
            _("{language_model}: is retired; expected a model that is in use").format(language_model=language_model)
        )
    newest_version(language_model)


def _bound(language_model: LanguageModel, data: DataSetVersion | None) -> None:
    of_decisions = is_decision_file(newest_version(language_model).source)
    if of_decisions and data is not None:
        raise StateError(
            _("{language_model}: is a file of decisions, audited by its own; expected no data set").format(
                language_model=language_model
            )
        )
    if not of_decisions and data is None:
        raise StateError(
            _("{language_model}: no data set is named; expected one").format(language_model=language_model)
        )


def _may_run(team: int, actor: Actor) -> None:
    if actor.user is None or not access.may(actor.user, RUN, team):
        raise PermissionDenied(_("{name}: may not schedule audits of this team").format(name=actor.name))


def _tell(actor: Actor, action: str, row: AuditSchedule, payload: dict[str, Any]) -> None:
    append_event(actor=actor, action=action, object=row.event_object, payload=payload, team=row.team)
