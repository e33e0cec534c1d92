"""Names of registers and their columns, for the administration: in the reader's language, wherever Django shows them.

They are translated here, all at once, and not in each row's class: what nobody named is called after its attribute, and
a name written there only to be translated would be a migration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Field, Model
from django.utils.translation import gettext_noop, pgettext_lazy

#: *low* is the end of an interval here, and a severity elsewhere.
CONTEXT = "register or column"


def translate_names(models: Iterable[type[Model]]) -> None:
    """Let every name and help text be said in the language of whoever reads it."""
    for model in models:
        meta = model._meta
        meta.verbose_name, meta.verbose_name_plural = (
            pgettext_lazy(CONTEXT, name) for name in names_of_register(model)
        )
        for field in _fields(model):
            field.verbose_name = pgettext_lazy(CONTEXT, str(field.verbose_name))
            if field.help_text:
                field.help_text = pgettext_lazy(CONTEXT, str(field.help_text))


def names(models: Iterable[type[Model]]) -> Iterator[str]:
    """Every name and help text in English, for whoever gathers what is to be translated."""
    for model in models:
        yield from names_of_register(model)
        for field in _fields(model):
            yield str(field.verbose_name)
            if field.help_text:
                yield str(field.help_text)


def names_of_register(model: type[Model]) -> tuple[str, str]:
    """The name of a register in English: of one row, and of all."""
    one, all_of_them = str(model._meta.verbose_name), str(model._meta.verbose_name_plural)
    return one, _several(one) if all_of_them == f"{one}s" else all_of_them


def _several(name: str) -> str:
    """Several of it. Django puts an *s* behind every word, and a plural of its own would be a migration."""
    if name.endswith(("s", "x", "z", "ch", "sh")):
        return f"{name}es"
    return f"{name[:-1]}ies" if name.endswith("y") and name[-2:-1] not in "aeiou" else f"{name}s"


def _fields(model: type[Model]) -> list[Field[Any, Any]]:
    return list(model._meta.local_concrete_fields)


#: What pages of Django and of allauth say whose catalogues have no German for it, or address the reader as a friend.
BORROWED = (
    gettext_noop("Please type your current password."),
    gettext_noop("You must type the same password each time."),
    gettext_noop("Search"),
    gettext_noop("Password-based authentication"),
    gettext_noop("Enabled"),
    gettext_noop("Disabled"),
    gettext_noop("Set password"),
    gettext_noop("Reset password"),
    gettext_noop("Raw passwords are not stored, so there is no way to see the user’s password."),
    gettext_noop("After you’ve created a user, you’ll be able to edit more user options."),
    gettext_noop(
        "Whether the user will be able to authenticate using a password or not. If disabled, they may still be able to "
        "authenticate using other backends, such as Single Sign-On or LDAP."
    ),
)
