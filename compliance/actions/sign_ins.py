"""Ending one's own sessions, and lock-outs: noted when they begin, and lifted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from compliance.access import permissions as access
from compliance.accounts.attempts import count_anew
from compliance.accounts.sign_ins import forget_sessions
from compliance.exceptions import StateError
from compliance.governance.events import Actor, append_event, lock_chain
from compliance.models import LockOut, Membership, SignIn, Team

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def end_session(*, pk: int, actor: Actor) -> None:
    """End one session of one's own account.

    Raises
    ------
    StateError
        If it is not there: it ended before, or is another account's.
    """
    user = _account(actor)
    lock_chain()
    row = SignIn.objects.filter(pk=pk, user=user).first()
    if row is None:
        raise StateError(_("this session: has ended; expected one that holds"))
    forget_sessions([row])
    _tell("account.session_ended", user, actor, sessions=1)


@transaction.atomic
def end_other_sessions(*, session_key: str | None, actor: Actor) -> int:
    """End every session of one's own account but the one of ``session_key``; returns how many were noted."""
    user = _account(actor)
    lock_chain()
    rows = list(SignIn.objects.filter(user=user).exclude(session_key=session_key or ""))
    forget_sessions(rows)
    if rows:
        _tell("account.session_ended", user, actor, sessions=len(rows))
    return len(rows)


@transaction.atomic
def note_lock_out(*, user: User, why: LockOut.Why, address: str, seconds: float) -> None:
    """Note that nobody can log in to an account for a while. While one of its kind is in force nothing is added."""
    lock_chain()  # attempts come at once: the second finds what the first noted
    now = timezone.now()
    if LockOut.objects.filter(user=user, why=why, until__gt=now, lifted_at=None).exists():
        return
    LockOut.objects.create(user=user, why=why, address=address, began_at=now, until=now + timedelta(seconds=seconds))
    actor = Actor(name="nobody signed in", role="site")
    _tell("account.locked_out", user, actor, why=str(why), address=address)


@transaction.atomic
def lift_lock_out(*, lock_out: LockOut, team: Team, actor: Actor) -> None:
    """Let an account of one's team be logged in to again.

    Raises
    ------
    PermissionDenied
        Without the permission to give roles in that team.
    StateError
        If it is over or lifted, one's own, or of somebody who is no member of the team.
    """
    user = _account(actor)
    access.require(user, "add_membership", team.pk)
    lock_chain()
    if lock_out.user_id == user.pk:
        raise StateError(
            _("{lock_out}: is of your own account; expected another administrator to lift it").format(lock_out=lock_out)
        )
    if not Membership.objects.filter(team=team, user=lock_out.user_id).exists():
        raise StateError(
            _("{user}: is not a member of {team}; expected one who is").format(user=lock_out.user, team=team)
        )
    now = timezone.now()
    in_force = LockOut.objects.filter(pk=lock_out.pk, until__gt=now, lifted_at=None)
    if not in_force.update(lifted_at=now, lifted_by=actor.name):
        raise StateError(_("{lock_out}: is over; expected one in force").format(lock_out=lock_out))
    payload = {"username": lock_out.user.get_username(), "why": lock_out.why}
    append_event(
        actor=actor,
        action="account.lock_out_lifted",
        object=f"account {lock_out.user_id}",
        payload=payload,
        team=team,
    )
    # What is counted of wrong attempts is outside the database: once this is certain, it begins anew.
    transaction.on_commit(lambda: count_anew(lock_out.user, lock_out.why))


def _account(actor: Actor) -> User:
    if actor.user is None:
        raise PermissionDenied(
            _("{name}: sessions and lock-outs are dealt with by a person with an account").format(name=actor.name)
        )
    return actor.user


def _tell(action: str, user: User, actor: Actor, **more: object) -> None:
    append_event(
        actor=actor, action=action, object=f"account {user.pk}", payload={"username": user.get_username(), **more}
    )
