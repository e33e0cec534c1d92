"""A lock-out is noted when the count of wrong passwords or codes is full.

Only of accounts that there are: names that somebody makes up fill no table.
"""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.http import HttpRequest

from compliance import actions
from compliance.accounts.attempts import full_for, key_of
from compliance.accounts.names import taken_by
from compliance.accounts.sign_ins import address_of
from compliance.models import LockOut


def note_if_full(request: HttpRequest, name: str, why: LockOut.Why) -> None:
    """Note the lock-out of the account of a name, if there is one and its count of wrong attempts is full."""
    seconds = full_for(key_of(name, why))
    if seconds is None:
        return
    user = get_user_model().objects.filter(username=taken_by(name), is_active=True).first()
    if user is not None:
        actions.note_lock_out(user=user, why=why, address=address_of(request), seconds=seconds)
