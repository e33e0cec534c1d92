"""The way in for the first administrator: a link, printed once, that works once. There is no default password."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from compliance.governance.events import Actor, append_event, lock_chain
from compliance.models import FirstRunLink

VALID_FOR = timedelta(hours=24)
ACTOR = Actor(name="installation", role="command line")


def first_run_link(base_url: str) -> str | None:
    """A new link that makes its user the administrator, or ``None`` once there is an active one.

    Parameters
    ----------
    base_url
        Where the site answers, such as ``http://127.0.0.1:8000``.

    Returns
    -------
    str or None
        The link. It works once, for 24 hours; links given before end. Only its hash is stored.
    """
    secret = new_secret()
    with transaction.atomic():
        lock_chain()
        if administrator_exists():
            return None
        FirstRunLink.objects.all().delete()
        FirstRunLink.objects.create(secret_sha256=secret_hash(secret), expires_at=timezone.now() + VALID_FOR)
        append_event(actor=ACTOR, action="account.first_run_link", object="installation", payload={})
    return base_url.rstrip("/") + reverse("first_run", args=[secret])


def find_link(secret: str) -> FirstRunLink | None:
    """The link of a secret, if it can be used now."""
    if administrator_exists():
        return None
    usable = FirstRunLink.objects.filter(used_at=None, expires_at__gt=timezone.now())
    return usable.filter(secret_sha256=secret_hash(secret)).first()


def administrator_exists() -> bool:
    """Whether somebody administers this installation."""
    return bool(get_user_model().objects.filter(is_superuser=True, is_active=True).exists())


def new_secret() -> str:
    """A secret for a link, good for an address."""
    return secrets.token_urlsafe(32)


def secret_hash(secret: str) -> str:
    """What is kept of a link's secret. 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
