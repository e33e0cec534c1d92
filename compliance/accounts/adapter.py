"""What allauth asks the site about accounts."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from django.urls import reverse

from compliance.accounts.lock_outs import note_if_full
from compliance.accounts.names import folded
from compliance.models import LockOut


class Accounts(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Accounts are made by administrators. Logging in and out is its own answer: no message follows it."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up."""
        return False

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """What wrong passwords are counted by: the name alone.

        allauth counts by the host that is asked, too, which whoever asks may say with another port each time.
        """
        return folded(str(credentials.get("username", "")))

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Note the lock-out that this wrong password begins, if it does."""
        note_if_full(request, str(credentials.get("username", "")), LockOut.Why.PASSWORDS)

    def get_login_stages(self) -> list[str]:
        """The second factor comes last: nobody is logged in before it was given."""
        return [*super().get_login_stages(), "compliance.accounts.second_factor.SecondFactorStage"]

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        """Home: the new password is in use."""
        return reverse("home")

    def add_message(self, request: HttpRequest, *args: Any, **options: Any) -> None:
        """Say nothing: the next page would show it, whatever it is about."""
