"""Which door somebody came in by: pages lead whoever only examines to what was released to them, and nowhere else."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from compliance.access import permissions as access


def door(request: HttpRequest) -> dict[str, Any]:
    """Context of every page; a page that does not ask costs nothing."""
    return {"only_examines": SimpleLazyObject(lambda: access.only_examines(request.user))}
