"""Who gets a chunk: one taker at a time, also when takers race, vanish or come back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from auditor.exceptions import RunError
from compliance import actions
from compliance.execution.ledger import MAX_LOST, DatabaseLedger
from compliance.execution.stalls import enter_stall
from compliance.execution.steps import Step
from compliance.models import Audit, AuditChunk, ChunkState
from tests.compliance.factories import ACTOR, make_audit


@pytest.fixture
def audit(db: None) -> Audit:
    return make_audit(chunks=3)


def run_out(audit: Audit, index: int) -> None:
    """The lease of a chunk ended a minute ago."""
    AuditChunk.objects.filter(audit=audit, index=index).update(lease_expires_at=timezone.now() - timedelta(minutes=1))


def test_a_queued_chunk_is_taken_once(audit: Audit) -> None:
    assert DatabaseLedger(audit).claim(0)
    assert not DatabaseLedger(audit).claim(0)


def test_a_worker_does_not_take_its_own_chunk_twice(audit: Audit) -> None:
    ledger = DatabaseLedger(audit)
    assert ledger.claim(0)
    assert not ledger.claim(0)


def test_expired_lease_is_sent_again(audit: Audit) -> None:
    assert DatabaseLedger(audit).claim(1)
    run_out(audit, 1)
    assert DatabaseLedger(audit).claim(1)
    chunk = AuditChunk.objects.get(audit=audit, index=1)
    assert (chunk.attempt, chunk.lost) == (2, 1)


def test_a_chunk_that_is_done_is_not_taken_again(audit: Audit) -> None:
    ledger = DatabaseLedger(audit)
    ledger.claim(2)
    ledger.complete(2, b"decisions")
    assert not DatabaseLedger(audit).claim(2)


def test_a_lease_in_use_is_kept_alive_by_asking_whether_to_stop(audit: Audit) -> None:
    ledger = DatabaseLedger(audit, lease_seconds=0.0)
    ledger.claim(0)
    AuditChunk.objects.filter(audit=audit, index=0).update(lease_expires_at=timezone.now() - timedelta(hours=1))
    before = AuditChunk.objects.get(audit=audit, index=0).lease_expires_at
    ledger.should_stop()
    after = AuditChunk.objects.get(audit=audit, index=0).lease_expires_at
    assert after is not None
    assert before is not None
    assert after - before > timedelta(minutes=59)


def test_a_released_chunk_is_free_and_its_loss_is_not_counted(audit: Audit) -> None:
    ledger = DatabaseLedger(audit)
    ledger.claim(0)
    ledger.release(0, "stopped")
    assert DatabaseLedger(audit).claim(0)
    assert AuditChunk.objects.get(audit=audit, index=0).lost == 0


def test_a_worker_that_comes_back_cannot_release_what_another_has_taken(audit: Audit) -> None:
    slow, quick = DatabaseLedger(audit), DatabaseLedger(audit)
    slow.claim(0)
    run_out(audit, 0)
    quick.claim(0)
    slow.release(0, "late")
    chunk = AuditChunk.objects.get(audit=audit, index=0)
    assert (chunk.state, chunk.lease_owner) == (ChunkState.RUNNING, quick.owner)


def test_a_chunk_that_loses_its_worker_too_often_is_not_sent_again(audit: Audit) -> None:
    DatabaseLedger(audit).claim(0)
    run_out(audit, 0)
    AuditChunk.objects.filter(audit=audit, index=0).update(lost=MAX_LOST)
    with pytest.raises(RunError, match=r"A-0001: chunk 0 lost its worker 50 times; it is not sent again"):
        DatabaseLedger(audit).claim(0)
    assert AuditChunk.objects.get(audit=audit, index=0).state == ChunkState.FAILED


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("expired", [False, True], ids=["queued", "expired"])
def test_of_four_workers_that_race_for_a_chunk_one_gets_it(expired: bool) -> None:
    audit = make_audit(chunks=12)
    if expired:
        AuditChunk.objects.update(state=ChunkState.RUNNING, lease_expires_at=timezone.now() - timedelta(minutes=1))
    line = Barrier(4)

    def race() -> list[int]:
        ledger = DatabaseLedger(audit)
        won = []
        try:
            for index in range(12):
                line.wait(20)
                if ledger.claim(index):
                    won.append(index)
        finally:
            connection.close()
        return won

    with ThreadPoolExecutor(4) as workers:
        won = [index for future in [workers.submit(race) for _ in range(4)] for index in future.result()]
    assert sorted(won) == list(range(12))
    assert AuditChunk.objects.filter(attempt=1, lost=F("attempt") if expired else 0).count() == 12


def test_a_chunk_that_gave_no_sign_three_times_is_not_sent_again_and_says_why(audit: Audit) -> None:
    for count in (1, 2):
        assert DatabaseLedger(audit).claim(0)
        enter_stall("audit", audit.pk, Step(chunk=0, seconds=3600))
        chunk = AuditChunk.objects.get(audit=audit, index=0)
        assert (chunk.state, chunk.stalled, chunk.lost) == (ChunkState.QUEUED, count, 0)
    slow, quick = DatabaseLedger(audit), DatabaseLedger(audit)
    slow.claim(0)
    run_out(audit, 0)
    quick.claim(0)  # two that hang on one chunk count too, whoever has it by now
    enter_stall("audit", audit.pk, Step(chunk=0, seconds=3600))
    line = (
        r"A-0001: chunk 0 took longer than 3,600 s without reporting progress, 3 times; PLUMBLINE_STEP_SECONDS allows "
        r"more; it is not sent again"
    )
    with pytest.raises(RunError, match=line):
        DatabaseLedger(audit).claim(0)
    assert quick.complete(0, b"{}")  # whoever comes back after all is right


def test_a_stall_of_no_chunk_or_of_one_that_is_done_counts_nothing(audit: Audit) -> None:
    ledger = DatabaseLedger(audit)
    ledger.claim(0)
    ledger.complete(0, b"{}")
    for step in (Step(chunk=0, seconds=1), Step(chunk=99, seconds=1), Step(what="loading the model", seconds=1)):
        enter_stall("audit", audit.pk, step)
    assert set(AuditChunk.objects.values_list("stalled", flat=True)) == {0}
    assert AuditChunk.objects.get(audit=audit, index=0).state == ChunkState.DONE


def test_who_goes_on_begins_the_counts_anew(audit: Audit) -> None:
    actions.begin_audit(audit=audit, actor=ACTOR)
    AuditChunk.objects.filter(audit=audit, index=0).update(state=ChunkState.FAILED, stalled=3, lost=7)
    AuditChunk.objects.filter(audit=audit, index=1).update(stalled=2)
    actions.fail_audit(audit=audit, error="chunk 0", actor=ACTOR)
    actions.retry_audit(audit=audit, queue="audits", actor=ACTOR)
    assert set(AuditChunk.objects.values_list("stalled", "state")) == {(0, ChunkState.QUEUED)}
