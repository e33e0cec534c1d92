"""A second factor for an account: begun, confirmed, used, made anew and taken away; and the link for a lost device."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.debug import sensitive_variables

from auditor.canonical import sha256_bytes
from compliance.accounts.sign_ins import forget_sessions
from compliance.accounts.totp import matching_step, new_recovery_codes, new_secret, plain_code
from compliance.exceptions import StateError
from compliance.governance.events import Actor, append_event, lock_chain
from compliance.models import SecondFactor, SignIn
from compliance.registry.key_ring import KeyRing, Sealed, read_ring

if TYPE_CHECKING:
    from django.contrib.auth.models import User

WRONG = gettext_noop(
    "code: is not the one that the device shows now; expected six digits, or a recovery code that was not used"
)


def second_factor_of(user: User) -> SecondFactor | None:
    """The second factor that an account has in use."""
    return SecondFactor.objects.filter(user=user, confirmed_at__isnull=False).first()


def secret_of(factor: SecondFactor) -> str:
    """What the device and this site share.

    Raises
    ------
    StateError
        If the keys of the installation do not open it.
    """
    sealed = Sealed(ring_key=factor.ring_key, data=bytes(factor.sealed))
    return read_ring().unseal(sealed, destination=_bound(factor.user_id), where=f"second factor of {factor.user}")


@transaction.atomic
def begin_second_factor(*, actor: Actor) -> SecondFactor:
    """Draw a secret for a device of one's own. It protects nothing until a code of it was given.

    Raises
    ------
    StateError
        If one is in use.
    """
    user = _account(actor)
    lock_chain()
    if second_factor_of(user) is not None:
        raise StateError(_("{user}: has a second factor already; expected it to be taken away first").format(user=user))
    sealed = read_ring().seal(new_secret(), destination=_bound(user.pk))
    row, _new = SecondFactor.objects.update_or_create(
        user=user,
        defaults={
            "ring_key": sealed.ring_key,
            "sealed": sealed.data,
            "begun_at": timezone.now(),
            "confirmed_at": None,
            "last_step": 0,
            "recovery": [],
        },
    )
    return row


@sensitive_variables("code", "codes")
@transaction.atomic
def confirm_second_factor(*, code: str, actor: Actor, session_key: str | None) -> list[str]:
    """Take the second factor into use, by a code that the device shows. Every other session of the account ends.

    Returns
    -------
    list of str
        The recovery codes, shown this once: only their hashes are kept.

    Raises
    ------
    StateError
        If none was begun, one is in use, or the code is not the device's.
    """
    user = _account(actor)
    lock_chain()
    row = SecondFactor.objects.filter(user=user).first()
    if row is None or row.confirmed_at is not None:
        raise StateError(
            _("{user}: has begun no second factor; expected one that waits for its first code").format(user=user)
        )
    step = matching_step(secret_of(row), code, now=time.time(), after=0)
    if step is None:
        raise StateError(_("code: is not the one that the device shows now; expected six digits"))
    codes = new_recovery_codes()
    row.confirmed_at, row.last_step, row.recovery = timezone.now(), step, _hashes(codes)
    row.save(update_fields=["confirmed_at", "last_step", "recovery"])
    forget_sessions(list(SignIn.objects.filter(user=user).exclude(session_key=session_key or "")))
    _tell("account.second_factor_set", user, actor)
    return codes


@sensitive_variables("code")
@transaction.atomic
def use_second_factor(*, user: User, code: str) -> None:
    """Take a code at a login. It works once; so does a recovery code, whose use is recorded.

    Raises
    ------
    StateError
        If it is neither the device's nor a recovery code that was not used.
    """
    lock_chain()  # two logins with one code: the second waits here, and finds it used
    row = SecondFactor.objects.filter(user=user, confirmed_at__isnull=False).first()
    if row is None:
        raise StateError(_("{user}: has no second factor; expected one in use").format(user=user))
    step = matching_step(secret_of(row), code, now=time.time(), after=row.last_step)
    if step is not None:
        row.last_step = step
        row.save(update_fields=["last_step"])
        return
    (hashed,) = _hashes([code])
    if hashed not in row.recovery:
        raise StateError(_(WRONG))
    row.recovery = [item for item in row.recovery if item != hashed]
    row.save(update_fields=["recovery"])
    actor = Actor(name=user.get_username(), role="logging in", user=user)
    _tell("account.recovery_code_used", user, actor, left=len(row.recovery))


@sensitive_variables("code", "codes")
@transaction.atomic
def renew_recovery_codes(*, code: str, actor: Actor) -> list[str]:
    """Make new recovery codes; the old ones work no more. Returns them, to be shown this once.

    Raises
    ------
    StateError
        If the code is wrong, or there is no second factor.
    """
    user = _account(actor)
    use_second_factor(user=user, code=code)
    codes = new_recovery_codes()
    SecondFactor.objects.filter(user=user).update(recovery=_hashes(codes))
    _tell("account.recovery_codes_made", user, actor)
    return codes


@sensitive_variables("code")
@transaction.atomic
def remove_second_factor(*, code: str, actor: Actor, session_key: str | None) -> None:
    """Take one's own second factor away. Every other session of the account ends: a code was given for it.

    Raises
    ------
    StateError
        If the code is wrong, or there is none.
    """
    user = _account(actor)
    use_second_factor(user=user, code=code)
    SecondFactor.objects.filter(user=user).delete()
    forget_sessions(list(SignIn.objects.filter(user=user).exclude(session_key=session_key or "")))
    _tell("account.second_factor_removed", user, actor, how="by its owner")


@transaction.atomic
def forget_second_factor(*, user: User, actor: Actor) -> None:
    """Take away the second factor of a person whose device is lost, and end their sessions. Links call it."""
    SecondFactor.objects.filter(user=user).delete()
    forget_sessions(list(SignIn.objects.filter(user=user)))
    _tell("account.second_factor_removed", user, actor, how="by a link for a lost device")


def seal_factors_anew(ring: KeyRing) -> int:
    """Seal every secret under the newest line of the ring, in the transaction of who rotates it; returns how many."""
    rows = list(SecondFactor.objects.select_for_update().select_related("user"))
    for row in rows:
        bound = _bound(row.user_id)
        sealed = Sealed(ring_key=row.ring_key, data=bytes(row.sealed))
        again = ring.seal(ring.unseal(sealed, destination=bound, where=str(row)), destination=bound)
        row.ring_key, row.sealed = again.ring_key, again.data
        row.save(update_fields=["ring_key", "sealed"])
    return len(rows)


def _bound(account: int) -> dict[str, str]:
    return {"second_factor_of": str(account)}


def _hashes(codes: list[str]) -> list[str]:
    return [sha256_bytes(plain_code(code).encode()) for code in codes]


def _account(actor: Actor) -> User:
    if actor.user is None:
        raise PermissionDenied(_("{name}: a second factor belongs to an account").format(name=actor.name))
    return actor.user


def _tell(action: str, user: User, actor: Actor, **more: Any) -> None:
    append_event(
        actor=actor, action=action, object=f"account {user.pk}", payload={"username": user.get_username(), **more}
    )
