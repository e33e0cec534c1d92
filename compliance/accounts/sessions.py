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
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.auth.signals import user_logged_in
from django.core.signing import BadSignature, TimestampSigner, b62_decode
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare, salted_hmac

from compliance.accounts.sign_ins import KNOWN_SECONDS, note_sign_in
from compliance.models import SignIn

COOKIE = "plumbline_seen"
BEGAN = "signed_in_at"
AHEAD_SECONDS = 60  # by which the clocks of two servers may differ
ENDED = "account_whose_session_ended"
AGAIN = "again"  # in the address of a page that loads itself anew, without scripts

_signer = TimestampSigner(salt="compliance.accounts.sessions")


@receiver(user_logged_in)
def _note_the_beginning(request: HttpRequest | None, user: User, **_: Any) -> None:
    if request is not None and hasattr(request, "session"):
        request.session[BEGAN] = int(time.time())
        note_sign_in(request, user)


def limited(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware, after the one that reads who it is: a session that is over is nobody's."""
    empty = import_module(settings.SESSION_ENGINE).SessionStore

    def answer(request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated and _over(request):
            setattr(request, ENDED, request.user)
            request.session, request.user = empty(), AnonymousUser()
        key, was_in = request.session.session_key, request.user.is_authenticated
        response = get_response(request)
        if was_in and not request.user.is_authenticated:
            # Who logs out is done: what is sent from this browser next is nobody's, and is kept for nobody.
            response.delete_cookie(COOKIE, samesite="Lax")
        if request.user.is_authenticated and key and request.session.session_key not in (None, key):
            # The session goes on under another key, as after a new password.
            SignIn.objects.filter(session_key=key).update(session_key=request.session.session_key)
        if request.user.is_authenticated and not _by_itself(request):
            response.set_cookie(
                COOKIE,
                _signer.sign(_told(request)),
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
    return told == _told(request) and signed <= time.time() + AHEAD_SECONDS


def account_before(request: HttpRequest) -> User | None:
    """Whose session it was that has ended: as the session said, or as the browser's cookie says that this site signed.

    Good for keeping what they sent, never for showing anything. Of a session that its person ended, as of a stolen
    browser, nothing is kept.
    """
    ended: User | None = getattr(request, ENDED, None)
    if ended is not None:
        return ended
    try:
        told = _signer.unsign(request.COOKIES.get(COOKIE, ""), max_age=settings.SESSION_COOKIE_AGE + KNOWN_SECONDS)
    except BadSignature:
        return None
    digest, _, account = told.rpartition(".")
    if not account.isdecimal():
        return None
    keys = SignIn.objects.filter(user=int(account), user__is_active=True).values_list("session_key", flat=True)
    known = any(constant_time_compare(digest, _digest(key)) for key in keys)
    return get_user_model().objects.filter(pk=int(account)).first() if known else None


def session_ends(request: HttpRequest) -> tuple[int, int] | None:
    """When the session ends if nobody does anything from now on, and at the latest; seconds since 1970.

    ``None`` without one. For a page that asks by itself the first is counted from what somebody did last.
    """
    began = request.session.get(BEGAN) if request.user.is_authenticated else None
    if began is None:
        return None
    since = time.time()
    if _by_itself(request):
        cookie = request.COOKIES.get(COOKIE, "")
        since = b62_decode(cookie.rsplit(_signer.sep, 2)[1]) if _seen(request) else began
    latest = began + settings.SESSION_COOKIE_AGE
    return min(int(since) + settings.SESSION_IDLE_SECONDS, latest), latest


def _told(request: HttpRequest) -> str:
    return f"{_digest(request.session.session_key or '')}.{request.user.pk}"


def _digest(session_key: str) -> str:
    return salted_hmac(COOKIE, session_key, algorithm="sha256").hexdigest()


def _by_itself(request: HttpRequest) -> bool:
    """Whether the page asked, and not the person before it."""
    return request.method in ("GET", "HEAD") and ("HX-Request" in request.headers or AGAIN in request.GET)
