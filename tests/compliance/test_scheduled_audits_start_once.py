"""Scheduled re-audits: each day starts one audit, whoever looks how often; one that cannot start waits for a person."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from threading import Barrier, Thread

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client

from compliance import actions
from compliance.access.roles import Role
from compliance.exceptions import StateError
from compliance.execution.schedules import keep_calendar
from compliance.execution.workers import reap
from compliance.governance.attestation import problems
from compliance.governance.revalidation import months_after, next_round
from compliance.models import (
    Approval,
    Audit,
    AuditSchedule,
    DesignState,
    Event,
    LanguageModel,
    Membership,
    ScheduleState,
    default_team,
)
from tests.compliance.calendars import counted, officer, scheduled, validator
from tests.compliance.factories import ACTOR
from tests.compliance.governed import actor_of, approved_plan, version_of
from tests.compliance.messages import keep_messages
from tests.compliance.teams import make_person

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("database")]

START = datetime(2027, 1, 31, 9, tzinfo=UTC)


@pytest.fixture(autouse=True)
def called(monkeypatch: pytest.MonkeyPatch, settings, tmp_path) -> list[tuple[str, int]]:
    """Whom workers were called for, in place of the broker's messages."""
    settings.DATA_FOLDER = tmp_path
    return keep_messages(monkeypatch)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Coordinates]:
    """The clock of these tests: nothing waits."""
    with time_machine.travel(START, tick=False) as moved:
        yield moved


def at(clock: time_machine.Coordinates, year: int, month: int, day: int) -> None:
    clock.move_to(datetime(year, month, day, 9, tzinfo=UTC))


def told(action: str) -> int:
    return Event.objects.filter(action=action).count()


def test_a_day_that_comes_starts_one_governed_audit_in_the_name_of_who_scheduled_it(clock, called, tmp_path) -> None:
    ola = officer()
    row = scheduled(ola, first_on=date(2027, 3, 1))
    assert keep_calendar() == 0
    at(clock, 2027, 3, 1)
    assert (reap(), reap(), reap()) == (1, 0, 0)
    audit = Audit.objects.get()
    row.refresh_from_db()
    assert (audit.governed, audit.requested_by, audit.requested_by_user) == (True, "ola", ola)
    assert ("compliance.work_on", audit.pk) in called
    assert (row.next_on, row.started_for, row.last_audit) == (date(2027, 6, 1), date(2027, 3, 1), audit)
    assert (told("schedule.started"), told("audit.requested")) == (1, 1)
    asked = Event.objects.get(action="audit.requested")
    assert (asked.actor, asked.role) == ("ola", "schedule")
    assert list(problems(folder=tmp_path)) == []


def test_two_sweeps_at_once_start_one_audit() -> None:
    scheduled(officer(), first_on=date(2027, 1, 31))
    together, wrong = Barrier(4), list[BaseException]()

    def sweep() -> None:
        try:
            together.wait(20)
            keep_calendar()
        except BaseException as error:
            wrong.append(error)
        finally:
            connection.close()

    threads = [Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert Audit.objects.count() == told("schedule.started") == 1


def test_days_that_were_missed_start_once_and_the_rounds_stay_where_they_were(clock) -> None:
    row = scheduled(officer(), first_on=date(2027, 2, 1), every_months=1)
    at(clock, 2027, 7, 15)
    assert (keep_calendar(), keep_calendar()) == (1, 0)
    row.refresh_from_db()
    assert (Audit.objects.count(), row.started_for, row.next_on) == (1, date(2027, 2, 1), date(2027, 8, 1))


def test_a_clock_that_is_set_back_starts_nothing_twice(clock) -> None:
    scheduled(officer(), first_on=date(2027, 2, 1), every_months=1)
    at(clock, 2027, 2, 1)
    assert keep_calendar() == 1
    at(clock, 2027, 1, 31)
    assert keep_calendar() == 0
    at(clock, 2027, 2, 1)
    assert keep_calendar() == 0
    assert Audit.objects.count() == 1


@pytest.mark.parametrize(
    ("first", "months", "after", "expected"),
    [
        (date(2027, 1, 31), 1, date(2027, 2, 28), date(2027, 3, 31)),  # the 31st does not become the 28th
        (date(2027, 1, 31), 1, date(2027, 2, 27), date(2027, 2, 28)),
        (date(2027, 1, 31), 3, date(2027, 1, 31), date(2027, 4, 30)),
        (date(2028, 2, 29), 12, date(2028, 2, 29), date(2029, 2, 28)),
        (date(2027, 1, 1), 6, date(2029, 1, 1), date(2029, 7, 1)),
        (date(2027, 5, 1), 2, date(2027, 1, 1), date(2027, 5, 1)),
    ],
)
def test_rounds_are_counted_from_the_first_day(first: date, months: int, after: date, expected: date) -> None:
    found = next_round(first, months=months, after=after)
    assert found == expected > after


def retire_design() -> None:
    plan = AuditSchedule.objects.get().plan
    actions.decide_on_design(plan=plan, state=DesignState.RETIRED, reason="Old.", actor=actor_of(validator("gil")))


def retire_model() -> None:
    model = LanguageModel.objects.get()
    actions.decide_on_language_model(language_model=model, approval=Approval.RETIRED, actor=ACTOR)


CANNOT = {
    "the design is retired": (retire_design, "the design is retired; expected an approved one"),
    "the model is retired": (retire_model, "is retired; expected a model that is in use"),
    "the person left": (
        lambda: User.objects.filter(username="ola").update(is_active=False),
        "ola, who scheduled it, may not run audits any more; expected somebody who may to go on with it",
    ),
    "the person lost the role": (
        lambda: Membership.objects.filter(user__username="ola").delete(),
        "ola, who scheduled it, may not run audits any more",
    ),
}


@pytest.mark.parametrize("why", CANNOT)
def test_what_cannot_start_is_held_with_one_line_and_not_tried_again(clock, why: str, tmp_path) -> None:
    row = scheduled(officer(), first_on=date(2027, 2, 1), every_months=1)
    happens, line = CANNOT[why]
    happens()
    at(clock, 2027, 2, 1)
    assert [keep_calendar() for _ in range(3)] == [1, 0, 0]
    at(clock, 2027, 3, 1)
    assert keep_calendar() == 0
    row.refresh_from_db()
    assert (row.state, Audit.objects.count(), told("schedule.held")) == (ScheduleState.HELD, 0, 1)
    assert line in row.problem
    assert "\n" not in row.problem
    assert list(problems(folder=tmp_path)) == []
    other = officer("other")
    client = Client()
    client.force_login(other)
    tasks = {task.words: task for task in client.get("/").context["tasks"]}
    assert tasks["See why a scheduled audit could not start"].detail == row.problem
    assert tasks["See why a scheduled audit could not start"].link == row.get_absolute_url()


def test_what_was_held_starts_once_after_somebody_goes_on_with_it(clock) -> None:
    row = scheduled(officer(), first_on=date(2027, 2, 1), every_months=1)
    User.objects.filter(username="ola").update(is_active=False)
    at(clock, 2027, 2, 3)
    assert keep_calendar() == 1
    row.refresh_from_db()
    other = officer("other")
    actions.move_schedule(schedule=row, to=ScheduleState.ACTIVE, revision=row.revision, actor=actor_of(other))
    assert (keep_calendar(), keep_calendar()) == (1, 0)
    row.refresh_from_db()
    assert (Audit.objects.get().requested_by, row.next_on, row.problem) == ("other", date(2027, 3, 1), "")


def test_a_paused_one_does_not_start_and_an_ended_one_never_does(clock) -> None:
    ola = officer()
    row = scheduled(ola, first_on=date(2027, 2, 1), every_months=1)
    actions.move_schedule(schedule=row, to=ScheduleState.PAUSED, revision=1, actor=actor_of(ola))
    at(clock, 2027, 5, 15)
    assert keep_calendar() == 0
    with pytest.raises(StateError, match="is past; expected today or a day to come"):
        actions.move_schedule(
            schedule=row, to=ScheduleState.ACTIVE, revision=2, next_on=date(2027, 5, 1), actor=actor_of(ola)
        )
    actions.move_schedule(
        schedule=row, to=ScheduleState.ACTIVE, revision=2, next_on=date(2027, 6, 1), actor=actor_of(ola)
    )
    assert keep_calendar() == 0
    actions.move_schedule(schedule=row, to=ScheduleState.ENDED, revision=3, actor=actor_of(ola))
    at(clock, 2027, 6, 1)
    assert keep_calendar() == 0
    with pytest.raises(StateError, match="is ended; expected paused or could not start"):
        actions.move_schedule(schedule=row, to=ScheduleState.ACTIVE, revision=4, actor=actor_of(ola))
    assert not Audit.objects.exists()


def test_somebody_elses_change_is_not_overwritten() -> None:
    ola = officer()
    row = scheduled(ola, first_on=date(2027, 2, 1))
    actions.move_schedule(schedule=row, to=ScheduleState.PAUSED, revision=1, actor=actor_of(officer("other")))
    with pytest.raises(StateError, match="other changed it in the meantime"):
        actions.move_schedule(schedule=row, to=ScheduleState.ENDED, revision=1, actor=actor_of(ola))


def test_the_newest_version_of_the_model_is_what_is_audited(clock) -> None:
    plan = approved_plan(default_team())
    first = version_of(default_team(), 1)
    scheduled(officer(), first_on=date(2027, 2, 1), plan=plan, model=first)
    second = version_of(default_team(), 2, of=first.language_model)
    at(clock, 2027, 2, 1)
    keep_calendar()
    assert Audit.objects.get().model == second


@pytest.mark.parametrize("months", [0, 121])
def test_rounds_are_bounded(months: int) -> None:
    with pytest.raises(StateError, match="expected 1 to 120"):
        scheduled(officer(), first_on=date(2027, 2, 1), every_months=months)


def test_only_approved_designs_days_to_come_and_one_schedule_a_design_and_model() -> None:
    ola, plan = officer(), approved_plan(default_team())
    with pytest.raises(StateError, match="is past; expected today or a day to come"):
        scheduled(ola, first_on=date(2027, 1, 30), plan=plan)
    scheduled(ola, first_on=date(2027, 2, 1), plan=plan)
    with pytest.raises(StateError, match="runs this design on demo:x already"):
        scheduled(ola, first_on=date(2027, 2, 1), plan=plan)
    retire_design()
    with pytest.raises(StateError, match="the design is retired; expected an approved one"):
        scheduled(ola, first_on=date(2027, 2, 1), plan=plan)


@pytest.mark.parametrize("role", [role for role in Role if role != Role.COMPLIANCE_OFFICER])
def test_nobody_schedules_who_may_not_run_audits(role: Role) -> None:
    person = make_person("somebody", default_team(), [role])
    with pytest.raises(PermissionDenied):
        scheduled(person, first_on=date(2027, 2, 1))
    row = scheduled(officer(), first_on=date(2027, 2, 1))
    for to in ScheduleState:
        with pytest.raises(PermissionDenied):
            actions.move_schedule(schedule=row, to=to, revision=1, actor=actor_of(person))


def test_the_day_of_a_tier_follows_the_audits_that_count_and_the_tier(clock) -> None:
    ola, plan = officer(), approved_plan(default_team())
    with pytest.raises(StateError, match="its tier gives no date before an audit counts"):
        scheduled(ola, first_on=None, every_months=None, plan=plan)
    audit = counted(plan=plan, finished_at=START - timedelta(days=30))
    row = scheduled(ola, first_on=None, every_months=None, plan=plan, model=audit.model)
    assert row.next_on == date(2029, 1, 1)
    counted(plan=plan, finished_at=START)  # asked for by somebody meanwhile
    keep_calendar()
    row.refresh_from_db()
    assert row.next_on == months_after(START.date(), 24)
    actions.describe_language_model(
        language_model=audit.model.language_model, description={"risk_tier": 1}, actor=actor_of(ola)
    )
    keep_calendar()
    row.refresh_from_db()
    assert (row.next_on, told("schedule.moved")) == (date(2028, 1, 31), 2)
    at(clock, 2028, 1, 31)
    before = Audit.objects.count()
    assert (keep_calendar(), keep_calendar()) == (1, 0)
    row.refresh_from_db()
    # The audit has not counted yet: the day that is past brings no second one.
    assert (Audit.objects.count() - before, row.next_on) == (1, date(2029, 1, 31))


def test_what_is_due_is_told_once_before_and_once_when_it_is(clock) -> None:
    audit = counted(finished_at=START)
    for day, soon, due in (
        ((2028, 11, 1), 0, 0),
        ((2028, 12, 3), 1, 0),
        ((2028, 12, 9), 1, 0),
        ((2029, 1, 31), 1, 1),
        ((2029, 6, 1), 1, 1),
    ):
        at(clock, *day)
        keep_calendar()
        assert (told("revalidation.due_soon"), told("revalidation.due")) == (soon, due), day
    event = Event.objects.get(action="revalidation.due")
    assert (event.object, event.team) == (audit.model.language_model.event_object, default_team())
