"""Addresses of accounts. Of allauth's pages these are all there are: no signing up, no mail."""

from __future__ import annotations

from allauth.account.views import LoginView, LogoutView, PasswordChangeView
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.http import require_POST

import compliance.addresses  # noqa: F401, registers what stands for a row in an address
from compliance.accounts import kept_forms, own_account, people_views
from compliance.accounts.second_factor import at_login
from compliance.accounts.views import account_link, first_run

login = LoginView.as_view(template_name="accounts/login.html")
logout = require_POST(LogoutView.as_view())
_change_password = PasswordChangeView.as_view(template_name="accounts/password.html")


def change_password(request: HttpRequest) -> HttpResponse:
    """Change one's password, if there is one: allauth would lead others to a page that this site does not have."""
    if request.user.is_authenticated and not request.user.has_usable_password():
        raise PermissionDenied("this account has no password; whoever administers the installation sets one")
    answer: HttpResponse = _change_password(request)
    return answer


urlpatterns = [
    path("login/", login, name="login"),
    path("logout/", logout, name="logout"),
    path("password/", change_password, name="password"),
    path("login/code/", at_login, name="second_factor_login"),
    path("session/", own_account.session, name="session"),
    path("account/", own_account.own_account, name="own_account"),
    path("account/sessions/<key:pk>/end/", own_account.end_session, name="session_end"),
    path("account/sessions/end-others/", own_account.end_other_sessions, name="session_end_others"),
    path("account/second-factor/", own_account.second_factor, name="second_factor"),
    path("account/second-factor/begin/", own_account.begin, name="second_factor_begin"),
    path("account/second-factor/confirm/", own_account.confirm, name="second_factor_confirm"),
    path("account/second-factor/codes/", own_account.renew, name="second_factor_codes"),
    path("account/second-factor/remove/", own_account.remove, name="second_factor_remove"),
    path("kept/", kept_forms.keep, name="kept_form"),
    path("kept/<key:pk>/discard/", kept_forms.discard, name="kept_discard"),
    path("first-run/<str:secret>/", first_run, name="first_run"),
    path("join/<str:secret>/", account_link, name="account_link"),
    path("people/", people_views.people, name="people"),
    path("people/invite/", people_views.invite, name="people_invite"),
    path("people/links/<key:pk>/withdraw/", people_views.withdraw_link, name="account_link_withdraw"),
    path("people/<key:team>/<key:pk>/", people_views.person, name="person"),
    path("people/<key:team>/<key:pk>/roles/", people_views.give_role, name="role_give"),
    path("people/<key:team>/<key:pk>/roles/<key:role>/take/", people_views.take_role, name="role_take"),
    path("people/<key:team>/<key:pk>/new-password/", people_views.new_password, name="new_password"),
    path("people/<key:team>/<key:pk>/new-device/", people_views.new_device, name="new_device"),
    path("people/<key:team>/<key:pk>/lock-outs/<key:lock>/lift/", people_views.lift_lock, name="lock_out_lift"),
    # The names by which allauth itself looks for these pages.
    path("login/", login, name="account_login"),
    path("logout/", logout, name="account_logout"),
    path("password/", change_password, name="account_change_password"),
]
