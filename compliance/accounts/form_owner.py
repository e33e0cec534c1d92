"""Whose page a form was sent from: the token of its form names the account, for whoever holds the site's key.

A browser may be handed on: a page that one person opened is sent after another one logged in. Its token is then another
session's, and what it holds belongs to the first. Each login begins a new secret of tokens, of which one half is drawn
at random and the other follows from it and the account; nothing about it is stored.
"""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest
from django.middleware.csrf import CSRF_ALLOWED_CHARS, CSRF_SECRET_LENGTH
from django.utils.crypto import constant_time_compare, salted_hmac

HALF = CSRF_SECRET_LENGTH // 2


@receiver(user_logged_in)
def _begin_secret(request: HttpRequest | None, user: User, **_: Any) -> None:
    """After Django has drawn a new secret, as it does at every login."""
    if request is not None:
        begin_secret(request, user.pk)


def begin_secret(request: HttpRequest, account: int) -> None:
    """A new secret for the tokens of an account's pages; the answer to this request sets it in the browser."""
    drawn = "".join(secrets.choice(CSRF_ALLOWED_CHARS) for _ in range(HALF))
    request.META |= {"CSRF_COOKIE": drawn + _proof(drawn, account), "CSRF_COOKIE_NEEDS_UPDATE": True}


def is_of(token: str, account: int) -> bool:
    """Whether the token of a form, as it was sent, was made for a page of this account."""
    if len(token) != 2 * CSRF_SECRET_LENGTH or set(token) - set(CSRF_ALLOWED_CHARS):
        return False
    # As Django masks a secret, so that no two pages hold the same text: the mask first, then the sum.
    mask, masked = token[:CSRF_SECRET_LENGTH], token[CSRF_SECRET_LENGTH:]
    at = CSRF_ALLOWED_CHARS.index
    secret = "".join(CSRF_ALLOWED_CHARS[at(one) - at(other)] for one, other in zip(masked, mask, strict=True))
    return constant_time_compare(secret[HALF:], _proof(secret[:HALF], account))


def _proof(drawn: str, account: int) -> str:
    digest = salted_hmac("compliance.accounts.form_owner", f"{account}.{drawn}", algorithm="sha256").digest()
    return "".join(CSRF_ALLOWED_CHARS[byte % len(CSRF_ALLOWED_CHARS)] for byte in digest[:HALF])
