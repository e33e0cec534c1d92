"""A database that is locked for longer than a statement waits is waited for: nothing fails, nothing crashes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import pytest
from django.db import OperationalError, connections, transaction

from compliance import actions
from compliance.database import patience
from compliance.database.patience import passes, patiently
from compliance.execution import workers
from compliance.execution.job import JobState
from compliance.execution.ledger import DatabaseLedger
from compliance.execution.workers import reap, work
from compliance.models import Audit, ChunkState, Event, Registration, RegistrationState, default_team
from compliance.registry.registration import perform_registration
from tests.compliance.factories import ACTOR, make_audit
from tests.compliance.jobs import freeze, request
from tests.compliance.messages import keep_messages

pytestmark = pytest.mark.django_db(transaction=True)
WAITED, HELD = 0.1, 1.0


@pytest.fixture(autouse=True)
def hasty(embedded: Path) -> None:
    """A statement waits for a tenth of a second only, so that a lock of one second is long."""
    connections.settings["default"]["OPTIONS"]["timeout"] = WAITED
    connections["default"].close()
    del connections["default"]


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_messages(monkeypatch)


@contextmanager
def locked(path: Path, *, seconds: float = HELD) -> Iterator[None]:
    """Another process holds the write lock for so long."""
    holds = Flag()

    def hold() -> None:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        holds.set()
        time.sleep(seconds)
        other.execute("ROLLBACK")
        other.close()

    thread = Thread(target=hold)
    thread.start()
    assert holds.wait(5)
    yield
    thread.join()


def test_the_lock_of_these_tests_is_one_that_a_statement_does_not_outwait(embedded: Path) -> None:
    with locked(embedded), pytest.raises(OperationalError, match="locked"):
        make_audit()


@pytest.mark.parametrize("step", ["claim", "complete", "release"])
def test_a_chunk_is_claimed_stored_and_given_back_when_the_lock_is_gone(step: str, embedded: Path) -> None:
    audit = make_audit()
    ledger = DatabaseLedger(audit)
    if step != "claim":
        assert ledger.claim(0)
    steps: dict[str, Callable[[], object]] = {
        "claim": lambda: ledger.claim(0),
        "complete": lambda: ledger.complete(0, b"{}"),
        "release": lambda: ledger.release(0, "given back"),
    }
    with locked(embedded):
        steps[step]()
    expected = {"claim": ChunkState.RUNNING, "complete": ChunkState.DONE, "release": ChunkState.QUEUED}
    assert audit.chunks.get(index=0).state == expected[step]


def test_the_question_whether_to_stop_does_not_end_a_chunk(embedded: Path) -> None:
    ledger = DatabaseLedger(make_audit(), lease_seconds=0.01)
    assert ledger.claim(0)
    time.sleep(0.02)
    with locked(embedded):
        assert not ledger.should_stop()  # its lease cannot be renewed now


@pytest.mark.parametrize("at", ["prepare", "score", "finish"])
def test_an_audit_goes_on_when_the_lock_is_gone(
    at: str, embedded: Path, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[str] = []

    def lock(name: str) -> None:
        if name == at and not held:
            held.append(name)
            inside = locked(embedded)
            inside.__enter__()
            held.append(inside)  # type: ignore[arg-type]  # kept, or the lock would end here

    def prepare(audit: Audit, _: object) -> bool:
        lock("prepare")
        freeze(audit)
        return True

    def score(audit: Audit, **_: object) -> bool:
        lock("score")
        ledger = DatabaseLedger(audit)
        for state in ledger.states():
            if ledger.claim(state.index):
                ledger.complete(state.index, b"{}")
        return True

    def finish(audit: Audit, **_: object) -> None:
        lock("finish")
        from django.utils import timezone

        actions.finish_audit(
            audit=audit, measurements=[], findings=[], files={}, finished_at=timezone.now(), actor=ACTOR
        )

    for name, step in (("_prepare", prepare), ("score", score), ("finish", finish)):
        monkeypatch.setattr(workers, name, step)
    work(request().pk)
    assert held
    assert Audit.objects.get().state == JobState.DONE
    assert not Event.objects.filter(action="audit.failed").exists()


def test_an_audit_that_waited_too_long_is_left_to_the_sweep_and_has_not_failed(
    embedded: Path, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.3)
    audit = request()
    Audit.objects.update(state=JobState.QUEUED)
    with locked(embedded):
        work(audit.pk)
    assert Audit.objects.get().state == JobState.QUEUED
    Audit.objects.update(seen_at=None)
    assert reap() == 1


def test_a_registration_goes_on_when_the_lock_is_gone(embedded: Path, quiet: None) -> None:
    row = actions.request_data(team=default_team(), name="Loans", source="demo:loanapp", actor=ACTOR)
    with locked(embedded):
        perform_registration(row.pk)
    assert Registration.objects.get().state == RegistrationState.READY


def test_a_request_is_committed_also_if_the_call_cannot_be_noted(embedded: Path, quiet: None) -> None:
    """What was committed is no error for the person who asked, whatever happens between it and the call."""
    locks: list[object] = []

    def lock() -> None:
        inside = locked(embedded)
        inside.__enter__()
        locks.append(inside)

    with transaction.atomic():
        transaction.on_commit(lock)
        request()
    assert Audit.objects.get().state == JobState.REQUESTED


def test_what_does_not_pass_by_itself_is_told_at_once() -> None:
    began = time.monotonic()

    def full() -> None:
        raise OperationalError("database or disk is full")

    assert not passes(OperationalError("attempt to write a readonly database"))
    with pytest.raises(OperationalError, match="full"):
        patiently(full)
    assert time.monotonic() - began < 10


def test_a_step_within_a_transaction_is_not_repeated_on_its_own() -> None:
    tried: list[int] = []

    def step() -> None:
        tried.append(1)
        raise OperationalError("database is locked")

    with pytest.raises(OperationalError), transaction.atomic():
        patiently(step)
    assert tried == [1]
