"""Whether this process can do its work: for load balancers and supervisors."""

from __future__ import annotations

from collections.abc import Callable

from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from compliance.database.tables import behind


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 when database and cache answer, else 503. Says which does not, and nothing about why: anybody may ask."""
    return _told({"database": _answers(_ask_database), "cache": _answers(_ask_cache)})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when this process can serve people: what ``healthz`` asks, and the database has the tables of this code."""
    return _told({"database": _answers(_ask_database), "tables": _answers(_ask_tables), "cache": _answers(_ask_cache)})


def _told(parts: dict[str, bool]) -> JsonResponse:
    return JsonResponse(parts, status=200 if all(parts.values()) else 503, headers={"Cache-Control": "no-store"})


def _ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _ask_tables() -> None:
    if behind():
        raise LookupError("tables are missing")


def _ask_cache() -> None:
    cache.set("healthz", 1, timeout=5)


def _answers(ask: Callable[[], None]) -> bool:
    try:
        ask()
    except Exception:  # whatever a server, its driver or the network raises means the same here
        return False
    return True
