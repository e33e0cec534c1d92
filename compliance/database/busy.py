"""What people are told while the database is busy: one line, with 503, once the wait is over. Never a trace.

A statement waits ``PLUMBLINE_DATABASE_SECONDS`` for a lock. Each change a page makes is one transaction, so what could
not be written was not written in part. Workers wait longer by themselves: :mod:`compliance.database.patience`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import get_template
from django.utils.translation import gettext, gettext_noop
from django.views.defaults import server_error

from compliance.database.patience import passes

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 10
BUSY = gettext_noop("The database is busy. Nothing was lost; try again in a moment.")


class Busy:
    """Middleware, the innermost: a view that met a busy database is answered by that line."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Nothing but what is behind it."""
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The line, if the error passes by itself."""
        return told_busy(request, error) if passes(error) else None


def told_busy(request: HttpRequest, error: BaseException) -> HttpResponse:
    """503, as a page or, for a script of the site, as JSON."""
    logger.warning("%s %s: the database is busy (%s)", request.method, request.path, " ".join(str(error).split()))
    headers = {"Retry-After": str(AGAIN_SECONDS), "Cache-Control": "no-store"}
    if request.headers.get("Accept", "").startswith("application/json"):
        return JsonResponse({"error": gettext(BUSY), "busy": True}, status=503, headers=headers)
    # Without the request: who is signed in is in the database.
    return HttpResponse(get_template("503.html").render({"line": gettext(BUSY)}), status=503, headers=headers)


def failed(request: HttpRequest, *_: Any) -> HttpResponse:
    """Django's handler of what nothing else handled, such as a session that could not be kept."""
    error = sys.exc_info()[1]
    if error is not None and passes(error):
        return told_busy(request, error)
    return server_error(request)


def bound_waits(connection: Any, **_: Any) -> None:
    """On a server a statement waits for a lock no longer than on the embedded database. Called for each connection."""
    if connection.vendor != "postgresql":
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {settings.DATABASE_SECONDS * 1000:.0f}")
    except DatabaseError as error:
        logger.warning("no bound was set to waiting for locks (%s)", type(error).__name__)
