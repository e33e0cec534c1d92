"""Links by which people make their account, choose a new password or let go of a lost device: made, withdrawn, used."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.debug import sensitive_variables

from auditor.canonical import sha256_bytes
from compliance.access import permissions as access
from compliance.access.first_run import new_secret, secret_hash
from compliance.access.roles import Role
from compliance.accounts.names import taken_by
from compliance.actions.people import add_member
from compliance.actions.second_factors import forget_second_factor
from compliance.exceptions import StateError
from compliance.governance.events import Actor, append_event, lock_chain
from compliance.models import AccountLink, Membership, SecondFactor, Team
from compliance.models.rows import TeamRows

if TYPE_CHECKING:
    from django.contrib.auth.models import User

VALID_FOR = timedelta(days=3)
"""How long somebody has to use a link."""
OVER = gettext_noop(
    "this link: was used, withdrawn or has expired; expected a new one from whoever administers the team"
)


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
    _allow(actor.user, team.pk)
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
    _may_offer(actor.user, user, team)
    if actor.user is not None and actor.user.pk == user.pk:
        raise StateError(
            _("{user}: is your own account; expected the page on which you change your password").format(user=user)
        )
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
    _allow(actor.user, link.team_id)
    lock_chain()
    if not _open(link).update(withdrawn_at=timezone.now()):
        raise StateError(
            _("{link}: is not open; expected a link that was neither used nor withdrawn").format(link=link)
        )
    _tell("account.link_withdrawn", link, actor)


@transaction.atomic
def join_by_link(*, link: AccountLink, username: str, password: str) -> User:
    """Make the account that an invitation is for, with its role.

    Raises
    ------
    StateError
        If the link is over, the name is taken, or whoever made the link may not give roles in the team any more.
    """
    lock_chain()
    if link.kind != AccountLink.Kind.INVITATION or not _open(link).update(used_at=timezone.now()):
        raise StateError(_(OVER))
    _still(lambda: _allow(_maker(link), link.team_id))
    other = taken_by(username)
    if other is not None:
        raise StateError(
            _("user name {username}: is taken, as {other}; expected another one").format(
                username=repr(username), other=repr(other)
            )
        )
    user: User = get_user_model().objects.create_user(username=username, password=password)
    actor = Actor(name=user.get_username(), role="invited", user=user)
    AccountLink.objects.filter(pk=link.pk).update(user=user)  # a guest gives their host no role
    _tell("account.joined", link, actor, account=user.get_username())
    add_member(team=link.team, user=user, role=Role(link.role), actor=Actor(name=link.made_by, role="invitation"))
    return user


@transaction.atomic
def set_password_by_link(*, link: AccountLink, password: str) -> User:
    """Set the password that somebody chose. Every session of the account ends with the old one.

    Raises
    ------
    StateError
        If the link is over, its account is closed or has another password, or whoever made the link could not make it
        now: the account may more than it could, or they may less.
    """
    lock_chain()
    user = None if link.user_id is None else get_user_model().objects.filter(pk=link.user_id, is_active=True).first()
    if link.kind != AccountLink.Kind.NEW_PASSWORD or user is None or link.account != _digest(user):
        raise StateError(_(OVER))
    if not _open(link).update(used_at=timezone.now()):
        raise StateError(_(OVER))
    _still(lambda: _may_offer(_maker(link), user, link.team))
    user.set_password(password)
    user.save(update_fields=["password"])
    _tell("account.password_set_by_link", link, Actor(name=user.get_username(), role="by a link", user=user))
    return user


@transaction.atomic
def offer_new_device(*, team: Team, user: User, actor: Actor) -> str:
    """Make a link by which a member lets go of a second factor whose device is lost. It needs their password.

    Returns
    -------
    str
        The link's secret, shown this once.

    Raises
    ------
    PermissionDenied
        As for a link for a new password.
    StateError
        For an account that is no member of the team, has no second factor, or is one's own.
    """
    _may_offer(actor.user, user, team)
    if actor.user is not None and actor.user.pk == user.pk:
        raise StateError(
            _("{user}: is your own account; expected another administrator to make this link").format(user=user)
        )
    if not SecondFactor.objects.filter(user=user, confirmed_at__isnull=False).exists():
        raise StateError(_("{user}: has no second factor; expected one in use").format(user=user))
    return _make(kind=AccountLink.Kind.NEW_DEVICE, team=team, name=user.get_username(), role="", user=user, actor=actor)


@sensitive_variables("password")
@transaction.atomic
def let_go_of_device_by_link(*, link: AccountLink, password: str) -> User:
    """Take away the second factor of whoever followed a link and knows the password. Their sessions end.

    Raises
    ------
    StateError
        If the password is wrong, which leaves the link as it is; or as for a link for a new password.
    """
    lock_chain()
    user = None if link.user_id is None else get_user_model().objects.filter(pk=link.user_id, is_active=True).first()
    if user is None or link.kind != AccountLink.Kind.NEW_DEVICE or link.account != _digest(user):
        raise StateError(_(OVER))
    if not user.check_password(password):
        raise StateError(_("password: is not the account's; expected the one you log in with"))
    if not _open(link).update(used_at=timezone.now()):
        raise StateError(_(OVER))
    _still(lambda: _may_offer(_maker(link), user, link.team))
    actor = Actor(name=user.get_username(), role="by a link", user=user)
    _tell("account.link_used", link, actor)
    forget_second_factor(user=user, actor=actor)
    return user


def find_account_link(secret: str) -> AccountLink | None:
    """The link of a secret, if it can be used now."""
    found = AccountLink.objects.filter(secret_sha256=secret_hash(secret)).select_related("team", "user").first()
    return found if found is not None and found.state == "open" else None


def _make(*, kind: str, team: Team, name: str, role: str, user: User | None, actor: Actor) -> str:
    lock_chain()
    secret, now = new_secret(), timezone.now()
    if user is not None:  # one at a time: a link that was mislaid ends with the next
        AccountLink.objects.filter(user=user, kind=kind, used_at=None, withdrawn_at=None).update(withdrawn_at=now)
    link = AccountLink.objects.create(
        kind=kind,
        team=team,
        role=role,
        user=user,
        name=name,
        account=_digest(user) if user is not None else "",
        secret_sha256=secret_hash(secret),
        made_by=actor.name,
        made_by_user=actor.user,
        expires_at=now + VALID_FOR,
    )
    _tell("account.link_made", link, actor)
    return secret


def _open(link: AccountLink) -> TeamRows[AccountLink]:
    return AccountLink.objects.filter(pk=link.pk, used_at=None, withdrawn_at=None, expires_at__gt=timezone.now())


def _allow(user: User | None, team: int) -> None:
    if user is not None:
        access.require(user, "add_membership", team)


def _may_offer(maker: User | None, user: User, team: Team) -> None:
    """Refuse a link for an account that may what its maker may not give: they could follow it."""
    teams = set(Membership.objects.filter(user=user).values_list("team_id", flat=True))
    if team.pk not in teams:
        raise StateError(_("{user}: is not a member of {team}; expected one who is").format(user=user, team=team))
    if maker is None or maker.is_superuser:
        return
    for number in teams:
        _allow(maker, number)
    if user.is_superuser or user.user_permissions.exists() or user.groups.exists():
        raise PermissionDenied(
            _("{user}: holds more than roles; only who administers the installation may do this").format(user=user)
        )


def _maker(link: AccountLink) -> User | None:
    """Whoever made a link, as they are now; ``None`` for one that the command line made."""
    if link.made_by_user_id is None:
        return None
    user = get_user_model().objects.filter(pk=link.made_by_user_id, is_active=True).first()
    if user is None:
        raise PermissionDenied(_("{made_by}: has no account any more").format(made_by=link.made_by))
    return user


def _still(check: Callable[[], None]) -> None:
    """Whoever follows a link learns that it is over, and nothing of its maker's rights."""
    try:
        check()
    except (PermissionDenied, StateError) as error:
        raise StateError(_(OVER)) from error


def _digest(user: User) -> str:
    return sha256_bytes(user.password.encode())


def _tell(action: str, link: AccountLink, actor: Actor, **more: str) -> None:
    payload = {"kind": link.kind, "name": link.name, "role": link.role, "made_by": link.made_by, **more}
    append_event(actor=actor, action=action, object=link.event_object, payload=payload, team=link.team)
