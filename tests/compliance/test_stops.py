"""A stop is final: whatever workers do after it, in whatever order, only a person who asks to go on leads back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compliance import actions
from compliance.exceptions import ComplianceError
from compliance.execution import workers
from compliance.execution.job import ACTIVE, RESUMABLE, TRANSITIONS, JobState
from compliance.execution.ledger import DatabaseLedger
from compliance.execution.workers import reap, work
from compliance.models import Audit
from tests.compliance.factories import ACTOR
from tests.compliance.jobs import freeze, request
from tests.compliance.messages import keep_messages

STOPPED = (JobState.CANCELLING, JobState.CANCELLED)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker."""
    keep_messages(monkeypatch)


def finish(audit: Audit) -> None:
    actions.finish_audit(audit=audit, measurements=[], findings=[], files={}, finished_at=timezone.now(), actor=ACTOR)


def sweep(audit: Audit) -> None:
    Audit.objects.update(seen_at=None)
    reap()


def take(audit: Audit) -> None:
    ledger = DatabaseLedger(audit)
    for state in ledger.states():
        if ledger.claim(state.index):
            ledger.complete(state.index, b"{}")


#: All that workers, sweeps and brokers may do to an audit, also late and twice.
STEPS: dict[str, Callable[[Audit], object]] = {
    "freeze": freeze,
    "begin": lambda audit: actions.begin_audit(audit=audit, actor=ACTOR),
    "score": take,
    "finish": finish,
    "fail": lambda audit: actions.fail_audit(audit=audit, error="it broke", actor=ACTOR),
    "confirm": lambda audit: actions.confirm_stopped(audit=audit, actor=ACTOR),
    "sweep": sweep,
    "work": lambda audit: work(audit.pk),
    "settle": workers._settle,
}
STEP = st.sampled_from(sorted(STEPS))


def do(name: str) -> None:
    with suppress(ComplianceError):
        STEPS[name](Audit.objects.get())


@pytest.mark.django_db
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    before=st.lists(STEP.filter(lambda name: name != "work"), max_size=4), after=st.lists(STEP, min_size=1, max_size=5)
)
def test_nothing_but_a_person_leads_back_from_a_stop(quiet: None, before: list[str], after: list[str]) -> None:
    from django.db import transaction

    with transaction.atomic():
        request(), [do(name) for name in before]
        audit = Audit.objects.get()
        if audit.state in ACTIVE:
            actions.stop_audit(audit=audit, reason="enough", actor=ACTOR)
            seen = [audit.state]
            for name in after:
                do(name)
                seen.append(Audit.objects.get().state)
            assert set(seen) <= {*STOPPED, JobState.FAILED}
            # Once it has stopped or failed it moves no more.
            ended = [state for state in seen if state in RESUMABLE]
            assert len(set(ended)) <= 1
            if ended:
                actions.retry_audit(audit=audit, queue="audits", actor=ACTOR)
                assert Audit.objects.get().state in (JobState.REQUESTED, JobState.QUEUED)
        transaction.set_rollback(True)


def test_the_picture_lets_nothing_but_going_on_out_of_a_stop() -> None:
    for state in JobState:
        assert not state.sources & RESUMABLE
    assert TRANSITIONS[JobState.CANCELLING] == {JobState.CANCELLED, JobState.FAILED}


@pytest.mark.django_db(transaction=True)
def test_a_stop_while_the_run_is_prepared_stands(database: str, quiet: None, monkeypatch: pytest.MonkeyPatch) -> None:
    request()

    def prepare(audit: Audit, _: object) -> bool:
        """As a worker does it that takes its time: somebody presses Stop before it comes to its end."""
        claim_token = workers._claim(audit, JobState.REQUESTED, what="preparing it")
        actions.stop_audit(audit=Audit.objects.get(), reason="enough", actor=ACTOR)
        freeze(audit, claim_token=claim_token)
        return True

    monkeypatch.setattr(workers, "_prepare", prepare)
    monkeypatch.setattr(workers, "score", lambda *_, **__: pytest.fail("it was stopped"))
    work(Audit.objects.get().pk)
    sweep(Audit.objects.get())
    assert Audit.objects.get().state == JobState.CANCELLED
    assert not Audit.objects.get().frozen


@pytest.mark.django_db(transaction=True)
def test_who_prepared_before_a_stop_does_not_freeze_what_somebody_asked_for_again(database: str, quiet: None) -> None:
    audit = request()
    slow = workers._claim(audit, JobState.REQUESTED, what="preparing it")
    actions.stop_audit(audit=audit, reason="enough", actor=ACTOR)
    actions.retry_audit(audit=audit, queue="audits", actor=ACTOR)
    with pytest.raises(ComplianceError):
        freeze(audit, claim_token=slow)
    freeze(audit, claim_token=workers._claim(audit, JobState.REQUESTED, what="preparing it"))
    assert Audit.objects.get().state == JobState.QUEUED


@pytest.mark.django_db(transaction=True)
def test_a_stop_while_it_is_concluded_stands_and_is_settled(
    database: str, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = freeze(request())
    take(audit)

    def conclude(audit: Audit, **_: object) -> None:
        actions.stop_audit(audit=Audit.objects.get(), reason="enough", actor=ACTOR)
        finish(audit)

    monkeypatch.setattr(workers, "score", lambda *_, **__: True)
    monkeypatch.setattr(workers, "finish", conclude)
    work(audit.pk)
    assert Audit.objects.get().state == JobState.CANCELLED
    actions.retry_audit(audit=audit, queue="audits", actor=ACTOR)
    monkeypatch.setattr(workers, "finish", lambda audit, **_: finish(audit))
    work(audit.pk)
    assert Audit.objects.get().state == JobState.DONE
