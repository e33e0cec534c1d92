"""One name, one account: names that differ only in case, or in how a character is written, are one name.

The site counts wrong passwords by such names and events show them to people. ``Ada`` beside ``ada`` could act as the
other to everybody who reads. Databases fold the case of ASCII or of all letters, so names are compared here.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from typing import Any

from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Tags, Warning, register
from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import Model
from django.db.models.signals import pre_save
from django.utils.translation import gettext

from compliance.governance.events import lock_chain


def folded(name: str) -> str:
    """What a name is to people: without case, every character in its one form."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def watch_names() -> None:
    """Refuse a second account of a name at every door. Called once, when the application is ready."""
    user = get_user_model()
    clean = user.clean

    def clean_and_look(self: Model) -> None:
        clean(self)
        refuse_second(self)

    # Forms ask this, and show the line; whatever else saves an account is asked below.
    user.clean = clean_and_look  # type: ignore[method-assign]
    pre_save.connect(_look, sender=user, dispatch_uid="accounts_names")


def refuse_second(account: Any) -> None:
    """ValidationError if the account is new or gets another name, and somebody has that name."""
    accounts = type(account)._default_manager
    name = account.get_username()
    if not name:
        return  # a form refused it already
    if account.pk and accounts.filter(pk=account.pk, username=name).exists():
        return
    other = taken_by(name, but=account.pk)
    if other is not None:
        raise ValidationError(
            gettext(
                "user name {name}: is taken, as {other}; expected one that differs by more than upper and lower case"
            ).format(name=repr(name), other=repr(other))
        )


def taken_by(name: str, *, but: int | None = None) -> str | None:
    """The name, as it is written there, of another account that has it."""
    wanted = folded(name)
    accounts = get_user_model()._default_manager.order_by("pk")
    others = accounts if but is None else accounts.exclude(pk=but)
    return next((other for other in others.values_list("username", flat=True) if folded(other) == wanted), None)


def _look(instance: Any, update_fields: Any = None, raw: bool = False, **_: Any) -> None:
    if raw or (update_fields is not None and "username" not in update_fields):
        return
    # Two who make an account at once: the second waits here, and then finds the first. Saving is a transaction.
    lock_chain()
    refuse_second(instance)


@register(Tags.database)
def accounts_of_one_name(*, databases: Any = None, **_: Any) -> list[CheckMessage]:
    """Warnings of accounts made before names were compared, in ``check --database default`` and ``migrate``."""
    user = get_user_model()
    found: list[CheckMessage] = []
    for alias in databases or ():
        if user._meta.db_table not in connections[alias].introspection.table_names():
            continue
        names: dict[str, list[str]] = defaultdict(list)
        for name in user._default_manager.using(alias).order_by("pk").values_list("username", flat=True):
            names[folded(name)].append(name)
        found += [
            Warning(
                f"accounts {', '.join(map(repr, same))}: differ only in upper and lower case: one name to people",
                hint="Rename all but one in the administration; what they did stays under their account.",
                id="compliance.W001",
            )
            for same in names.values()
            if len(same) > 1
        ]
    return found
