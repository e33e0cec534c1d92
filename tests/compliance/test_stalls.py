"""A phase that gave no sign for too long: freed at once, given up after three times, with the reason."""

from __future__ import annotations

import pytest

from auditor.exceptions import RunError
from compliance import actions
from compliance.execution import workers
from compliance.execution.job import JobState
from compliance.execution.ledger import DatabaseLedger
from compliance.execution.runner import MOST_ATTEMPTS, _counted
from compliance.execution.stalls import enter_stall
from compliance.execution.steps import Step
from compliance.execution.workers import CONCLUDING, PREPARING, work
from compliance.models import Audit, Event, Registration, RegistrationState, Worker, default_team
from compliance.registry.registration import perform_registration
from tests.compliance.factories import ACTOR
from tests.compliance.jobs import freeze, request
from tests.compliance.messages import keep_messages

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("database", "quiet")]

LATE = "took longer than 3,600 s without reporting progress; PLUMBLINE_STEP_SECONDS allows more"
GIVEN_UP = f"it was begun {MOST_ATTEMPTS} times and will not be tried again by itself"


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker."""
    keep_messages(monkeypatch)


def begun(*, scored: bool = False) -> Audit:
    audit = freeze(request())
    actions.begin_audit(audit=audit, actor=ACTOR)
    for state in DatabaseLedger(audit).states() if scored else ():
        DatabaseLedger(audit).claim(state.index), DatabaseLedger(audit).complete(state.index, b"{}")
    return audit


def stall(audit: Audit, what: str, claim_token: str = "") -> None:
    enter_stall("audit", audit.pk, Step(seconds=3600, what=what, claim_token=claim_token))


@pytest.mark.parametrize("what", [PREPARING, CONCLUDING])
def test_what_one_worker_does_is_freed_at_once_and_given_up_with_the_reason(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = JobState.REQUESTED if what == PREPARING else JobState.RUNNING
    audit = request() if what == PREPARING else begun(scored=True)
    monkeypatch.setattr(workers, "score", lambda *_, **__: True)
    for _ in range(MOST_ATTEMPTS):
        claim_token = workers._claim(audit, state, what=what)
        assert claim_token  # nobody waits for a lease
        stall(audit, what, claim_token)
        found = Audit.objects.get()
        assert (found.state, found.claim_token, found.error) == (state, "", f"{what} {LATE}")
    work(audit.pk)
    reason = f"A-0001: {what} {LATE}; {GIVEN_UP}"
    assert (Audit.objects.get().state, Audit.objects.get().error) == (JobState.FAILED, reason)
    assert reason in Event.objects.get(action="audit.failed").payload.data_json
    actions.retry_audit(audit=audit, queue="audits", actor=ACTOR)
    assert (Audit.objects.get().error, Audit.objects.get().attempts) == ("", 0)


def test_a_model_that_does_not_come_to_be_loaded_is_given_up_with_the_reason() -> None:
    audit = begun()
    Worker.objects.create(key="1", host="h", queues=["audits"], seen_at=Audit.objects.get().created_at)
    times = MOST_ATTEMPTS + 1
    loaders = [_counted(audit) for _ in range(times)]
    for loader in loaders:
        loader.__enter__()  # and never out
        stall(audit, "loading the model")
    with pytest.raises(RunError, match=f"loading the model {LATE}; it was begun {times} times"), _counted(audit):
        pass


def test_what_was_freed_and_taken_by_another_stays_with_it() -> None:
    audit = request()
    slow = workers._claim(audit, JobState.REQUESTED, what=PREPARING)
    Audit.objects.update(claim_token="")
    quick = workers._claim(audit, JobState.REQUESTED, what=PREPARING)
    stall(audit, PREPARING, slow)
    assert Audit.objects.get().claim_token == quick


def test_what_comes_to_an_end_after_all_says_nothing_of_the_times_before() -> None:
    audit = request()
    stall(audit, PREPARING, workers._claim(audit, JobState.REQUESTED, what=PREPARING))
    freeze(audit, claim_token=workers._claim(audit, JobState.REQUESTED, what=PREPARING))
    assert Audit.objects.get().error == ""
    actions.begin_audit(audit=audit, actor=ACTOR)
    stall(audit, "loading the model")
    DatabaseLedger(audit).claim(0), DatabaseLedger(audit).complete(0, b"{}")
    assert Audit.objects.get().error == ""


def test_a_stop_is_not_talked_over() -> None:
    audit = begun(scored=True)
    claim_token = workers._claim(audit, JobState.RUNNING, what=CONCLUDING)
    actions.stop_audit(audit=audit, reason="enough", actor=ACTOR)
    stall(audit, CONCLUDING, claim_token)
    assert (Audit.objects.get().state, Audit.objects.get().error) == (JobState.CANCELLING, "")


def test_a_registration_is_freed_at_once_and_given_up_with_the_reason() -> None:
    row = actions.request_data(team=default_team(), name="Loans", source="demo:loanapp", actor=ACTOR)
    for _ in range(MOST_ATTEMPTS):
        assert actions.begin_registration(registration=row)
        enter_stall("registration", row.pk, Step(seconds=3600, what="registering it", claim_token="another"))
        assert not actions.begin_registration(registration=row)  # its claim is alive
        enter_stall("registration", row.pk, Step(seconds=3600, what="registering it", claim_token=row.claim_token))
        assert Registration.objects.get().error == f"registering it {LATE}"
    perform_registration(row.pk)
    row.refresh_from_db()
    reason = f"Loans: registering it {LATE}; {GIVEN_UP}"
    assert (row.state, row.error) == (RegistrationState.FAILED, reason)
    assert reason in Event.objects.get(action="registration.failed").payload.data_json
    actions.try_again(registration=row, actor=ACTOR)
    perform_registration(row.pk)
    row.refresh_from_db()
    assert (row.state, row.error) == (RegistrationState.READY, "")
