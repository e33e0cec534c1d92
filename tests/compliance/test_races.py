"""Buttons that several people press at the same moment, on both databases: one outcome, one event, no error page."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Thread

import pytest
from django.db import connection

from compliance import actions
from compliance.exceptions import StateError
from compliance.execution.job import JobState
from compliance.execution.workers import reap
from compliance.models import Audit, Event, Registration, RegistrationState, default_team
from tests.compliance.factories import ACTOR
from tests.compliance.jobs import freeze, request
from tests.compliance.jobs import versions as _versions
from tests.compliance.messages import keep_messages

pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE = 4
ROUNDS = 3


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Which audits and registrations workers were called for; no broker."""
    return keep_messages(monkeypatch)


def at_once(*steps: Callable[[], object]) -> list[BaseException]:
    """What went wrong when all steps were taken at the same moment."""
    together, wrong = Barrier(len(steps)), list[BaseException]()

    def take(step: Callable[[], object]) -> None:
        try:
            together.wait(20)
            step()
        except BaseException as error:
            wrong.append(error)
        finally:
            connection.close()

    threads = [Thread(target=take, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def events(action: str) -> int:
    return Event.objects.filter(action=action).count()


def stop() -> None:
    actions.stop_audit(audit=Audit.objects.get(), reason="enough", actor=ACTOR)


def go_on() -> None:
    actions.retry_audit(audit=Audit.objects.get(), queue="audits", actor=ACTOR)


def running() -> Audit:
    audit = freeze(request())
    actions.begin_audit(audit=audit, actor=ACTOR)
    return audit


def test_people_who_stop_a_run_at_once_have_all_asked_it_to(database: str, called: list[tuple[str, int]]) -> None:
    running()
    assert at_once(*[stop] * PEOPLE) == []
    assert Audit.objects.get().state == JobState.CANCELLING
    assert events("audit.stop_requested") == 1


def test_a_stop_that_finds_another_one_made_meanwhile_has_nothing_left_to_ask(
    database: str, called: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = running()
    look, first = Audit.refresh_from_db, [True]

    def slow(row: Audit, **options: object) -> None:
        look(row, **options)  # type: ignore[arg-type]
        if first.pop() if first else False:
            stop()

    monkeypatch.setattr(Audit, "refresh_from_db", slow)
    actions.stop_audit(audit=audit, reason="enough", actor=ACTOR)
    assert events("audit.stop_requested") == 1


def test_clicks_on_start_at_once_are_one_audit(database: str, called: list[tuple[str, int]]) -> None:
    made = _versions()

    def click() -> None:
        actions.request_audit(**made, queue="audits", request_key="one", actor=ACTOR)

    assert at_once(*[click] * PEOPLE) == []
    assert [audit.serial for audit in Audit.objects.all()] == [1]
    assert events("audit.requested") == 1


def test_who_goes_on_and_who_stops_at_once_leave_what_the_events_say(
    database: str, called: list[tuple[str, int]]
) -> None:
    audit = running()
    for _ in range(ROUNDS):
        stop()
        actions.confirm_stopped(audit=audit, actor=ACTOR)
        resumed, stopped = events("audit.resumed"), events("audit.stop_requested")
        wrong = at_once(go_on, go_on, stop)
        # In whatever order: who finds nothing to go on with, or nothing to stop, is told so.
        assert all(isinstance(error, StateError) for error in wrong), wrong
        resumed, stopped = events("audit.resumed") - resumed, events("audit.stop_requested") - stopped
        assert resumed + stopped == 3 - len(wrong)
        audit.refresh_from_db()
        assert resumed - stopped == (audit.state == JobState.QUEUED)
        if audit.state == JobState.QUEUED:
            actions.begin_audit(audit=audit, actor=ACTOR)
        else:  # stopped after it had been gone on with
            assert audit.state == JobState.CANCELLED
            actions.retry_audit(audit=audit, queue="audits", actor=ACTOR)
            actions.begin_audit(audit=audit, actor=ACTOR)
        assert Audit.objects.get().state == JobState.RUNNING


def test_a_stop_and_a_sweep_at_once_leave_it_stopped_or_stopping(database: str, called: list[tuple[str, int]]) -> None:
    running()
    Audit.objects.update(seen_at=None)
    assert at_once(stop, reap, reap) == []
    assert Audit.objects.get().state in (JobState.CANCELLING, JobState.CANCELLED)
    Audit.objects.update(seen_at=None)
    reap()
    assert Audit.objects.get().state == JobState.CANCELLED
    assert events("audit.stopped") == 1


def test_sweeps_at_once_make_one_call_each(database: str, called: list[tuple[str, int]]) -> None:
    request()
    actions.request_data(team=default_team(), name="Loans", source="demo:loanapp", actor=ACTOR)
    Audit.objects.update(seen_at=None)
    Registration.objects.update(seen_at=None)
    called.clear()
    assert at_once(*[reap] * PEOPLE) == []
    assert len(called) == 2


def test_who_tries_a_registration_again_at_once_lets_it_wait_once(database: str, called: list[tuple[str, int]]) -> None:
    row = actions.request_data(team=default_team(), name="Loans", source="demo:loanapp", actor=ACTOR)
    assert actions.begin_registration(registration=row)
    wrong = at_once(*[lambda: actions.try_again(registration=Registration.objects.get(), actor=ACTOR)] * PEOPLE)
    assert all(isinstance(error, StateError) for error in wrong), wrong
    assert len(wrong) == PEOPLE - 1
    assert Registration.objects.get().state == RegistrationState.WAITING
    assert events("registration.tried_again") == 1
    with pytest.raises(StateError):  # the one it was taken from
        actions.fail_registration(registration=row, error="late", actor=ACTOR)
