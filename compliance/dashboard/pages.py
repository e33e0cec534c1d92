"""What every page has in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from auditor.exceptions import InputError
from compliance.access import permissions as access


def page(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A page for people who are logged in; nothing of it is kept in a cache.

    A record that this version cannot read, such as a plan of a later one, is told in one line.
    """

    @wraps(view)
    def told(request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **named)
        except InputError as error:
            raise Http404(str(error)) from error

    return wraps(view)(require_safe(cache_control(private=True, no_store=True)(login_required(told))))


def for_officers(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A list that whoever only examines does not have: they are led to what was released to them."""

    @wraps(view)
    def led(request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        if access.only_examines(request.user):
            return redirect("home")
        return view(request, *args, **named)

    return led
