"""A finding's page says what stands against others, and never lays at their door what is true of its reader alone."""

from __future__ import annotations

import pytest

from compliance import actions
from compliance.access.roles import Role
from compliance.actions.findings import ways_for
from compliance.dashboard.finding_page import waiting_of
from compliance.governance.finding_states import FindingState as S
from compliance.models import FindingRecord
from tests.compliance.governed import actor_of, open_finding
from tests.compliance.teams import make_person

pytestmark = pytest.mark.django_db


def why_not(record: FindingRecord, name: str, verb: str, *roles: Role) -> str:
    """What the page says to somebody against one way."""
    actor = actor_of(make_person(name, record.team, roles))
    return next(line.why for line in waiting_of(ways_for(record, actor), record) if line.verb == verb)


def test_an_owner_reads_nothing_of_themselves_beside_the_approver() -> None:
    record = open_finding()
    owner = actor_of(make_person("owner", record.team, [Role.MODEL_OWNER]))
    actions.move_finding(record=record, to=S.ACKNOWLEDGED, actor=owner)
    lines = {line.verb: line for line in waiting_of(ways_for(record, owner), record)}
    assert lines["Accept the risk"].why == ""
    assert lines["Accept the risk"].who.startswith("Approver: ")


def test_who_holds_the_role_as_well_is_told_that_they_answer_for_it() -> None:
    record = open_finding()
    both = actor_of(make_person("both", record.team, [Role.MODEL_OWNER, Role.APPROVER]))
    actions.move_finding(record=record, to=S.ACKNOWLEDGED, actor=both)
    lines = {line.verb: line for line in waiting_of(ways_for(record, both), record)}
    assert lines["Accept the risk"].why == "is answered for by the same person; expected another one"


def test_what_stands_against_everybody_is_said_to_everybody() -> None:
    record = open_finding()
    assert "has not been proposed for rejection" in why_not(record, "reader", "Reject", Role.COMPLIANCE_OFFICER)
