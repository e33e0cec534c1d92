"""What a called worker does, and who calls again: claims, reaper, stops, going on. Without a model or a broker."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Event as Flag

import pytest
from django.utils import timezone

from auditor.exceptions import Interrupted, ScoringError
from compliance import actions
from compliance.exceptions import StateError
from compliance.execution import workers
from compliance.execution.dispatch import WORK_ON
from compliance.execution.job import JobState
from compliance.execution.ledger import DatabaseLedger
from compliance.execution.watchdog import Watchdog
from compliance.execution.workers import Attendance, enqueue_all, reap, work
from compliance.models import Audit, AuditChunk, ChunkState, Event, Priority, Worker
from tests.compliance.factories import ACTOR, make_audit
from tests.compliance.jobs import freeze, request
from tests.compliance.messages import keep_messages

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Whom workers were called for, in place of the broker's messages."""
    return keep_messages(monkeypatch)


def silent(audit: Audit, **fields: object) -> None:
    Audit.objects.filter(pk=audit.pk).update(seen_at=timezone.now() - timedelta(hours=1), **fields)


def run(audit: Audit) -> Audit:
    actions.begin_audit(audit=freeze(audit), actor=ACTOR)
    return audit


def test_a_request_calls_a_worker_once_it_is_committed(called: list[tuple[str, int]]) -> None:
    audit = request()
    request()  # the second click
    assert called == [(WORK_ON, audit.pk)]


@pytest.mark.parametrize("state", ["requested", "queued", "running"])
def test_an_audit_without_a_sign_of_life_has_a_worker_called(state: str, called: list[tuple[str, int]]) -> None:
    audit = request()
    silent(audit, state=state)
    called.clear()
    assert (reap(), reap()) == (1, 0)
    assert called == [(WORK_ON, audit.pk)]


def test_an_audit_whose_worker_lives_is_left_alone(called: list[tuple[str, int]]) -> None:
    audit = run(request())
    Audit.objects.filter(pk=audit.pk).update(seen_at=timezone.now())
    assert reap() == 0


@pytest.mark.parametrize("state", ["done", "failed", "cancelled"])
def test_the_reaper_leaves_what_is_not_under_way(state: str, called: list[tuple[str, int]]) -> None:
    silent(request(), state=state)
    assert reap() == 0


def test_the_reaper_leaves_runs_of_the_command_line(called: list[tuple[str, int]]) -> None:
    silent(make_audit())
    assert (reap(), called) == (0, [])


def test_a_stop_that_nobody_settled_is_settled(called: list[tuple[str, int]]) -> None:
    audit = run(request())
    actions.stop_audit(audit=audit, reason="enough", actor=ACTOR)
    silent(audit)
    assert reap() == 1
    assert Audit.objects.get().state == JobState.CANCELLED


def test_one_bad_row_does_not_end_the_sweep(called: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = run(request("one")), request("two")
    actions.stop_audit(audit=one, reason="enough", actor=ACTOR)
    silent(one), silent(two)
    monkeypatch.setattr(workers.actions, "confirm_stopped", lambda **_: 1 / 0)
    called.clear()
    assert reap() == 1
    assert called == [(WORK_ON, two.pk)]


def test_a_new_worker_is_called_for_what_waits_in_its_queues(called: list[tuple[str, int]]) -> None:
    later, first = request("one", priority=Priority.LATER), request("two", priority=Priority.FIRST)
    called.clear()
    enqueue_all(["audits"])
    enqueue_all(["gpu0"])
    assert called == [(WORK_ON, first.pk), (WORK_ON, later.pk)]


def scoring(monkeypatch: pytest.MonkeyPatch, step: Callable[[Audit], bool]) -> list[str]:
    """Replace the engine: preparing freezes three chunks, scoring does ``step``, finishing is noted."""
    at: list[str] = []
    monkeypatch.setattr(workers, "_prepare", lambda audit, _: bool(freeze(audit)))
    monkeypatch.setattr(workers, "score", lambda audit, **_: at.append(audit.number) or step(audit))
    monkeypatch.setattr(workers, "finish", lambda audit, **_: at.append(f"{audit} finished"))
    return at


def test_an_urgent_audit_goes_before_the_one_a_worker_was_called_for(
    called: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = scoring(monkeypatch, lambda _: False)
    normal, urgent = request("one"), request("two", priority=Priority.FIRST)
    called.clear()
    work(normal.pk)
    assert (at, called) == (["A-0002"], [(WORK_ON, normal.pk)])
    work(urgent.pk)
    work(normal.pk)
    assert at == ["A-0002", "A-0002", "A-0001"]


def test_when_no_chunk_is_left_it_is_concluded(called: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    at = scoring(monkeypatch, lambda _: True)
    work(request().pk)
    assert at == ["A-0001", "A-0001 finished"]


@pytest.mark.parametrize("state", ["done", "failed", "cancelled", "cancelling"])
def test_a_call_that_comes_late_does_nothing(
    state: str, called: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = scoring(monkeypatch, lambda _: True)
    audit = request()
    Audit.objects.update(state=state)
    work(audit.pk)
    work(audit.pk + 1)
    assert (at, Audit.objects.get().state) == ([], state)


def test_a_requested_audit_is_prepared_by_one_worker(called: list[tuple[str, int]]) -> None:
    audit = request()
    Audit.objects.update(claim_token="somebody", seen_at=timezone.now())
    with Watchdog("audit", audit.pk, seconds=60) as watchdog:
        assert not workers._prepare(audit, watchdog)
    assert Audit.objects.get().state == JobState.REQUESTED


def test_what_cannot_be_prepared_has_failed_and_says_why(called: list[tuple[str, int]]) -> None:
    work(request().pk)
    audit = Audit.objects.get()
    assert audit.state == JobState.FAILED
    assert audit.error.startswith("small.csv: there is no such file; expected")


def test_a_domain_failure_is_told_and_the_audit_fails(
    called: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Audit) -> bool:
        raise ScoringError("chunk 1: the model returned no number")

    scoring(monkeypatch, fail)
    work(request().pk)
    assert (Audit.objects.get().state, Audit.objects.get().error) == (
        JobState.FAILED,
        "chunk 1: the model returned no number",
    )


def test_a_worker_that_goes_has_another_one_called(
    called: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def go(_: Audit) -> bool:
        raise Interrupted("the run was asked to stop")

    scoring(monkeypatch, go)
    audit = request()
    called.clear()
    work(audit.pk)
    assert (Audit.objects.get().state, called) == (JobState.RUNNING, [(WORK_ON, audit.pk)])


def test_a_stop_is_confirmed_by_the_worker(called: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(audit: Audit) -> bool:
        actions.stop_audit(audit=audit, reason="enough", actor=ACTOR)
        raise Interrupted("the run was asked to stop")

    scoring(monkeypatch, stopped)
    work(request().pk)
    assert Audit.objects.get().state == JobState.CANCELLED


def test_a_waiting_audit_is_stopped_at_once_and_gone_on_with_from_where_it_was(called: list[tuple[str, int]]) -> None:
    audit = request()
    actions.stop_audit(audit=audit, reason="enough", actor=ACTOR)
    assert Audit.objects.get().state == JobState.CANCELLED
    actions.retry_audit(audit=audit, queue="audits", actor=ACTOR)
    assert Audit.objects.get().state == JobState.REQUESTED
    assert called == [(WORK_ON, audit.pk), (WORK_ON, audit.pk)]


def test_going_on_sends_unfinished_chunks_only(called: list[tuple[str, int]]) -> None:
    audit = run(request())
    ledger = DatabaseLedger(audit)
    ledger.claim(0)
    ledger.complete(0, b"kept")
    AuditChunk.objects.filter(index=1).update(state=ChunkState.FAILED, lost=50)
    actions.fail_audit(audit=audit, error="lost too often", actor=ACTOR)
    actions.retry_audit(audit=audit, queue="other", actor=ACTOR)
    again = Audit.objects.get()
    assert (again.state, again.queue, again.error, again.prompts_done) == (JobState.QUEUED, "audits", "", 2)
    assert list(AuditChunk.objects.values_list("state", "lost")) == [("done", 0), ("queued", 0), ("queued", 0)]


@pytest.mark.parametrize("state", ["requested", "queued", "running", "cancelling", "done"])
def test_what_is_under_way_or_done_is_not_gone_on_with(state: str, called: list[tuple[str, int]]) -> None:
    audit = request()
    Audit.objects.update(state=state)
    with pytest.raises(StateError, match="expected one that was stopped, paused or failed"):
        actions.retry_audit(audit=audit, queue="audits", actor=ACTOR)


def test_a_forced_stop_frees_the_chunks_and_ends_the_process_that_does_not_heed_it(
    called: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "FORCED_SECONDS", 0.1)
    audit, ended = run(request()), Flag()
    with Attendance(audit, end_process=ended.set):
        DatabaseLedger(audit).claim(1)
        with pytest.raises(StateError, match="expected one that was asked to stop"):
            actions.force_stop(audit=audit, actor=ACTOR)
        actions.stop_audit(audit=audit, reason="enough", actor=ACTOR)
        assert not ended.wait(1.5)
        actions.force_stop(audit=audit, actor=ACTOR)
        assert ended.wait(10)
    assert Audit.objects.get().state == JobState.CANCELLED
    assert AuditChunk.objects.get(index=1).state == ChunkState.QUEUED
    assert Event.objects.filter(action="audit.force_stopped").count() == 1


def test_attendance_gives_signs_of_life(called: list[tuple[str, int]]) -> None:
    audit = run(request())
    silent(audit)
    with Attendance(audit):
        limit = timezone.now() + timedelta(seconds=10)
        while Audit.objects.get().seen_at < timezone.now() - timedelta(minutes=1):  # type: ignore[operator]
            assert timezone.now() < limit
    assert reap() == 0


def test_workers_that_went_silent_or_are_going_do_not_listen() -> None:
    now = timezone.now()
    Worker.objects.create(key="a", host="h", queues=["audits"], seen_at=now)
    Worker.objects.create(key="b", host="h", queues=["audits"], seen_at=now - timedelta(minutes=1))
    Worker.objects.create(key="c", host="h", queues=["audits"], seen_at=now, stopping=True)
    Worker.objects.create(key="d", host="h", queues=["gpu0"], seen_at=now)
    assert [worker.key for worker in Worker.objects.listening("audits")] == ["a"]
    assert len(Worker.objects.listening()) == 2
