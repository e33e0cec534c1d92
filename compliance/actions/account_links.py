"""Links by which people make their own account or a new password: made, withdrawn, used."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from compliance.access import permissions as access
from compliance.access.first_run import new_secret, secret_hash
from compliance.access.roles import Role
from compliance.accounts.names import taken_by
from compliance.actions.people import add_member
from compliance.exceptions import StateError
from compliance.governance.events import Actor, append_event, lock_chain
from compliance.models import AccountLink, Membership, Team
from compliance.models.rows import TeamRows

if TYPE_CHECKING:
    from django.contrib.auth.models import User

VALID_FOR = timedelta(days=3)
"""How long somebody has to use a link."""
OVER = "this link: was used, withdrawn or has expired; expected a new one from whoever administers the team"


@transaction.atomic
def invite(*, team: Team, role: Role, name: str, actor: Actor) -> str:
    """Make a link by which somebody makes an account of their own, with a role in a team.

    Parameters
    ----------
    name
        For whom it is; they choose the name of their account themselves.

    Returns
    -------
    str
        The link's secret. Only its hash is kept: it is shown this once.

    Raises
    ------
    PermissionDenied
        Without the permission to give roles in that team.
    """
    _allow(actor, team.pk)
    return _make(kind=AccountLink.Kind.INVITATION, team=team, name=name, role=role, user=None, actor=actor)


@transaction.atomic
def offer_new_password(*, team: Team, user: User, actor: Actor) -> str:
    """Make a link by which a member chooses a new password. The old one holds until it is used.

    Returns
    -------
    str
        The link's secret, shown this once.

    Raises
    ------
    PermissionDenied
        Without the permission to give roles in every team of the account, or for who administers the installation: who
        makes the link could use it, and would be somebody they may not make.
    StateError
        For an account that is no member of the team, or one's own.
    """
    teams = set(Membership.objects.filter(user=user).values_list("team_id", flat=True))
    if team.pk not in teams:
        raise StateError(f"{user}: is not a member of {team}; expected one who is")
    for number in teams:
        _allow(actor, number)
    if actor.user is not None and user.is_superuser and not actor.user.is_superuser:
        raise PermissionDenied("administers the installation; only another who does may offer a new password")
    if actor.user is not None and actor.user.pk == user.pk:
        raise StateError(f"{user}: is your own account; expected the page on which you change your password")
    return _make(
        kind=AccountLink.Kind.NEW_PASSWORD, team=team, name=user.get_username(), role="", user=user, actor=actor
    )


@transaction.atomic
def withdraw_account_link(*, link: AccountLink, actor: Actor) -> None:
    """Make a link useless that was not used yet.

    Raises
    ------
    PermissionDenied
        Without the permission to give roles in its team.
    StateError
        If it is not open.
    """
    _allow(actor, link.team_id)
    lock_chain()
    if not _open(link).update(withdrawn_at=timezone.now()):
        raise StateError(f"{link}: is not open; expected a link that was neither used nor withdrawn")
    _tell("account.link_withdrawn", link, actor)


@transaction.atomic
def join_by_link(*, link: AccountLink, username: str, password: str) -> User:
    """Make the account that an invitation is for, with its role.

    Raises
    ------
    StateError
        If the link is over, or the name is taken.
    """
    lock_chain()
    if link.kind != AccountLink.Kind.INVITATION or not _open(link).update(used_at=timezone.now()):
        raise StateError(OVER)
    other = taken_by(username)
    if other is not None:
        raise StateError(f"user name {username!r}: is taken, as {other!r}; expected another one")
    user: User = get_user_model().objects.create_user(username=username, password=password)
    actor = Actor(name=user.get_username(), role="invited", user=user)
    _tell("account.joined", link, actor, account=user.get_username())
    add_member(team=link.team, user=user, role=Role(link.role), actor=Actor(name=link.made_by, role="invitation"))
    return user


@transaction.atomic
def set_password_by_link(*, link: AccountLink, password: str) -> User:
    """Set the password that somebody chose. Every session of the account ends with the old one.

    Raises
    ------
    StateError
        If the link is over, or its account is closed.
    """
    lock_chain()
    user = link.user
    if user is None or not user.is_active or not _open(link).update(used_at=timezone.now()):
        raise StateError(OVER)
    user.set_password(password)
    user.save(update_fields=["password"])
    _tell("account.password_set_by_link", link, Actor(name=user.get_username(), role="by a link", user=user))
    return user


def find_account_link(secret: str) -> AccountLink | None:
    """The link of a secret, if it can be used now."""
    found = AccountLink.objects.filter(secret_sha256=secret_hash(secret)).select_related("team", "user").first()
    return found if found is not None and found.state == "open" else None


def _make(*, kind: str, team: Team, name: str, role: str, user: User | None, actor: Actor) -> str:
    lock_chain()
    secret, now = new_secret(), timezone.now()
    if user is not None:  # one at a time: a link that was mislaid ends with the next
        AccountLink.objects.filter(user=user, used_at=None, withdrawn_at=None).update(withdrawn_at=now)
    link = AccountLink.objects.create(
        kind=kind,
        team=team,
        role=role,
        user=user,
        name=name,
        secret_sha256=secret_hash(secret),
        made_by=actor.name,
        expires_at=now + VALID_FOR,
    )
    _tell("account.link_made", link, actor)
    return secret


def _open(link: AccountLink) -> TeamRows[AccountLink]:
    return AccountLink.objects.filter(pk=link.pk, used_at=None, withdrawn_at=None, expires_at__gt=timezone.now())


def _allow(actor: Actor, team: int) -> None:
    if actor.user is not None:
        access.require(actor.user, "add_membership", team)


def _tell(action: str, link: AccountLink, actor: Actor, **more: str) -> None:
    payload = {"kind": link.kind, "name": link.name, "role": link.role, "made_by": link.made_by, **more}
    append_event(actor=actor, action=action, object=link.event_object, payload=payload, team=link.team)
