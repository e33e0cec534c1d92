"""What forms need beside Django's own: their fields as what they were declared to be, texts as they were typed."""

from __future__ import annotations

from typing import TypeVar

from django import forms

Kind = TypeVar("Kind", bound=forms.Field)


def field_of(form: forms.BaseForm, name: str, kind: type[Kind]) -> Kind:
    """One field of a form.

    Raises
    ------
    TypeError
        If it is declared as another kind.
    """
    field = form.fields[name]
    if not isinstance(field, kind):
        raise TypeError(f"{name}: is a {type(field).__name__}; expected a {kind.__name__}")
    return field


def one_way_lines(text: str) -> str:
    """Browsers send two characters for a line's end."""
    return text.replace("\r\n", "\n")
