"""Who may do what, in which team. Rows are narrowed with it by ``for_user``; actions and pages ask it by permission.

Somebody holds a permission in a team when a role they have there gives it. A permission that was given to the account
itself, as Django does it, holds in every team the account is a member of. Superusers hold all of them everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied

from compliance.access.roles import PERMISSIONS, RELEASED, Role

APP = "compliance"


def roles_of(user: Any) -> Mapping[int, frozenset[Role]]:
    """The roles of an account by the team's key; read once an account object, which lives as long as a request."""
    if not user.is_authenticated or not user.is_active:
        return {}
    kept: dict[int, frozenset[Role]] | None = getattr(user, "_roles_by_team", None)
    if kept is None:
        kept = {}
        for team, role in user.memberships.values_list("team_id", "role"):
            kept[team] = kept.get(team, frozenset()) | {Role(role)}
        user._roles_by_team = kept
    return kept


def teams_where(user: Any, permission: str) -> frozenset[int] | None:
    """Keys of the teams all of whose rows the permission (without label) covers; ``None`` means every team."""
    if not user.is_authenticated or not user.is_active:
        return frozenset()
    if user.is_superuser:
        return None
    given = TeamBackend.given(user, permission)
    return frozenset(
        team
        for team, roles in roles_of(user).items()
        if (given and roles != {Role.EXAMINER}) or any(permission in PERMISSIONS[role] for role in roles)
    )


def examined_teams(user: Any) -> frozenset[int]:
    """Keys of the teams in which the account sees what was released to it."""
    return frozenset(team for team, roles in roles_of(user).items() if Role.EXAMINER in roles)


def only_examines(user: Any) -> bool:
    """Whether an account examines and does nothing else: what it reads was released to it, and no team is its own."""
    roles = () if getattr(user, "is_superuser", False) else roles_of(user).values()
    return bool(roles) and all(held == {Role.EXAMINER} for held in roles)


class NotPermitted(PermissionDenied):
    """A permission that somebody lacks, in one team or anywhere; the page of the refusal says who can give it."""

    def __init__(self, permission: str, team_id: int | None = None) -> None:
        super().__init__(f"{permission} in this team" if team_id is not None else permission)
        self.permission = permission
        self.team_id = team_id


def may(user: Any, permission: str, team_id: int) -> bool:
    """Whether the account holds a permission (without label) over all rows of a team."""
    teams = teams_where(user, permission)
    return teams is None or team_id in teams


def require(user: Any, permission: str, team_id: int) -> None:
    """Refuse whoever does not hold the permission in that team.

    Raises
    ------
    NotPermitted
        Shown as 403. Rows that the person may not even see are 404, by ``for_user``.
    """
    if not may(user, permission, team_id):
        raise NotPermitted(permission, team_id)


def need(user: Any, permission: str) -> None:
    """Refuse whoever does not hold the permission (without label) in any team.

    Raises
    ------
    NotPermitted
        Shown as 403.
    """
    if not user.has_perm(f"{APP}.{permission}"):
        raise NotPermitted(permission)


class TeamBackend(AuthenticationBackend):  # type: ignore[misc]  # allauth has no types
    """Passwords as allauth checks them; permissions from roles in teams."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """Whether somebody holds a permission anywhere, or in the team of ``obj``."""
        label, _, permission = perm.partition(".")
        if label != APP:
            return bool(super().has_perm(user_obj, perm, obj))
        if obj is not None:
            return hasattr(obj, "team_id") and may(user_obj, permission, obj.team_id)
        return (
            any(permission in PERMISSIONS[role] for roles in roles_of(user_obj).values() for role in roles)
            or (permission in RELEASED and bool(examined_teams(user_obj)))
            or bool(super().has_perm(user_obj, perm))
        )

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Whether the administration lists this application for somebody."""
        works = app_label == APP and any(roles - {Role.EXAMINER} for roles in roles_of(user_obj).values())
        return works or bool(super().has_module_perms(user_obj, app_label))

    @staticmethod
    def given(user: Any, permission: str) -> bool:
        """Whether the account itself, not a role, was given the permission."""
        return f"{APP}.{permission}" in ModelBackend().get_all_permissions(user)
