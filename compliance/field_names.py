"""Names of registers and their columns, for the administration: in the reader's language, wherever Django shows them.

They are translated here, all at once, and not in each row's class: what nobody named is called after its attribute, and
a name written there only to be translated would be a migration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Field, Model
from django.utils.translation import pgettext_lazy

#: *low* is the end of an interval here, and a severity elsewhere.
CONTEXT = "register or column"


def translate_names(models: Iterable[type[Model]]) -> None:
    """Let every name and help text be said in the language of whoever reads it."""
    for model in models:
        meta = model._meta
        meta.verbose_name, meta.verbose_name_plural = (pgettext_lazy(CONTEXT, name) for name in _of_register(meta))
        for field in _fields(model):
            field.verbose_name = pgettext_lazy(CONTEXT, str(field.verbose_name))
            if field.help_text:
                field.help_text = pgettext_lazy(CONTEXT, str(field.help_text))


def names(models: Iterable[type[Model]]) -> Iterator[str]:
    """Every name and help text in English, for whoever gathers what is to be translated."""
    for model in models:
        yield from _of_register(model._meta)
        for field in _fields(model):
            yield str(field.verbose_name)
            if field.help_text:
                yield str(field.help_text)


def _of_register(meta: Any) -> tuple[str, str]:
    return str(meta.verbose_name), str(meta.verbose_name_plural)


def _fields(model: type[Model]) -> list[Field[Any, Any]]:
    return list(model._meta.local_concrete_fields)
