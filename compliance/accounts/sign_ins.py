"""The sessions of an account: noted when they begin, read with the sessions themselves, which say whether they hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext

from compliance.models import SignIn

if TYPE_CHECKING:
    from django.contrib.auth.models import User

BROWSER_CHARACTERS = 200
KNOWN_SECONDS = 24 * 3600  # for which a browser is still known after a session at the longest
#: What browsers call themselves, the telling name first: most name others beside it.
BROWSERS = ("Firefox", "Edg", "OPR", "HeadlessChrome", "Chrome", "Safari", "curl")
PLATFORMS = ("Android", "iPhone", "iPad", "Windows", "Macintosh", "Linux")
NAMES = {"Edg": "Edge", "OPR": "Opera", "HeadlessChrome": "Chrome", "Macintosh": "macOS"}


@dataclass(frozen=True, kw_only=True)
class SessionLine:
    """A session that holds: ``own`` is the one that asks."""

    pk: int
    began_at: datetime
    latest: datetime
    address: str
    browser: str
    own: bool


def note_sign_in(request: HttpRequest, user: User) -> None:
    """Note a session that begins, and forget those of the account that are long over."""
    if not request.session.session_key:
        request.session.create()
    now = timezone.now()
    known = timedelta(seconds=settings.SESSION_COOKIE_AGE + KNOWN_SECONDS)
    SignIn.objects.filter(user=user, began_at__lt=now - known).delete()
    SignIn.objects.update_or_create(
        session_key=request.session.session_key,
        defaults={
            "user": user,
            "began_at": now,
            "address": address_of(request),
            "browser": request.META.get("HTTP_USER_AGENT", "")[:BROWSER_CHARACTERS],
        },
    )


def sessions_of(user: User, *, own: str | None) -> list[SessionLine]:
    """The sessions of an account that hold, newest first; ``own`` is the key of the one that asks."""
    rows = {row.session_key: row for row in SignIn.objects.filter(user=user)}
    lines = []
    for session in Session.objects.filter(session_key__in=rows, expire_date__gt=timezone.now()):
        told, row = session.get_decoded(), rows[session.session_key]
        # One that began with an earlier password, or was handed on, is nobody's.
        if told.get(SESSION_KEY) != str(user.pk):
            continue
        if not constant_time_compare(told.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()):
            continue
        lines.append(
            SessionLine(
                pk=row.pk,
                began_at=row.began_at,
                latest=row.began_at + timedelta(seconds=settings.SESSION_COOKIE_AGE),
                address=row.address,
                browser=browser_words(row.browser),
                own=row.session_key == own,
            )
        )
    return sorted(lines, key=lambda line: (line.began_at, line.pk), reverse=True)


def forget_sessions(rows: list[SignIn]) -> None:
    """End these sessions: from the next request on they are nobody's."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    for row in rows:
        store(session_key=row.session_key).delete()
    SignIn.objects.filter(pk__in=[row.pk for row in rows]).delete()


def address_of(request: HttpRequest) -> str:
    """The network address that asks, as far as the proxies in front are trusted."""
    from allauth.account.adapter import get_adapter

    try:
        return str(get_adapter().get_client_ip(request))[:45]
    except PermissionDenied:  # a request without an address, as from a socket of the same machine
        return ""


def browser_words(told: str) -> str:
    """What a browser calls itself, in two words.

    >>> browser_words("Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0")
    'Firefox, Linux'
    """
    found = [next((name for name in names if name in told), "") for names in (BROWSERS, PLATFORMS)]
    return ", ".join(NAMES.get(name, name) for name in found if name) or gettext("unknown")


def moment(seconds: int) -> datetime:
    """Seconds since 1970 as a moment in UTC."""
    return datetime.fromtimestamp(seconds, tz=UTC)
