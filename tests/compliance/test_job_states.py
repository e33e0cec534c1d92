"""Which action moves a job where, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.utils import timezone

from auditor.records import Conclusion, Finding, Measurement, Role, Severity
from compliance import actions
from compliance.exceptions import EvidenceError, StateError
from compliance.execution.job import ACTIVE, INCOMPLETE, TERMINAL, TRANSITIONS, JobState
from compliance.execution.ledger import DatabaseLedger
from compliance.models import Audit, AuditChunk, ChunkState, Event, FindingRow, MeasurementRow
from tests.compliance.factories import ACTOR, make_audit, make_run, start

pytestmark = pytest.mark.django_db

MEASUREMENT = Measurement(
    id="counterfactual/cf_net_effect/race=b",
    test="counterfactual",
    metric="cf_net_effect",
    role=Role.PRIMARY,
    subject={"field": "race", "group": "b"},
    unit="rate_difference",
    reference="a",
    estimate=-0.032,
    low=-0.05,
    high=float("inf"),
    n=600,
    p_value=0.0004,
    conclusion=Conclusion.DIFFERENCE_FOUND,
    counts={"b": 21, "c": 2, "mde": 0.01},
    level=0.95,
)
FINDING = Finding(
    id="F-1",
    title="Race changes decisions",
    severity=Severity.HIGH,
    rule="high",
    condition="…",
    criteria=("12 CFR 1002.4(a)",),
    cause="…",
    effect="…",
    recommendation="…",
    measurements=(MEASUREMENT.id,),
)


def score_all(audit: Audit) -> None:
    ledger = DatabaseLedger(audit)
    for state in ledger.states():
        ledger.claim(state.index)
        ledger.complete(state.index, b"decisions")


def finish(audit: Audit) -> None:
    actions.finish_audit(
        audit=audit,
        measurements=[MEASUREMENT],
        findings=[FINDING],
        files={"report.pdf": "a" * 64},
        finished_at=timezone.now(),
        actor=ACTOR,
    )


ACTIONS: dict[str, Callable[[Audit], None]] = {
    "begin": lambda audit: actions.begin_audit(audit=audit, actor=ACTOR),
    "stop": lambda audit: actions.stop_audit(audit=audit, reason="enough", actor=ACTOR),
    "confirm": lambda audit: actions.confirm_stopped(audit=audit, actor=ACTOR),
    "fail": lambda audit: actions.fail_audit(audit=audit, error="out of memory", actor=ACTOR),
    "finish": finish,
}
ALLOWED = {
    ("begin", "queued"): "running",
    ("begin", "running"): "running",
    ("fail", "requested"): "failed",
    ("stop", "requested"): "cancelled",
    ("stop", "queued"): "cancelled",
    ("stop", "running"): "cancelling",
    ("stop", "cancelling"): "cancelling",
    ("confirm", "cancelling"): "cancelled",
    ("fail", "running"): "failed",
    ("fail", "cancelling"): "failed",
    ("finish", "running"): "done",
}


@pytest.mark.parametrize("state", list(JobState))
@pytest.mark.parametrize("name", list(ACTIONS))
def test_every_action_moves_a_job_as_drawn_or_is_refused(name: str, state: JobState) -> None:
    audit = start(run=make_run())
    score_all(audit)
    Audit.objects.filter(pk=audit.pk).update(state=state)
    audit.refresh_from_db()
    before = Event.objects.count()
    target = ALLOWED.get((name, state.value))
    if target is None:
        with pytest.raises(StateError, match=rf"A-0001: is {state.label.lower()}; expected one of: "):
            ACTIONS[name](audit)
        target = state.value
        assert Event.objects.count() == before
    else:
        ACTIONS[name](audit)
        assert Event.objects.count() == before + (target != state)
    assert Audit.objects.get().state == target


def test_the_picture_knows_every_state() -> None:
    assert set(TRANSITIONS) == set(JobState)
    assert {state for state, targets in TRANSITIONS.items() if not targets} == TERMINAL
    assert not ACTIVE & TERMINAL
    assert set(JobState) - TERMINAL == INCOMPLETE
    assert all(state.colour for state in JobState)


def test_a_run_with_chunks_left_cannot_be_finished() -> None:
    audit = make_audit()
    with pytest.raises(StateError, match="A-0001: 3 chunks are not scored yet"):
        finish(audit)
    assert not MeasurementRow.objects.exists()


def test_a_finished_run_holds_its_numbers_findings_and_file_hashes() -> None:
    audit = make_audit()
    score_all(audit)
    finish(audit)
    row = MeasurementRow.objects.get()
    assert (row.key, row.estimate, row.low, row.high) == (MEASUREMENT.id, -0.032, -0.05, None)
    assert row.counts == {"b": 21, "c": 2, "mde": 0.01}
    assert row.conclusion == "DIFFERENCE_FOUND"
    finding = FindingRow.objects.get()
    assert (finding.severity, finding.severity_rank, finding.measurement_keys) == ("high", 3, [MEASUREMENT.id])
    assert Audit.objects.get().files == {"report.pdf": "a" * 64}
    assert '"report.pdf":"' + "a" * 64 in Event.objects.get(action="audit.finished").payload.data_json
    with pytest.raises(EvidenceError, match="evidence cannot be changed"):
        row.save()


def test_the_same_run_goes_on_where_it_was_stopped() -> None:
    audit = make_audit()
    ledger = DatabaseLedger(audit)
    ledger.claim(0)
    ledger.complete(0, b"kept")
    ACTIONS["stop"](audit)
    ACTIONS["confirm"](audit)
    again = start(run=make_run())
    assert (again.pk, again.state) == (audit.pk, JobState.QUEUED)
    assert [state.done for state in DatabaseLedger(again).states()] == [True, False, False]
    assert Event.objects.filter(action="audit.resumed", object="A-0001").count() == 1


@pytest.mark.parametrize("state", ["queued", "running", "cancelling", "cancelled", "failed"])
def test_every_unfinished_run_is_gone_on_with(state: str) -> None:
    audit = make_audit()
    Audit.objects.update(state=state)
    AuditChunk.objects.filter(index=0).update(state=ChunkState.FAILED, lost=50)
    again = start(run=make_run())
    assert again.pk == audit.pk
    actions.begin_audit(audit=again, actor=ACTOR)
    failed = AuditChunk.objects.filter(state=ChunkState.FAILED).count()
    assert failed == (0 if state in ("cancelling", "cancelled", "failed") else 1)


def test_a_finished_run_is_not_reopened_but_run_again_under_a_new_number() -> None:
    audit = make_audit()
    score_all(audit)
    finish(audit)
    assert [start(run=make_run()).number, audit.number] == ["A-0002", "A-0001"]


def test_another_run_gets_a_number_of_its_own() -> None:
    assert [make_audit(name="one").number, make_audit(name="two").number] == ["A-0001", "A-0002"]


def test_a_stop_reaches_the_worker_at_its_next_batch() -> None:
    audit = make_audit()
    worker = DatabaseLedger(audit)
    assert not DatabaseLedger(audit).should_stop()
    ACTIONS["stop"](audit)
    assert worker.should_stop()


def test_what_is_registered_twice_is_one_version() -> None:
    make_audit(name="one")
    before = Event.objects.filter(action__endswith=".registered").count()
    make_audit(name="two")
    assert before == Event.objects.filter(action__endswith=".registered").count() == 3
