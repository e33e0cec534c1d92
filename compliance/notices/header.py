"""The count in the header: how many notices somebody has not read."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from compliance.models import Notice

MOST = 99


def unread(request: HttpRequest) -> dict[str, Any]:
    """Context of every page; a page that does not show it asks for nothing."""
    return {"unread_notices": SimpleLazyObject(lambda: _count(request))}


def _count(request: HttpRequest) -> str:
    """Empty for none; of many it is enough that they are many."""
    if not request.user.is_authenticated:
        return ""
    found = Notice.objects.shown_to(request.user).filter(read_at=None).order_by()[: MOST + 1].count()
    return f"{MOST}+" if found > MOST else str(found or "")
