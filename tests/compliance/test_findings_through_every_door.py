"""All states × roles × doors: through action, page, administration and command a finding moves as the one table says.

Everything else that a guard asks for is there, so that whatever is refused is refused for its state or its role.
"""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.utils import timezone

from compliance import actions
from compliance.access.roles import PERMISSIONS, Role, roles_with
from compliance.actions.findings import PERMISSIONS as OF_FINDINGS
from compliance.exceptions import StateError
from compliance.governance.finding_states import SETTLED, FindingState, transition
from compliance.models import Event, FindingNote, FindingRecord, NotePurpose, Team, default_team
from tests.compliance.governed import GONE, actor_of, approved_plan, open_finding, run, version_of
from tests.compliance.teams import make_person

STATES = list(FindingState)
#: Beside the roles: an account without one, one of another team with all of them, and whoever holds every role here.
STRANGERS = ("nobody", "elsewhere")
DECIDING = tuple(OF_FINDINGS)


class Doors:
    """A finding that was retested and shown no longer, one that the retest shows again, and a person a role."""

    def __init__(self) -> None:
        self.team = default_team()
        self.cleared = open_finding(self.team)
        plan = self.cleared.plan
        run(plan=plan, model=version_of(self.team, 2), findings=[], measurements=[GONE])
        again = approved_plan(self.team, name="again")
        run(plan=again, model=version_of(self.team, 1))
        run(plan=again, model=version_of(self.team, 2))
        self.shown = FindingRecord.objects.exclude(pk=self.cleared.pk).get()
        self.people: dict[str, User] = {
            role: make_person(f"a {role}", self.team, [role], is_staff=role != Role.EXAMINER) for role in Role
        }
        other = Team.objects.create(name="Elsewhere")
        roles = [role for role in Role if role != Role.EXAMINER]
        self.people["elsewhere"] = make_person("elsewhere", other, roles, is_staff=True)
        self.people["nobody"] = make_person("nobody", is_staff=True)
        self.owner = make_person("the owner", self.team, [Role.MODEL_OWNER])
        self.proposer = make_person("the proposer", self.team, [Role.VALIDATOR])
        for record in (self.cleared, self.shown):
            actions.answer_finding(
                record=record, revision=record.revision, owner=self.owner, response="", remediation="Change it.",
                due=timezone.now().date() + timedelta(days=20), actor=actor_of(self.owner),
            )  # fmt: skip
            actions.note_finding(
                record=record, name="fix.txt", content=b"Changed.", purpose=NotePurpose.FIX, actor=actor_of(self.owner)
            )
        self.browsers: dict[str, Client] = {}
        self.until = timezone.now().date() + timedelta(days=60)

    def browser(self, who: str) -> Client:
        """Signed in once: a session that begins in what is taken back would end with it."""
        if who not in self.browsers:
            self.browsers[who] = Client()
            self.browsers[who].force_login(self.people[who])
        return self.browsers[who]

    def at(self, state: FindingState, target: FindingState) -> FindingRecord:
        """A finding in a state, with all that any guard asks for on the way to another."""
        sent_back = (state, target) == (FindingState.READY_FOR_VALIDATION, FindingState.IN_REMEDIATION)
        record = self.shown if sent_back else self.cleared
        settled, proposed = state in SETTLED, target == FindingState.REJECTED_WITH_RATIONALE
        FindingRecord.objects.filter(pk=record.pk).update(
            state=state,
            settled_rank=record.severity_rank if settled else None,
            accepted_until=self.until if state == FindingState.RISK_ACCEPTED else None,
            rationale="Said before." if settled else "",
            rejection_by=self.proposer.username if proposed else "",
            rejection_by_user=self.proposer if proposed else None,
            rejection_reason="It was a test." if proposed else "",
        )
        record.refresh_from_db()
        return record

    def legal(self, state: FindingState, target: FindingState, who: str) -> bool:
        """What the table says."""
        way = transition(state, target)
        return way is not None and way.role is not None and way.role == who

    # The doors: each says whether it let somebody through.

    def action(self, record: FindingRecord, target: FindingState, who: str) -> bool:
        try:
            actions.move_finding(
                record=record, to=target, said="Looked at.", until=self.until, actor=actor_of(self.people[who])
            )
        except (StateError, PermissionDenied) as error:
            refusal = str(error)
        else:
            return True
        assert "\n" not in refusal
        return False

    def page(self, record: FindingRecord, target: FindingState, who: str) -> bool:
        sent = {"to": target, "revision": record.revision, "said": "Looked at.", "until": self.until.isoformat()}
        answer = self.browser(who).post(f"/findings/{record.number}/move/", sent)
        assert answer.status_code in (302, 403, 404, 409), answer.status_code
        if answer.status_code == 409:
            assert "expected" in answer.content.decode()
        return answer.status_code == 302

    def admin(self, record: FindingRecord, target: FindingState, who: str) -> bool:
        answer = self.browser(who).post(f"/admin/compliance/findingrecord/{record.pk}/change/", {"state": target})
        assert answer.status_code in (302, 403, 404), answer.status_code
        return answer.status_code == 302 and not answer["Location"].startswith("/admin/login/")

    def command(self, record: FindingRecord, target: FindingState, who: str) -> bool:
        told = ["--as", self.people[who].username, "--said", "Looked at.", "--until", self.until.isoformat()]
        error = io.StringIO()
        try:
            call_command("findings", "move", record.number, target, *told, stdout=io.StringIO(), stderr=error)
        except SystemExit as ended:
            code = ended.code
        else:
            return True
        assert code == 3
        assert len(error.getvalue().strip().splitlines()) == 1
        return False


@pytest.fixture
def doors(db: None, settings: LazySettings, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Doors:
    settings.DATA_FOLDER = tmp_path
    # Whether the tables are there is asked anew by each command, which takes longer than all it does here.
    monkeypatch.setattr("compliance.management.commands.findings.ensure_tables", lambda: None)
    return Doors()


def written() -> list[Any]:
    """What a move could have written."""
    found = [list(kind.objects.order_by("pk").values()) for kind in (FindingRecord, FindingNote)]
    return [*found, Event.objects.count()]


def tried(state: FindingState, door: str) -> list[tuple[FindingState, str]]:
    """Targets with who tries them: everybody every way there is; whoever decides also what is no way.

    By the action itself those are all other states; by the other doors, which call it, one.
    """
    ways = [target for target in STATES if transition(state, target) is not None]
    none = [target for target in STATES if target not in ways]
    none = none if door == "action" else none[:1]
    everybody = (*Role, *STRANGERS)
    return [*((target, who) for target in ways for who in everybody), *((to, who) for to in none for who in DECIDING)]


@pytest.mark.parametrize("door", ["action", "page", "admin", "command"])
def test_a_finding_moves_through_each_door_as_the_table_says(doors: Doors, door: str) -> None:
    wrong, moved = [], 0
    for who in doors.people:
        doors.browser(who)
    for state in STATES:
        asked = tried(state, door)
        for target in dict.fromkeys(target for target, _ in asked):
            record = doors.at(state, target)
            before = written()
            for who in [who for to, who in asked if to is target]:
                expected = door != "admin" and doors.legal(state, target, who)
                with transaction.atomic():
                    record.refresh_from_db()
                    found = getattr(doors, door)(record, target, who)
                    after = written()
                    stands = FindingRecord.objects.get(pk=record.pk).stands
                    event = Event.objects.order_by("-seq").first()
                    transaction.set_rollback(True)
                if found != expected or (after == before) is expected:
                    wrong.append((state, target, who, found))
                if expected:
                    moved += 1
                    assert stands is target
                    assert event is not None
                    assert (event.object, event.actor) == (record.number, doors.people[who].username)
    assert wrong == []
    assert moved == (0 if door == "admin" else 9)


def test_what_a_role_of_the_table_holds_no_other_role_does() -> None:
    assert {permission: roles_with(permission) for permission in OF_FINDINGS.values()} == {
        permission: frozenset({role}) for role, permission in OF_FINDINGS.items()
    }
    assert "add_findingnote" not in PERMISSIONS[Role.ADMINISTRATOR] | PERMISSIONS[Role.INTERNAL_AUDIT]


def test_the_administration_offers_nothing_to_change_even_to_a_superuser(doors: Doors) -> None:
    record = doors.at(FindingState.ACKNOWLEDGED, FindingState.RISK_ACCEPTED)
    doors.people["root"] = User.objects.create_superuser("root")
    before = written()
    assert not doors.admin(record, FindingState.CLOSED_VALIDATED, "root")
    for rest in ("add/", f"{record.pk}/delete/"):
        answer = doors.browser("root").post(f"/admin/compliance/findingrecord/{rest}", {"post": "yes"})
        assert answer.status_code == 403
    assert written() == before
    page = doors.browser("root").get(f"/admin/compliance/findingrecord/{record.pk}/change/")
    assert page.status_code == 200
    assert 'name="state"' not in page.content.decode()


def test_a_superuser_moves_it_as_every_role_and_is_held_by_every_guard(doors: Doors) -> None:
    doors.people["root"] = User.objects.create_superuser("root")
    record = doors.at(FindingState.OPEN, FindingState.ACKNOWLEDGED)
    assert doors.action(record, FindingState.ACKNOWLEDGED, "root")
    record.refresh_from_db()
    assert doors.page(record, FindingState.ACTION_PLANNED, "root")
    record.refresh_from_db()
    # By now it answers for it: the same person accepts nothing.
    assert not doors.page(record, FindingState.RISK_ACCEPTED, "root")
    assert not doors.command(record, FindingState.RISK_ACCEPTED, "root")
