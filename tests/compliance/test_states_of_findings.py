"""The one table of what a finding may become: as the policy data have it, each guard with what it lets through."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.access.roles import Role
from compliance.governance.finding_states import (
    SETTLED,
    TRANSITIONS,
    Facts,
    FindingState,
    Guard,
    Retest,
    overdue,
    reopens,
    transition,
    ways_from,
)

WORKFLOW = json.loads((Path(__file__).with_name("finding_workflow.json")).read_text(encoding="utf-8"))
TODAY = date(2026, 11, 30)
#: What each phrase of the policy data asks for; *not the owner* stands for a person, not for a role.
GUARDS = {
    "rationale required": {Guard.RATIONALE},
    "second person confirms": {Guard.SECOND_PERSON},
    "owner and due date set": {Guard.OWNER_AND_DUE_DATE},
    "evidence of fix attached": {Guard.FIX_ATTACHED},
    "retest on the same frozen plan passed": {Guard.RETEST_CLEAR},
    "person is not the owner": {Guard.NOT_THE_OWNER},
    "retest failed": {Guard.RETEST_FAILED},
    "expiry set": {Guard.EXPIRY},
    "not for critical": {Guard.NOT_CRITICAL},
    "acceptance expired": {Guard.EXPIRED},
    "": set(),
}
#: What the table asks for beyond the policy data (docs/decisions/0050): more reasons, and owners who do not reject.
BEYOND = {
    ("open", "acknowledged"): {Guard.NO_REJECTION_WAITS},
    ("open", "rejected_with_rationale"): {Guard.NOT_THE_OWNER},
    ("acknowledged", "action_planned"): {Guard.PLAN_WRITTEN},
    ("ready_for_validation", "closed_validated"): {Guard.RATIONALE},
    ("acknowledged", "risk_accepted"): {Guard.RATIONALE},
    ("action_planned", "risk_accepted"): {Guard.RATIONALE},
}
GOOD = Facts(
    owner=True, due=True, plan=True, fix_attached=True, said="Looked at.", until=date(2027, 3, 1), today=TODAY,
    proposed=True,
)  # fmt: skip
#: Of each guard the facts that it refuses, and a word of what it says; retests and expiries are set where they matter.
BAD = {
    Guard.OWNER_AND_DUE_DATE: (replace(GOOD, owner=False), "no owner"),
    Guard.PLAN_WRITTEN: (replace(GOOD, plan=False), "no remediation plan"),
    Guard.NO_REJECTION_WAITS: (GOOD, "a proposed rejection that nobody has decided on"),
    Guard.FIX_ATTACHED: (replace(GOOD, fix_attached=False), "no evidence of a fix"),
    Guard.RETEST_CLEAR: (replace(GOOD, retest=Retest.CANNOT_SAY, retest_words="A-0002 cannot say"), "A-0002"),
    Guard.RETEST_FAILED: (replace(GOOD, retest=Retest.CLEAR, retest_words="A-0002 shows it no longer"), "A-0002"),
    Guard.NOT_THE_OWNER: (replace(GOOD, answers_for_it=True), "another one"),
    Guard.NOT_CRITICAL: (replace(GOOD, critical=True), "critical"),
    Guard.EXPIRY: (replace(GOOD, until=TODAY), "30 Nov 2026"),
    Guard.RATIONALE: (replace(GOOD, said="  \n"), "rationale"),
    Guard.SECOND_PERSON: (replace(GOOD, proposed_it=True), "a second one"),
    Guard.EXPIRED: (GOOD, "in force"),
}


def good_for(item: object) -> Facts:
    guards = getattr(item, "guards", ())
    retest = Retest.CLEAR if Guard.RETEST_CLEAR in guards else Retest.SHOWS_IT
    proposed = Guard.NO_REJECTION_WAITS not in guards
    return replace(GOOD, retest=retest, until=TODAY if Guard.EXPIRED in guards else GOOD.until, proposed=proposed)


def test_the_states_are_those_of_the_policy_data() -> None:
    assert [state.value for state in FindingState] == WORKFLOW["finding_states"]
    assert WORKFLOW["finding_states_derived"] == ["overdue"]
    assert {state.label for state in FindingState} == {state.label for state in list(FindingState)}


def test_the_transitions_are_those_of_the_policy_data_with_role_and_guards() -> None:
    told = {(source, target): (role, guard) for source, target, role, guard in WORKFLOW["finding_transitions"]}
    assert {(item.source.value, item.target.value) for item in TRANSITIONS} == set(told)
    assert len(TRANSITIONS) == len(told)
    for item in TRANSITIONS:
        pair = (item.source.value, item.target.value)
        role, words = told[pair]
        assert (item.role or "system") == role
        asked = set().union(*(GUARDS[part.strip()] for part in words.split(";")))
        assert set(item.guards) == asked | BEYOND.get(pair, set()), pair


@pytest.mark.parametrize("item", TRANSITIONS, ids=lambda item: f"{item.source} to {item.target}")
def test_each_guard_refuses_by_itself_and_nothing_else_does(item) -> None:
    assert item.refusal(good_for(item)) == ""
    for guard in item.guards:
        facts, word = BAD[guard]
        kept = good_for(item)
        if guard not in (Guard.RETEST_CLEAR, Guard.RETEST_FAILED):
            facts = replace(facts, retest=kept.retest)
        said = item.refusal(facts)
        assert word in said
        assert "; expected " in said
        assert "\n" not in said


def test_every_guard_is_used_and_tried() -> None:
    assert {guard for item in TRANSITIONS for guard in item.guards} == set(Guard) == set(BAD)


def test_a_rejection_that_nobody_proposed_is_refused() -> None:
    way = transition(FindingState.OPEN, FindingState.REJECTED_WITH_RATIONALE)
    assert way is not None
    assert "has not been proposed for rejection" in way.refusal(replace(GOOD, proposed=False))


def test_what_was_never_retested_is_not_closed_and_not_sent_back() -> None:
    for target in (FindingState.CLOSED_VALIDATED, FindingState.IN_REMEDIATION):
        way = transition(FindingState.READY_FOR_VALIDATION, target)
        assert way is not None
        assert "was not retested" in way.refusal(GOOD)


def test_people_lead_out_of_no_settled_state() -> None:
    assert all(not ways_from(state) for state in SETTLED)
    assert all(ways_from(state) for state in set(FindingState) - SETTLED)
    assert {item.role for item in TRANSITIONS} == {Role.MODEL_OWNER, Role.VALIDATOR, Role.APPROVER, None}


@given(state=st.sampled_from(list(FindingState)), rank=st.integers(0, 4), before=st.none() | st.integers(0, 4))
def test_what_was_closed_comes_back_and_what_was_settled_otherwise_only_when_graver(
    state: FindingState, rank: int, before: int | None
) -> None:
    found = reopens(state, rank=rank, settled_rank=before)
    graver = before is not None and rank > before
    assert found == (state is FindingState.CLOSED_VALIDATED or (state in SETTLED and graver))


@given(state=st.sampled_from(list(FindingState)), days=st.integers(-400, 400))
def test_only_what_waits_for_somebody_is_overdue(state: FindingState, days: int) -> None:
    due = date.fromordinal(TODAY.toordinal() + days)
    assert overdue(state, due=due, today=TODAY) == (days < 0 and state not in SETTLED)
    assert not overdue(state, due=None, today=TODAY)
