"""What every page has in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.contrib.auth.decorators import login_required
from django.http import HttpResponseBase
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe


def page(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A page for people who are logged in; nothing of it is kept in a cache."""
    guarded = require_safe(cache_control(private=True, no_store=True)(login_required(view)))
    return wraps(view)(guarded)
