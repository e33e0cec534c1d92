"""Laws of ``for_user``: what a person sees follows from their roles, whatever those are."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
import time_machine
from django.apps import apps
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from compliance import actions
from compliance.access import permissions as access
from compliance.access.roles import LOOK, PERMISSIONS, REGISTERS, Role, roles_with
from compliance.exceptions import StateError
from compliance.models import Audit, FindingRow, MeasurementRow, Membership, Release, Team, default_team
from tests.compliance.factories import ACTOR, make_applications, make_plan, make_run
from tests.compliance.teams import UNLISTED, WORKING, make_person, make_team_audit
from tests.records import NO_FILES


class Person:
    """Stands for an account of these roles by team; no database."""

    is_authenticated = is_active = True
    is_anonymous = is_superuser = False

    def __init__(self, roles: dict[int, frozenset[Role]]) -> None:
        self._roles_by_team = roles
        self._perm_cache = self._user_perm_cache = self._group_perm_cache = set[str]()


ROLES = st.dictionaries(st.integers(1, 4), st.frozensets(st.sampled_from(list(Role)), min_size=1))
NAMES = st.sampled_from(sorted(set().union(*PERMISSIONS.values())))


@given(roles=ROLES, permission=NAMES, team=st.integers(1, 4))
def test_a_permission_holds_in_a_team_exactly_where_a_role_there_gives_it(
    roles: dict[int, frozenset[Role]], permission: str, team: int
) -> None:
    holds = bool(roles.get(team, frozenset()) & roles_with(permission))
    assert access.may(Person(roles), permission, team) is holds


@given(roles=ROLES, more=st.sampled_from(list(Role)), permission=NAMES)
def test_another_role_never_takes_a_permission_away(
    roles: dict[int, frozenset[Role]], more: Role, permission: str
) -> None:
    richer = {team: held | {more} for team, held in roles.items()}
    before, after = (access.teams_where(Person(held), permission) for held in (roles, richer))
    assert before is not None
    assert after is not None
    assert before <= after


def test_only_an_examiner_cannot_look_and_an_examiner_may_do_nothing() -> None:
    assert {role for role in Role if not PERMISSIONS[role] >= LOOK} == {Role.EXAMINER}
    assert PERMISSIONS[Role.EXAMINER] == frozenset()


def test_an_administrator_has_no_right_over_evidence() -> None:
    systems = {"add_systemlisting", "approve_systemlisting", "withdraw_systemlisting", "add_systemkey"}
    people = {"add_membership", "delete_membership", "view_accountlink"}
    webhooks = {"view_webhook", "add_webhook", "delete_webhook"}
    assert PERMISSIONS[Role.ADMINISTRATOR] - LOOK == people | systems | webhooks


def test_nobody_approves_what_they_may_write() -> None:
    for writes, approves in (
        ("add_planversion", "approve_planversion"),
        ("add_languagemodel", "approve_languagemodel"),
    ):
        assert roles_with(writes)
        assert roles_with(approves)
        assert not roles_with(writes) & roles_with(approves)


def test_every_permission_of_a_role_is_one_that_there_is(db: None) -> None:
    known = set(Permission.objects.filter(content_type__app_label="compliance").values_list("codename", flat=True))
    assert {name for names in PERMISSIONS.values() for name in names} <= known


def test_every_register_belongs_to_a_team_or_to_all() -> None:
    kept = {model._meta.model_name for model in apps.get_app_config("compliance").get_models()}
    assert kept - set(UNLISTED) == set(REGISTERS)
    assert all(hasattr(apps.get_model("compliance", name).objects.all(), "for_user") for name in REGISTERS)


def seen(user: object, name: str) -> set[int]:
    rows = apps.get_model("compliance", name).objects.for_user(user)
    return set(rows.values_list("pk", flat=True))


@pytest.mark.parametrize("name", [name for name in REGISTERS if name != "registration"])
def test_nobody_in_particular_sees_nothing(db: None, name: str) -> None:
    make_team_audit(default_team(), name="one")
    for user in (AnonymousUser(), make_person("clerk"), make_person("gone", default_team(), WORKING, is_active=False)):
        assert seen(user, name) == set()


def test_superusers_see_every_team(db: None) -> None:
    for number in range(2):
        make_team_audit(Team.objects.create(name=f"team {number}"), name=str(number))
    root = User.objects.create_superuser("root")
    for name in REGISTERS:
        assert len(seen(root, name)) == apps.get_model("compliance", name).objects.count()


def test_what_belongs_to_an_audit_is_seen_with_it(db: None) -> None:
    teams = [Team.objects.create(name=name) for name in ("one", "two")]
    audits = [make_team_audit(team, name=team.name) for team in teams]
    for team, role in product(teams, WORKING):
        person = make_person(f"{team} {role}", team, [role])
        mine = {audit.pk for audit in audits if audit.team == team}
        assert seen(person, "audit") == mine
        for model in (MeasurementRow, FindingRow):
            assert set(model.objects.for_user(person).values_list("audit", flat=True)) == mine


def test_a_permission_of_the_account_itself_holds_in_its_teams_only(db: None) -> None:
    own, other = default_team(), Team.objects.create(name="Elsewhere")
    audits = [make_team_audit(team, name=team.name) for team in (own, other)]
    person = make_person("reader", own, [Role.DEVELOPER])
    person.user_permissions.add(Permission.objects.get(codename="delete_audit"))
    assert list(Audit.objects.for_user(person, "delete")) == audits[:1]


def released() -> tuple[Audit, User, Release]:
    team = default_team()
    audit = make_team_audit(team, name="one")
    reader = make_person("reader", team, [Role.EXAMINER])
    until = timezone.now() + timedelta(days=7)
    return audit, reader, actions.release_audit(audit=audit, reader=reader, until=until, reason="asked", actor=ACTOR)


def fresh(user: User) -> User:
    return User.objects.get(pk=user.pk)


def test_an_examiner_sees_a_release_until_its_day(db: None) -> None:
    audit, reader, release = released()
    make_team_audit(audit.team, name="two")
    assert list(Audit.objects.for_user(fresh(reader))) == [audit]
    with time_machine.travel(release.expires_at + timedelta(seconds=1)):
        assert list(Audit.objects.for_user(fresh(reader))) == []


def test_a_withdrawn_release_shows_nothing_and_stays_on_record(db: None) -> None:
    _, reader, release = released()
    actions.withdraw_release(release=release, actor=ACTOR)
    assert list(Audit.objects.for_user(fresh(reader))) == []
    assert Release.objects.count() == 1
    with pytest.raises(StateError, match="is withdrawn already"):
        actions.withdraw_release(release=release, actor=ACTOR)


def test_an_examiner_who_left_the_team_sees_nothing(db: None) -> None:
    _, reader, _ = released()
    actions.remove_member(membership=reader.memberships.get(), actor=ACTOR)
    assert list(Audit.objects.for_user(fresh(reader))) == []


def test_an_audit_is_released_to_examiners_of_its_team_only(db: None) -> None:
    audit = make_team_audit(default_team(), name="one")
    until = timezone.now() + timedelta(days=7)
    stranger = make_person("stranger", Team.objects.create(name="Elsewhere"), [Role.EXAMINER])
    with pytest.raises(StateError, match="stranger: is not an examiner of Default; expected one"):
        actions.release_audit(audit=audit, reader=stranger, until=until, reason="", actor=ACTOR)
    reader = make_person("reader", default_team(), [Role.EXAMINER])
    with pytest.raises(StateError, match="is past; expected a date in the future"):
        actions.release_audit(audit=audit, reader=reader, until=timezone.now(), reason="", actor=ACTOR)


def test_nobody_examines_a_team_they_work_in(db: None) -> None:
    team, person = default_team(), make_person("ada")
    actions.add_member(team=team, user=person, role=Role.VALIDATOR, actor=ACTOR)
    assert fresh(person).is_staff
    with pytest.raises(StateError, match="ada: works in Default, or examines it; expected one of the two"):
        actions.add_member(team=team, user=person, role=Role.EXAMINER, actor=ACTOR)
    with pytest.raises(StateError, match="is validator in Default already"):
        actions.add_member(team=team, user=person, role=Role.VALIDATOR, actor=ACTOR)
    assert Membership.objects.count() == 1


def test_the_same_files_are_a_version_in_each_team_that_registers_them(db: None) -> None:
    teams = [default_team(), Team.objects.create(name="Elsewhere")]
    versions = [
        actions.register_model(source="demo:x", sha256="3" * 64, manifest=NO_FILES, actor=ACTOR, team=team)
        for team in (*teams, *teams)
    ]
    assert [version.team_id for version in versions[:2]] == [team.pk for team in teams]
    assert versions[2:] == versions[:2]


def test_an_audit_binds_what_one_team_owns(db: None) -> None:
    other = Team.objects.create(name="Elsewhere")
    model = actions.register_model(source="demo:x", sha256="3" * 64, manifest=NO_FILES, actor=ACTOR, team=other)
    with pytest.raises(StateError, match="small: model and data belong to another team; expected those of Default"):
        actions.start_ungoverned_audit(
            run=make_run(),
            chunks=(),
            prompts=0,
            tokens=0,
            model=model,
            data=actions.register_data(data=make_applications(), actor=ACTOR),
            plan=actions.register_plan(plan=make_plan(), actor=ACTOR),
            actor=ACTOR,
            command="",
        )
