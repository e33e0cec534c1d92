"""Who acts now, for what is recorded without being told: whose request it is, or the command line's account."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

from compliance.governance.events import Actor

_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)


def acting(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: remember the request while it is answered."""

    def answer(request: HttpRequest) -> HttpResponse:
        before = _request.set(request)
        try:
            return get_response(request)
        finally:
            _request.reset(before)

    return answer


def actor() -> Actor:
    """Whoever acts."""
    request = _request.get()
    if request is None:
        return Actor(name=command_line_account(), role="command line")
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return Actor(name="nobody signed in", role="site")
    role = "administration" if request.path.startswith("/admin/") else "site"
    return Actor(name=user.get_username(), role=role, user=user)


def command_line_account() -> str:
    """The account of this process on its machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return "unnamed account"
