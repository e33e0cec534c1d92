"""The sweep on either database: who is called again, once, whatever the clock did; and who gives up after how often."""

from __future__ import annotations

import time
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client

from auditor.exceptions import RunError
from compliance import actions
from compliance.exceptions import StateError
from compliance.execution import workers
from compliance.execution.dispatch import enqueue_registration
from compliance.execution.job import JobState
from compliance.execution.ledger import DatabaseLedger
from compliance.execution.runner import MOST_ATTEMPTS, _counted
from compliance.execution.workers import enqueue_all, reap, work
from compliance.models import Audit, Event, Registration, RegistrationState, Worker, default_team
from compliance.registry.registration import perform_registration
from tests.compliance.factories import ACTOR
from tests.compliance.jobs import freeze, person, request
from tests.compliance.messages import keep_messages

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("database")]

LONG = timedelta(hours=2)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Whom workers were called for, in place of the broker's messages."""
    return keep_messages(monkeypatch)


def shift(by: timedelta, *rows: type) -> None:
    """Let the last heartbeat be that much later; earlier, if it is negative."""
    for row in rows:
        row.objects.update(seen_at=Now() + by)


def begun(audit: Audit) -> Audit:
    actions.begin_audit(audit=freeze(audit), actor=ACTOR)
    return audit


def wanted() -> Registration:
    return actions.request_data(team=default_team(), name="Loans", source="demo:loanapp", actor=ACTOR)


@pytest.mark.parametrize("state", ["requested", "queued", "running"])
def test_an_audit_whose_worker_was_lost_has_one_called_once(state: str, called: list[tuple[str, int]]) -> None:
    audit = request()
    Audit.objects.update(state=state, claim_token="lost")
    shift(-LONG, Audit)
    called.clear()
    assert (reap(), reap()) == (1, 0)
    assert called == [("compliance.work_on", audit.pk)]
    assert Audit.objects.get().claim_token == ""


@pytest.mark.parametrize("by", [-LONG, LONG])
def test_a_lost_registration_has_a_worker_called_once(by: timedelta, called: list[tuple[str, int]]) -> None:
    row = wanted()
    assert actions.begin_registration(registration=row)
    assert not actions.begin_registration(registration=row)  # its claim is alive
    called.clear()
    assert reap() == 0
    shift(by, Registration)
    assert (reap(), reap()) == (1, 0)
    assert called == [("compliance.register", row.pk)]
    assert actions.begin_registration(registration=row)


def test_a_clock_set_back_does_not_silence_the_sweep(called: list[tuple[str, int]]) -> None:
    audit = begun(request())
    shift(LONG, Audit)  # the last sign was given before the clock went back two hours
    called.clear()
    assert (reap(), reap()) == (1, 0)
    assert called == [("compliance.work_on", audit.pk)]


def test_a_clock_set_back_does_not_keep_a_chunk_or_a_worker() -> None:
    audit = begun(request())
    first, second = DatabaseLedger(audit), DatabaseLedger(audit)
    assert first.claim(0)
    assert not second.claim(0)
    audit.chunks.update(lease_expires_at=Now() + LONG)
    assert second.claim(0)
    Worker.objects.create(key="1", host="h", queues=["audits"], seen_at=Audit.objects.get().created_at)
    assert len(Worker.objects.listening("audits")) == 1
    shift(LONG, Worker)
    assert not Worker.objects.listening("audits")


def test_two_sweeps_at_once_make_one_call(called: list[tuple[str, int]]) -> None:
    request()
    shift(-LONG, Audit)
    called.clear()
    together, found = Barrier(4), []

    def sweep() -> None:
        together.wait()
        found.append(reap())
        connection.close()

    threads = [Thread(target=sweep) for _ in range(4)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert sum(found) == len(called) == 1


def test_who_only_looks_in_records_no_heartbeat_for_a_claim_that_is_dead(
    called: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = begun(request())
    Audit.objects.update(claim_token="dead", seen_at=Now() - LONG / 2)
    monkeypatch.setattr(workers, "score", lambda audit, **_: time.sleep(0.5))
    work(audit.pk)
    assert reap() == 1


def test_a_new_worker_leaves_what_is_claimed_to_its_claim_or_to_the_sweep(called: list[tuple[str, int]]) -> None:
    row = wanted()
    actions.begin_registration(registration=row)
    called.clear()
    enqueue_all(["audits"])
    assert called == []


def lost(*, times: int) -> None:
    """Workers that are called one after another, begin, and are never heard of again."""
    for _ in range(times):
        shift(-LONG, Audit, Registration)
        reap()


def test_what_cannot_be_prepared_by_any_process_has_failed_and_says_why(
    called: list[tuple[str, int]], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = request()
    for _ in range(MOST_ATTEMPTS):
        assert workers._claim(audit, JobState.REQUESTED, what="preparing it")
        assert not workers._claim(audit, JobState.REQUESTED, what="preparing it")
        lost(times=1)
    work(audit.pk)
    reason = f"A-0001: preparing it ended its process {MOST_ATTEMPTS} times without a word; it will not be tried "
    reason += "again by itself"
    assert (Audit.objects.get().state, Audit.objects.get().error) == (JobState.FAILED, reason)
    assert reason in Event.objects.get(action="audit.failed").payload.data_json
    client.force_login(person("officer", "run_audit", "view_audit"))
    page = client.get("/audits/A-0001/").content.decode()
    assert reason in page
    assert "/audits/A-0001/retry/" in page
    actions.retry_audit(audit=audit, queue="audits", actor=ACTOR)
    assert workers._claim(audit, JobState.REQUESTED, what="preparing it")  # counted anew


def test_what_cannot_be_concluded_by_any_process_has_failed_and_says_why(
    called: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = begun(request())
    for index in range(3):
        DatabaseLedger(audit).claim(index), DatabaseLedger(audit).complete(index, b"{}")
    for _ in range(MOST_ATTEMPTS):
        assert workers._claim(audit, JobState.RUNNING, what="concluding it")
        lost(times=1)
    monkeypatch.setattr(workers, "score", lambda audit, **_: True)
    work(audit.pk)
    assert Audit.objects.get().state == JobState.FAILED
    assert Audit.objects.get().error.startswith(
        "A-0001: concluding it and writing its report ended its process 3 times"
    )


def test_concluding_that_ended_with_a_word_is_given_back(
    called: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = begun(request())
    monkeypatch.setattr(workers, "score", lambda audit, **_: True)
    work(audit.pk)  # three chunks are not done
    found = Audit.objects.get()
    assert (found.state, found.claim_token, found.attempts) == (JobState.FAILED, "", 0)
    assert found.error.startswith("the run has 3 chunks left to score")


def test_a_model_that_no_process_can_load_fails_the_run_unless_that_many_load_it_now() -> None:
    audit = begun(request())
    loaders = [_counted(audit) for _ in range(MOST_ATTEMPTS)]
    for loader in loaders:
        loader.__enter__()  # and never out
    with pytest.raises(RunError, match=r"loading the model ended its process 3 times without a word"), _counted(audit):
        pass
    Worker.objects.create(key="1", host="h", queues=["audits"], seen_at=Audit.objects.get().created_at)
    with _counted(audit):
        assert Audit.objects.get().attempts == MOST_ATTEMPTS + 1
    ledger = DatabaseLedger(audit)
    ledger.claim(0), ledger.complete(0, b"{}")
    assert Audit.objects.get().attempts == 0


def test_what_no_process_can_register_has_failed_and_is_tried_again_by_a_person(
    called: list[tuple[str, int]], client: Client
) -> None:
    row = wanted()
    for _ in range(MOST_ATTEMPTS):
        assert actions.begin_registration(registration=row)
        lost(times=1)
    perform_registration(row.pk)
    row.refresh_from_db()
    assert row.state == RegistrationState.FAILED
    assert row.error.startswith("Loans: registering it ended its process 3 times without a word")
    assert "3 times" in Event.objects.get(action="registration.failed").payload.data_json
    client.force_login(person("officer", "add_datasetversion", "view_registration"))
    assert "3 times" in client.get(f"/register/{row.public_id}/").content.decode()
    assert client.post(f"/register/{row.public_id}/again/").status_code == 302
    perform_registration(row.pk)
    row.refresh_from_db()
    assert (row.state, row.attempts) == (RegistrationState.READY, 0)


def test_a_registration_whose_process_died_is_tried_again_and_the_dead_ones_word_counts_no_more(
    called: list[tuple[str, int]], client: Client
) -> None:
    row = wanted()
    dead = Registration.objects.get()
    actions.begin_registration(registration=dead)
    client.force_login(person("officer", "add_datasetversion", "view_registration"))
    address = f"/register/{row.public_id}/"
    assert ">Try again<" not in client.get(address).content.decode()
    shift(-LONG, Registration)
    assert ">Try again<" in client.get(address).content.decode()
    assert client.post(f"{address}again/").status_code == 302
    assert called[-1] == ("compliance.register", row.pk)
    assert Registration.objects.get().state == RegistrationState.WAITING
    with pytest.raises(StateError):
        actions.fail_registration(registration=dead, error="late", actor=ACTOR)
    perform_registration(row.pk)
    assert Registration.objects.get().state == RegistrationState.READY
    with pytest.raises(StateError):
        actions.fail_registration(registration=dead, error="late", actor=ACTOR)


def test_a_waiting_registration_is_not_called_for_at_every_sweep(called: list[tuple[str, int]]) -> None:
    row = wanted()
    enqueue_registration(row)
    called.clear()
    assert reap() == 0
    shift(-LONG, Registration)
    assert (reap(), reap(), called) == (1, 0, [("compliance.register", row.pk)])
