"""One's own account: how long the session lasts, which sessions there are, and the second factor."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop
from django.views.decorators.cache import cache_control
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from compliance import actions
from compliance.accounts.qr import qr_svg
from compliance.accounts.second_factor import GIVEN, CodeForm, field_named, must_have, tried
from compliance.accounts.sessions import session_ends
from compliance.accounts.sign_ins import SessionLine, moment, sessions_of
from compliance.accounts.totp import address_for_apps
from compliance.exceptions import ComplianceError, StateError
from compliance.governance.events import signed_in, site_actor
from compliance.models import SecondFactor
from compliance.registry.views import page
from compliance.tables.described import Column, Table
from compliance.tables.pages import page_of

ISSUER = "Plumbline"
WRONG_PASSWORD = gettext_noop("password: is not the account's; expected the one you log in with")


class FirstCodeForm(CodeForm):
    """The password and the first code of a device."""

    password = forms.CharField(
        label=gettext_lazy("Your password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    field_order = ("password", "code")


def session_end(request: HttpRequest) -> dict[str, Any]:
    """For every page: when the session ends if nothing is done, and at the latest."""
    ends = session_ends(request) if hasattr(request, "session") and hasattr(request, "user") else None
    if ends is None:
        return {}
    soon, latest = ends
    said = {
        "ends": soon,
        "ends_at": moment(soon),
        "latest": latest,
        "latest_at": moment(latest),
        "now": int(time.time()),
    }
    return {"session_end": said}


@require_http_methods(["GET", "HEAD", "POST"])
@cache_control(private=True, no_store=True)
def session(request: HttpRequest) -> HttpResponse:
    """When the session ends, for the script of a page; a POST prolongs it, as any request of a person does."""
    ends = session_ends(request)
    if ends is None:
        return JsonResponse({"ends": 0, "latest": 0, "now": int(time.time())})
    return JsonResponse({"ends": ends[0], "latest": ends[1], "now": int(time.time())})


def sessions_table(lines: list[SessionLine]) -> Table:
    """Sessions, newest first."""
    return Table(
        name="sessions",
        title=_("Sessions"),
        rows=lines,
        columns=(
            Column("began_at", _("Began"), lambda line: line.began_at),
            Column("browser", _("Browser"), lambda line: line.browser),
            Column("address", _("From"), lambda line: line.address),
            Column("latest", _("Ends at the latest"), lambda line: line.latest),
            Column("this_one", _("It is"), lambda line: _("this session") if line.own else _("another one")),
        ),
    )


@page("GET", "HEAD")
def own_account(request: HttpRequest) -> HttpResponseBase:
    """One's own account."""
    return _account(request)


@page("POST")
def end_session(request: HttpRequest, pk: int) -> HttpResponseBase:
    """End one of one's sessions."""
    try:
        actions.end_session(pk=pk, actor=site_actor(request))
    except ComplianceError as error:
        return _account(request, refused=str(error), status=409)
    messages.success(request, _("The session is ended."))
    return redirect("own_account")


@page("POST")
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """End all of one's sessions but this one."""
    actions.end_other_sessions(session_key=request.session.session_key, actor=site_actor(request))
    messages.success(request, _("Every other session is ended."))
    return redirect("own_account")


def _account(request: HttpRequest, *, refused: str = "", status: int = 200) -> HttpResponseBase:
    lines = sessions_of(signed_in(request), own=request.session.session_key)
    context = {
        "sessions": lines,
        "others": [line for line in lines if not line.own],
        "refused": refused,
        "idle": settings.SESSION_IDLE_SECONDS // 60,
        "factor": actions.second_factor_of(signed_in(request)),
        "must": must_have(request.user),
    }
    return page_of(request, "accounts/account.html", context, [sessions_table(lines)], status=status)


@page("GET", "HEAD")
def second_factor(request: HttpRequest) -> HttpResponse:
    """Where the second factor is set up, made anew and taken away."""
    return _factor(request)


@page("POST")
def begin(request: HttpRequest) -> HttpResponse:
    """Draw a secret for a device."""
    try:
        actions.begin_second_factor(actor=site_actor(request))
    except StateError as error:
        return _factor(request, refused=str(error), status=409)
    return redirect("second_factor")


def _with_code(
    view: Callable[[HttpRequest, str], Callable[[], Any]],
) -> Callable[..., HttpResponseBase]:
    """One POST with a code is one action; what is refused is told beside the box."""

    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        form: CodeForm = FirstCodeForm(request.POST) if view.__name__ == "confirm" else CodeForm(request.POST)
        if not form.is_valid():
            return _factor(request, form=form, of=view.__name__, status=400)
        made: list[Any] = []
        act = view(request, form.cleaned_data["code"])
        if isinstance(form, FirstCodeForm) and not request.user.check_password(form.cleaned_data["password"]):
            act = _refuse_password
        problem = tried(request, request.user, form.cleaned_data["code"], lambda: made.append(act()))
        if problem:
            form.add_error(field_named(problem, form), problem)
            return _factor(request, form=form, of=view.__name__, status=409)
        codes = made[0]
        if not codes:
            request.session.pop(GIVEN, None)
            messages.success(request, _("The second factor is taken away."))
            return redirect("own_account")
        request.session[GIVEN] = True
        return _factor(request, codes=codes)

    return sensitive_post_parameters()(page("POST")(answer))


def _refuse_password() -> None:
    raise StateError(_(WRONG_PASSWORD))


@_with_code
def confirm(request: HttpRequest, code: str) -> Callable[[], Any]:
    """Take the second factor into use."""
    actor, key = site_actor(request), request.session.session_key
    return lambda: actions.confirm_second_factor(code=code, actor=actor, session_key=key)


@_with_code
def renew(request: HttpRequest, code: str) -> Callable[[], Any]:
    """Make new recovery codes."""
    actor = site_actor(request)
    return lambda: actions.renew_recovery_codes(code=code, actor=actor)


@_with_code
def remove(request: HttpRequest, code: str) -> Callable[[], Any]:
    """Take the second factor away."""
    actor, key = site_actor(request), request.session.session_key
    return lambda: actions.remove_second_factor(code=code, actor=actor, session_key=key)


def _factor(
    request: HttpRequest,
    *,
    form: CodeForm | None = None,
    of: str = "",
    codes: list[str] | None = None,
    refused: str = "",
    status: int = 200,
) -> HttpResponse:
    row = SecondFactor.objects.filter(user=request.user.pk).first()
    used = row is not None and row.confirmed_at is not None
    context: dict[str, Any] = {
        "factor": row,
        "used": used,
        "codes": codes,
        "left": len(row.recovery) if row is not None else 0,
        "must": must_have(request.user),
        "refused": refused,
        "confirming": form if of == "confirm" else FirstCodeForm(),
        "renewing": form if of == "renew" else CodeForm(auto_id="renew_%s"),
        "removing": form if of == "remove" else CodeForm(auto_id="remove_%s"),
    }
    if row is not None and not used:
        secret = actions.secret_of(row)
        told = address_for_apps(secret, account=request.user.get_username(), issuer=ISSUER)
        grouped = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
        context |= {"picture": qr_svg(told, title=_("QR code for an authenticator app")), "secret": grouped}
    return render(request, "accounts/second_factor.html", context, status=status)
