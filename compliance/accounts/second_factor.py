"""The second factor at the login, and the gate before everything else for those who must have one and have not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.account.internal.decorators import login_stage_required
from allauth.account.stages import LoginStage
from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import Resolver404, resolve, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from compliance import actions
from compliance.access.permissions import roles_of
from compliance.accounts.attempts import count_anew, may_try
from compliance.accounts.lock_outs import note_if_full
from compliance.exceptions import StateError
from compliance.models import LockOut

KEY = "second_factor"
GIVEN = "second_factor_given"
TOO_OFTEN = gettext_noop(
    "code: was wrong too often; expected a wait of five minutes, or an administrator who lifts the lock"
)
#: What is reached without it, by whoever must have one: the page that sets it up, and the ways out.
OPEN = frozenset(
    {
        "second_factor", "second_factor_begin", "second_factor_confirm", "second_factor_login", "session", "login",
        "account_login", "logout", "account_logout", "healthz", "readyz",
    }
)  # fmt: skip
OPEN_IN_ADMIN = frozenset({"logout", "login", "jsi18n"})


class CodeForm(forms.Form):
    """A code of the device, or where one may stand in for it, a recovery code."""

    code = forms.CharField(
        label=gettext_lazy("Code"),
        max_length=60,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )


class SecondFactorStage(LoginStage):  # type: ignore[misc]  # allauth has no types
    """Stands between a right password and a session, for accounts that have a second factor."""

    key = KEY
    urlname = "second_factor_login"

    def handle(self) -> tuple[HttpResponse | None, bool]:
        """Ask for it."""
        if self.login.user is None or actions.second_factor_of(self.login.user) is None:
            return None, True
        return HttpResponseRedirect(reverse(self.urlname)), True


def _at_login(request: HttpRequest) -> HttpResponse:
    """The page that asks for the code after the password."""
    stage: Any = request._login_stage  # type: ignore[attr-defined]  # put there by allauth
    form = CodeForm(request.POST or None)
    if form.is_valid():
        problem = tried(request, stage.login.user, form.cleaned_data["code"])
        if not problem:
            request.session[GIVEN] = True
            answer: HttpResponse = stage.exit()
            return answer
        form.add_error("code", problem)
    return render(request, "accounts/code.html", {"form": form}, status=400 if form.errors else 200)


# Wrapped by calls: allauth has no types, and a decorator without any would take those of the view.
at_login: Callable[..., HttpResponse] = sensitive_post_parameters()(
    require_http_methods(["GET", "HEAD", "POST"])(login_stage_required(stage=KEY, redirect_urlname="login")(_at_login))
)


def tried(request: HttpRequest, user: Any, code: str, use: Callable[[], object] | None = None) -> str:
    """Try a code, by ``use`` or as at a login; why it is refused, or nothing. Wrong ones are counted."""
    name = user.get_username()
    if not may_try(request, user):
        note_if_full(request, name, LockOut.Why.CODES)
        return _(TOO_OFTEN)
    try:
        use() if use is not None else actions.use_second_factor(user=user, code=code)
    except StateError as error:
        note_if_full(request, name, LockOut.Why.CODES)
        return str(error)
    count_anew(user, LockOut.Why.CODES)
    return ""


def field_named(problem: str, form: forms.Form) -> str | None:
    """The field of a form that a refusal begins with, in the reader's language; ``None`` where it names none."""
    named = {_("code"): "code", _("password"): "password"}
    where = named.get(problem.partition(":")[0])
    return where if where in form.fields else None


def required(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: who must have a second factor and has none reaches the page that sets it up, and no other."""

    def answer(request: HttpRequest) -> HttpResponse:
        if must_set_up(request) and not _open(request.path_info):
            return HttpResponseRedirect(reverse("second_factor"))
        return get_response(request)

    return answer


def must_set_up(request: HttpRequest) -> bool:
    """Whether the account that asks has to set up a second factor before anything else."""
    if not settings.SECOND_FACTOR or not request.user.is_authenticated or request.session.get(GIVEN):
        return False
    return must_have(request.user) and actions.second_factor_of(request.user) is None


def must_have(user: Any) -> bool:
    """Whether the setting asks a second factor of an account, for any of its roles."""
    held = {str(role) for roles in roles_of(user).values() for role in roles}
    return bool(held & set(settings.SECOND_FACTOR)) or (user.is_superuser and "superuser" in settings.SECOND_FACTOR)


def _open(path: str) -> bool:
    try:
        match = resolve(path)
    except Resolver404:
        return path.startswith(f"/{settings.STATIC_URL.strip('/')}/")
    names = OPEN_IN_ADMIN if match.namespaces == ["admin"] else OPEN
    return match.url_name in names or (match.url_name or "") == "favicon"
