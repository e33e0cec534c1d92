"""Guards on persons: owners neither close, accept nor reject what they answer for, whatever roles they hold."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from auditor.records import Severity
from compliance import actions
from compliance.access.roles import Role
from compliance.dashboard.event_lines import event_lines
from compliance.exceptions import StateError
from compliance.governance.attestation import problems
from compliance.governance.deadlines import allowed_until
from compliance.governance.events import Actor
from compliance.governance.finding_states import FindingState
from compliance.models import (
    Audit,
    DesignState,
    Event,
    FindingNote,
    FindingRecord,
    LanguageModel,
    NotePurpose,
    default_team,
)
from tests.compliance.governed import FINDING, GONE, actor_of, approved_plan, conclude, open_finding, run, version_of
from tests.compliance.teams import make_person

pytestmark = pytest.mark.django_db
ALL = (Role.MODEL_OWNER, Role.VALIDATOR, Role.APPROVER, Role.COMPLIANCE_OFFICER)
S = FindingState


@pytest.fixture(autouse=True)
def _folder(settings: LazySettings, tmp_path) -> None:
    settings.DATA_FOLDER = tmp_path


@pytest.fixture
def record() -> FindingRecord:
    return open_finding()


@pytest.fixture
def ada() -> Actor:
    """Somebody with every role that decides: only guards on persons stand against her."""
    return actor_of(make_person("ada-all", default_team(), ALL))


@pytest.fixture
def ben() -> Actor:
    """A second one."""
    return actor_of(make_person("ben-all", default_team(), ALL))


def day(days: int):
    return timezone.now().date() + timedelta(days=days)


def answer(record: FindingRecord, actor: Actor, *, owner: User | None, due: int | None = 30, **said: str) -> None:
    actions.answer_finding(
        record=record, revision=record.revision, owner=owner, due=None if due is None else day(due),
        response=said.get("response", ""), remediation=said.get("remediation", "Another prompt."), actor=actor,
    )  # fmt: skip


def fixed(record: FindingRecord, actor: Actor) -> FindingNote:
    return actions.note_finding(
        record=record, name="fix.txt", content=b"Changed.", purpose=NotePurpose.FIX, actor=actor
    )


def to_validation(record: FindingRecord, actor: Actor) -> None:
    """As the owner's side leads it there."""
    answer(record, actor, owner=actor.user)
    for state in (S.ACKNOWLEDGED, S.ACTION_PLANNED, S.IN_REMEDIATION):
        actions.move_finding(record=record, to=state, actor=actor)
    fixed(record, actor)
    actions.move_finding(record=record, to=S.READY_FOR_VALIDATION, actor=actor)


def move(record: FindingRecord, to: FindingState, actor: Actor, **more) -> None:
    actions.move_finding(record=record, to=to, said="Looked at.", actor=actor, **more)


def test_a_finding_goes_from_open_to_closed_by_two_people(
    record: FindingRecord, ada: Actor, ben: Actor, tmp_path
) -> None:
    to_validation(record, ada)
    with pytest.raises(StateError, match="was not retested on a later version; expected a retest"):
        move(record, S.CLOSED_VALIDATED, ben)
    run(plan=record.plan, model=version_of(record.team, 2), findings=[], measurements=[GONE])
    with pytest.raises(StateError, match="answered for by the same person; expected another one"):
        move(record, S.CLOSED_VALIDATED, ada)
    with pytest.raises(StateError, match="without a rationale"):
        actions.move_finding(record=record, to=S.CLOSED_VALIDATED, said=" ", actor=ben)
    move(record, S.CLOSED_VALIDATED, ben)
    kept = FindingRecord.objects.get()
    assert (kept.stands, kept.rationale, kept.settled_rank) == (S.CLOSED_VALIDATED, "Looked at.", 3)
    told = [event.action for event in Event.objects.filter(object="F-0001").order_by("seq")]
    assert told == [
        "finding.opened", "finding.answered", "finding.acknowledged", "finding.action_planned",
        "finding.in_remediation", "finding.fix_attached", "finding.ready_for_validation", "finding.closed_validated",
    ]  # fmt: skip
    assert not [line for line in problems(folder=tmp_path) if "F-0001" in line or "note" in line]


def test_a_retest_that_still_shows_it_leads_back_and_not_on(record: FindingRecord, ada: Actor, ben: Actor) -> None:
    to_validation(record, ada)
    run(plan=record.plan, model=version_of(record.team, 2))
    with pytest.raises(StateError, match="A-0002 still shows it; expected a retest"):
        move(record, S.CLOSED_VALIDATED, ben)
    move(record, S.IN_REMEDIATION, ben)
    assert FindingRecord.objects.get().stands is S.IN_REMEDIATION
    # Whoever sends it back stands on the validator's side still.
    run(plan=record.plan, model=version_of(record.team, 3), findings=[], measurements=[GONE])
    fixed(record, ada)
    move(record, S.READY_FOR_VALIDATION, ada)
    move(record, S.CLOSED_VALIDATED, ben)


def test_who_owned_it_once_or_moved_it_closes_nothing_though_another_owner_is_entered(
    record: FindingRecord, ada: Actor, ben: Actor
) -> None:
    to_validation(record, ada)
    FindingRecord.objects.filter(pk=record.pk).update(owner=ben.user)
    run(plan=record.plan, model=version_of(record.team, 2), findings=[], measurements=[GONE])
    for person in (ada, ben):
        with pytest.raises(StateError, match="same person"):
            move(record, S.CLOSED_VALIDATED, person)


def test_who_was_made_the_owner_by_somebody_else_accepts_nothing_even_afterwards(
    record: FindingRecord, ada: Actor, ben: Actor
) -> None:
    answer(record, ada, owner=ben.user)
    answer(record, ada, owner=ada.user)
    move(record, S.ACKNOWLEDGED, ada)
    with pytest.raises(StateError, match="same person"):
        move(record, S.RISK_ACCEPTED, ben, until=day(60))


def test_who_answers_for_the_model_accepts_no_risk_of_it(record: FindingRecord, ada: Actor, ben: Actor) -> None:
    LanguageModel.objects.filter(pk=record.language_model_id).update(owner="BEN-ALL")
    move(record, S.ACKNOWLEDGED, ada)
    with pytest.raises(StateError, match="same person"):
        move(record, S.RISK_ACCEPTED, ben, until=day(60))


def test_who_answered_for_the_model_steps_aside_by_no_change_of_the_register(
    record: FindingRecord, ada: Actor, ben: Actor
) -> None:
    model = record.language_model
    for owner in (" Ｂen-ALL ", "somebody", "nobody"):
        actions.describe_language_model(language_model=model, description={"owner": owner}, actor=ben)
    move(record, S.ACKNOWLEDGED, ada)
    with pytest.raises(StateError, match="same person"):
        move(record, S.RISK_ACCEPTED, ben, until=day(60))
    cleo = actor_of(make_person("cleo", record.team, ALL))
    move(record, S.RISK_ACCEPTED, cleo, until=day(60))


def test_who_was_entered_with_the_model_answers_for_it_afterwards(ada: Actor, ben: Actor) -> None:
    told = {"name": "Another", "owner": "ben-all"}
    model = actions.open_language_model(team=default_team(), description=told, actor=ada)
    actions.describe_language_model(language_model=model, description={"owner": "ada-all"}, actor=ben)
    run(plan=approved_plan(default_team()), model=version_of(default_team(), 9, of=model))
    record = FindingRecord.objects.get()
    with pytest.raises(StateError, match="same person"):
        actions.propose_rejection(record=record, reason="No.", actor=ben)


@pytest.mark.parametrize("until", [None, 0, -1])
def test_a_risk_is_accepted_until_a_day_to_come(
    record: FindingRecord, ada: Actor, ben: Actor, until: int | None
) -> None:
    move(record, S.ACKNOWLEDGED, ada)
    with pytest.raises(StateError, match=r"expected (one|a day to come)$"):
        move(record, S.RISK_ACCEPTED, ben, until=None if until is None else day(until))
    move(record, S.RISK_ACCEPTED, ben, until=day(1))
    assert FindingRecord.objects.get().accepted_until == day(1)


def test_a_critical_risk_is_not_accepted(ada: Actor, ben: Actor) -> None:
    record = open_finding(severity=Severity.CRITICAL)
    move(record, S.ACKNOWLEDGED, ada)
    with pytest.raises(StateError, match="is critical"):
        move(record, S.RISK_ACCEPTED, ben, until=day(60))


def seen_at(record: FindingRecord, severity: Severity, number: int) -> Audit:
    """An audit of another version sees it again, at a severity."""
    model = version_of(record.team, number)
    return run(plan=record.plan, model=model, findings=[replace(FINDING, severity=severity)])


def test_a_milder_sighting_neither_lets_a_critical_risk_be_accepted_nor_moves_its_day(ada: Actor, ben: Actor) -> None:
    record = open_finding(severity=Severity.CRITICAL)
    allowed = record.allowed_until
    move(record, S.ACKNOWLEDGED, ada)
    seen_at(record, Severity.LOW, 2)
    record.refresh_from_db()
    assert (record.severity, record.allowed_until) == ("low", allowed)
    with pytest.raises(StateError, match="is critical"):
        move(record, S.RISK_ACCEPTED, ben, until=day(60))


def test_a_graver_sighting_moves_its_day_to_an_earlier_one() -> None:
    record = open_finding(severity=Severity.LOW)
    seen_at(record, Severity.CRITICAL, 2)
    seen_at(record, Severity.HIGH, 3)
    assert FindingRecord.objects.get().allowed_until == allowed_until("critical", seen=timezone.now().date())


def test_what_is_settled_is_settled_at_the_gravest_severity_since_it_was_opened(
    record: FindingRecord, ada: Actor, ben: Actor
) -> None:
    seen_at(record, Severity.LOW, 2)
    move(record, S.ACKNOWLEDGED, ada)
    move(record, S.RISK_ACCEPTED, ben, until=day(60))
    assert FindingRecord.objects.get().settled_rank == record.sightings.last().finding.severity_rank == 3
    # Opened anew by a graver sighting, it is as grave as it was seen since.
    seen_at(record, Severity.CRITICAL, 3)
    record.refresh_from_db()
    assert (record.stands, record.critical) == (S.OPEN, True)


def test_what_was_critical_before_it_was_closed_may_be_accepted_once_it_is_opened_anew_at_less(
    ada: Actor, ben: Actor
) -> None:
    record = open_finding(severity=Severity.CRITICAL)
    FindingRecord.objects.filter(pk=record.pk).update(state=S.CLOSED_VALIDATED, settled_rank=4)
    seen_at(record, Severity.LOW, 2)
    record.refresh_from_db()
    assert (record.stands, record.critical) == (S.OPEN, False)
    assert record.allowed_until == allowed_until("low", seen=timezone.now().date())


def test_a_risk_is_accepted_for_a_year_at_most(record: FindingRecord, ada: Actor, ben: Actor) -> None:
    move(record, S.ACKNOWLEDGED, ada)
    with pytest.raises(StateError, match="expected a day within a year"):
        move(record, S.RISK_ACCEPTED, ben, until=day(367))
    move(record, S.RISK_ACCEPTED, ben, until=day(366))


def test_a_graver_sighting_drops_a_proposed_rejection(record: FindingRecord, ada: Actor, ben: Actor) -> None:
    actions.propose_rejection(record=record, reason="The prompt was a draft.", actor=ada)
    read = record.revision
    seen_at(record, Severity.HIGH, 2)
    record.refresh_from_db()
    assert (record.rejection_by, record.revision) == ("ada-all", read)
    seen_at(record, Severity.CRITICAL, 3)
    record.refresh_from_db()
    assert (record.rejection_by, record.rejection_reason, record.revision) == ("", "", read + 1)
    event = Event.objects.filter(action="finding.seen_again").latest("seq")
    assert json.loads(event.payload.data_json)["rejection_proposed_by"] == "ada-all"
    assert "the rejection that ada-all proposed is dropped" in next(event_lines([event])).what
    with pytest.raises(StateError, match="has not been proposed for rejection"):
        move(record, S.REJECTED_WITH_RATIONALE, ben)


def test_whoever_moves_a_finding_moves_the_one_they_read(record: FindingRecord, ada: Actor, ben: Actor) -> None:
    read = record.revision
    seen_at(record, Severity.CRITICAL, 2)
    with pytest.raises(
        StateError, match=r"^F-0001: was changed in the meantime; expected your move on what it is now$"
    ):
        move(record, S.ACKNOWLEDGED, ada, revision=read)
    record.refresh_from_db()
    move(record, S.ACKNOWLEDGED, ada, revision=record.revision)


def test_an_acceptance_that_has_expired_is_open_to_whoever_comes_before_the_sweep(
    record: FindingRecord, ada: Actor, ben: Actor
) -> None:
    move(record, S.ACKNOWLEDGED, ada)
    move(record, S.RISK_ACCEPTED, ben, until=day(5))
    with pytest.raises(StateError, match="from where nobody leads it to acknowledged"):
        move(record, S.ACKNOWLEDGED, ada)
    with time_machine.travel(timezone.now() + timedelta(days=5)):
        move(record, S.ACKNOWLEDGED, ada)
    told = [event.action for event in Event.objects.filter(object="F-0001").order_by("seq")][-2:]
    assert told == ["finding.acceptance_expired", "finding.acknowledged"]


def test_a_rejection_is_proposed_by_one_and_confirmed_by_another(record: FindingRecord, ada: Actor, ben: Actor) -> None:
    with pytest.raises(StateError, match="has not been proposed for rejection"):
        move(record, S.REJECTED_WITH_RATIONALE, ben)
    with pytest.raises(StateError, match="without a rationale"):
        actions.propose_rejection(record=record, reason="  ", actor=ada)
    actions.propose_rejection(record=record, reason="The prompt was a draft.", actor=ada)
    assert FindingRecord.objects.get().stands is S.OPEN
    with pytest.raises(StateError, match="proposed to reject it already"):
        actions.propose_rejection(record=record, reason="Me too.", actor=ben)
    with pytest.raises(StateError, match="by the same person; expected a second one"):
        move(record, S.REJECTED_WITH_RATIONALE, ada)
    move(record, S.REJECTED_WITH_RATIONALE, ben)
    kept = FindingRecord.objects.get()
    assert (kept.stands, kept.rationale, kept.rejection_by) == (
        S.REJECTED_WITH_RATIONALE, "The prompt was a draft.", "",
    )  # fmt: skip
    event = Event.objects.get(action="finding.rejected_with_rationale")
    assert json.loads(event.payload.data_json)["rejection_proposed_by"] == "ada-all"


def test_an_owner_neither_proposes_nor_confirms_a_rejection(record: FindingRecord, ada: Actor, ben: Actor) -> None:
    answer(record, ada, owner=ada.user)
    with pytest.raises(StateError, match="same person"):
        actions.propose_rejection(record=record, reason="No.", actor=ada)
    actions.propose_rejection(record=record, reason="No.", actor=ben)
    with pytest.raises(StateError, match="same person"):
        move(record, S.REJECTED_WITH_RATIONALE, ada)


def test_a_proposed_rejection_is_wiped_by_nobody_and_declined_with_a_reason(
    record: FindingRecord, ada: Actor, ben: Actor, tmp_path
) -> None:
    actions.propose_rejection(record=record, reason="No.", actor=ada)
    with pytest.raises(StateError, match="that nobody has decided on; expected it to be confirmed or declined first"):
        move(record, S.ACKNOWLEDGED, ben)
    assert FindingRecord.objects.get().rejection_by == ada.name
    with pytest.raises(StateError, match="without a rationale"):
        actions.decline_rejection(record=record, reason=" ", actor=ben)
    actions.decline_rejection(record=record, reason="It was no test.", actor=ben)
    with pytest.raises(StateError, match="has not been proposed for rejection; expected a proposal to decline"):
        actions.decline_rejection(record=record, reason="Again.", actor=ben)
    move(record, S.ACKNOWLEDGED, ben)
    told = Event.objects.get(action="finding.rejection_declined").payload
    assert ("It was no test." in told.data_json, ada.name in told.data_json) == (True, True)
    assert not [line for line in problems(folder=tmp_path) if "F-0001" in line]


def test_nobody_decides_without_an_account(record: FindingRecord) -> None:
    shell = Actor(name="root", role="command line")
    for act in (
        lambda: move(record, S.ACKNOWLEDGED, shell),
        lambda: actions.propose_rejection(record=record, reason="No.", actor=shell),
        lambda: actions.note_finding(record=record, text="Hm.", actor=shell),
        lambda: answer(record, shell, owner=None),
    ):
        with pytest.raises(PermissionDenied):
            act()
    assert Event.objects.filter(object="F-0001").count() == 1


# What the owner's side writes.


def test_an_owner_is_one_who_may_answer_and_a_day_is_to_come(record: FindingRecord, ada: Actor) -> None:
    people = [make_person("stranger"), make_person("examines", default_team(), [Role.EXAMINER])]
    # Entered once as owners, these could not judge it any more: an owner would choose who does.
    people += [make_person(f"only {role}", default_team(), [role]) for role in (Role.VALIDATOR, Role.APPROVER)]
    for person in people:
        with pytest.raises(StateError, match="does not answer findings in Default; expected a member who does"):
            answer(record, ada, owner=person)
    with pytest.raises(StateError, match="is past; expected a day to come"):
        answer(record, ada, owner=ada.user, due=-1)
    record.refresh_from_db()
    answer(record, ada, owner=ada.user, response="We saw it.", remediation="Another prompt.")
    kept = FindingRecord.objects.get()
    assert (kept.owner, kept.due, kept.response, kept.remediation) == (
        ada.user, day(30), "We saw it.", "Another prompt.",
    )  # fmt: skip
    count = Event.objects.count()
    answer(kept, ada, owner=ada.user, response="We saw it.", remediation="Another prompt.")
    assert Event.objects.count() == count


def test_two_who_write_at_once_are_told(record: FindingRecord, ada: Actor, ben: Actor) -> None:
    answer(record, ada, owner=ada.user)
    with pytest.raises(StateError, match="somebody else changed it in the meantime"):
        actions.answer_finding(
            record=record, revision=1, owner=ben.user, due=None, response="", remediation="", actor=ben
        )


def test_an_action_is_planned_once_owner_and_day_are_set(record: FindingRecord, ada: Actor) -> None:
    move(record, S.ACKNOWLEDGED, ada)
    with pytest.raises(StateError, match="has no owner and no due date"):
        move(record, S.ACTION_PLANNED, ada)
    answer(record, ada, owner=ada.user, due=None)
    with pytest.raises(StateError, match="has no due date; expected both"):
        move(record, S.ACTION_PLANNED, ada)
    answer(record, ada, owner=ada.user, remediation=" ")
    with pytest.raises(StateError, match="has no remediation plan; expected what will be changed"):
        move(record, S.ACTION_PLANNED, ada)
    answer(record, ada, owner=ada.user, remediation="Another prompt.")
    move(record, S.ACTION_PLANNED, ada)
    for taken, name in (({"owner": None}, "owner"), ({"due": None}, "due date"), ({"remediation": ""}, "remediation")):
        with pytest.raises(StateError, match=f"is action planned and would have no {name}"):
            answer(record, ada, **{"owner": ada.user, "remediation": "Another prompt.", **taken})


def test_nothing_is_answered_once_it_is_handed_over(record: FindingRecord, ada: Actor) -> None:
    to_validation(record, ada)
    with pytest.raises(StateError, match="is ready for validation; expected one that is not handed over"):
        answer(record, ada, owner=None)
    with pytest.raises(StateError, match="is ready for validation"):
        fixed(record, ada)
    actions.note_finding(record=record, text="Still to be read.", actor=ada)


# Retests.


def test_a_retest_runs_the_same_design_and_data_on_another_version(record: FindingRecord, ada: Actor) -> None:
    first, other = record.opened_in, version_of(record.team, 2)
    ask = {"record": record, "queue": "audits", "request_key": "k", "actor": ada}
    audit = actions.retest_finding(model=other, **ask)
    assert actions.retest_finding(model=other, **ask) == audit
    assert (audit.plan, audit.data, audit.model, audit.governed) == (first.plan, first.data, other, True)
    assert Event.objects.filter(action="finding.retest_requested").count() == 1
    conclude(audit, findings=[], measurements=[GONE])
    assert FindingRecord.objects.get().sightings.count() == 1


def test_a_retest_is_of_another_version_of_the_same_model(record: FindingRecord, ada: Actor) -> None:
    other = actions.open_language_model(team=record.team, description={"name": "Another"}, actor=ada)
    ask = {"record": record, "queue": "audits", "request_key": "k"}
    with pytest.raises(StateError, match="is of another model"):
        actions.retest_finding(model=version_of(record.team, 9, of=other), actor=ada, **ask)
    with pytest.raises(StateError, match="expected another version"):
        actions.retest_finding(model=record.opened_in.model, actor=ada, **ask)
    run(plan=record.plan, model=version_of(record.team, 7), measurements=[])
    later = FindingRecord.objects.exclude(pk=record.pk).get()
    with pytest.raises(StateError, match=r"was registered before it was seen in .*; expected a later version"):
        actions.retest_finding(model=record.opened_in.model, actor=ada, **{**ask, "record": later})
    second, nobody = version_of(record.team, 2), actor_of(make_person("reads", record.team, [Role.INTERNAL_AUDIT]))
    with pytest.raises(PermissionDenied):
        actions.retest_finding(model=second, actor=nobody, **ask)
    actions.decide_on_design(plan=record.plan, state=DesignState.RETIRED, reason="Old.", actor=ada)
    with pytest.raises(StateError, match="is retired; expected an approved one"):
        actions.retest_finding(model=version_of(record.team, 2), actor=ada, **ask)
    assert Audit.objects.count() == 2
