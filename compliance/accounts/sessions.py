"""How long somebody stays signed in: until they do nothing for a while, and never longer than a day's work.

Reading a page must not write to the database, so the last time somebody did something is kept by their browser: a
signed cookie, good for one session, that each answer renews. Pages that ask again by themselves do not renew it. When
the session began is kept in the session itself, which no answer changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.signals import user_logged_in
from django.core.signing import BadSignature, TimestampSigner, b62_decode
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

COOKIE = "plumbline_seen"
BEGAN = "signed_in_at"
AHEAD_SECONDS = 60  # by which the clocks of two servers may differ
AGAIN = "again"  # in the address of a page that loads itself anew, without scripts

_signer = TimestampSigner(salt="compliance.accounts.sessions")


@receiver(user_logged_in)
def _note_the_beginning(request: HttpRequest | None, **_: Any) -> None:
    if request is not None and hasattr(request, "session"):
        request.session[BEGAN] = int(time.time())


def limited(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware, after the one that reads who it is: a session that is over is nobody's."""
    empty = import_module(settings.SESSION_ENGINE).SessionStore

    def answer(request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated and _over(request):
            request.session, request.user = empty(), AnonymousUser()
        response = get_response(request)
        if request.user.is_authenticated and not _by_itself(request):
            response.set_cookie(
                COOKIE,
                _signer.sign(_digest(request)),
                httponly=True,
                secure=bool(settings.SESSION_COOKIE_SECURE),
                samesite="Lax",
            )
        return response

    return answer


def _over(request: HttpRequest) -> bool:
    began = request.session.get(BEGAN)
    if began is None:
        return True
    age = time.time() - began
    if age < -AHEAD_SECONDS:
        # It began before the clock was set back: how long it has lasted nobody knows, and it could last for ever.
        return True
    return age > settings.SESSION_COOKIE_AGE or (age > settings.SESSION_IDLE_SECONDS and not _seen(request))


def _seen(request: HttpRequest) -> bool:
    """Whether the browser was last answered, in this session, a short while ago."""
    cookie = request.COOKIES.get(COOKIE, "")
    try:
        told = _signer.unsign(cookie, max_age=settings.SESSION_IDLE_SECONDS)
    except BadSignature:
        return False
    # A moment that is still to come was signed before the clock was set back, and is no sign of now.
    signed = b62_decode(cookie.rsplit(_signer.sep, 2)[1])
    return told == _digest(request) and signed <= time.time() + AHEAD_SECONDS


def _digest(request: HttpRequest) -> str:
    return salted_hmac(COOKIE, request.session.session_key or "", algorithm="sha256").hexdigest()


def _by_itself(request: HttpRequest) -> bool:
    """Whether the page asked, and not the person before it."""
    return request.method in ("GET", "HEAD") and ("HX-Request" in request.headers or AGAIN in request.GET)
