"""What allauth asks the site about accounts."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from django.urls import reverse

from compliance.accounts.names import folded


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

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        """Home: the new password is in use."""
        return reverse("home")

    def add_message(self, request: HttpRequest, *args: Any, **options: Any) -> None:
        """Say nothing: the next page would show it, whatever it is about."""
