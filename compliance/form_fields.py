"""The fields of a form as what they were declared to be: a form itself only knows that they are fields."""

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
