"""Counting wrong passwords and codes: how many an account has left is in the cache, by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allauth.core.internal import ratelimit
from django.core.cache import cache
from django.http import HttpRequest

from compliance.accounts.names import folded
from compliance.models import LockOut

if TYPE_CHECKING:
    from django.contrib.auth.models import User

APP, ACTION = "allauth.account", "login_failed"


def may_try(request: HttpRequest, user: User) -> bool:
    """Count an attempt with a code of the second factor; whether it may be made."""
    return bool(ratelimit.consume(request, app=APP, action=ACTION, key=key_of(user.get_username(), CODES)))


def full_for(key: str) -> float | None:
    """For how many seconds at most nobody may try, if the count of a key is full; else ``None``."""
    for rate in _rates():
        if len(cache.get(_place(rate, key), [])) >= rate.amount:
            return float(rate.duration)
    return None


def count_anew(user: User, why: str) -> None:
    """Forget the wrong attempts on an account."""
    for rate in _rates():
        cache.delete(_place(rate, key_of(user.get_username(), why)))


def key_of(name: str, why: str) -> str:
    """What attempts on the account of a name are counted by; allauth counts passwords by the name alone."""
    return folded(name) if why == PASSWORDS else f"code: {folded(name)}"


def _place(rate: ratelimit.Rate, key: str) -> str:
    place: str = ratelimit.get_cache_key(HttpRequest(), app=APP, action=ACTION, rate=rate, key=key)
    return place


def _rates() -> list[ratelimit.Rate]:
    return [rate for rate in ratelimit.get_rates(app=APP, action=ACTION) if rate.per == "key"]


PASSWORDS, CODES = LockOut.Why.PASSWORDS, LockOut.Why.CODES
