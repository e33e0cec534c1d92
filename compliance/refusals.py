"""Refusals of what somebody sent, in the reader's language. What is kept of them elsewhere stays English."""

from __future__ import annotations

from django.utils.translation import gettext as _

from auditor.exceptions import DataError, InputError

_SOURCE = "model source "


class UploadError(DataError):
    """A table cannot be taken. Its parts are said in the reader's language: it is shown at once and never kept."""

    def __init__(self, where: str, what: str, expected: str) -> None:
        super().__init__(where, what, expected)
        self.args = (_line(where, what, expected),)


def refusal_said(error: InputError) -> str:
    """A refusal in the reader's language where the catalogue has its sentences; as it was written where it has none."""
    what, expected = _(error.what), _(error.expected)
    if error.what == what or error.expected == expected:
        return str(error)
    named = error.where.startswith(_SOURCE)
    where = _("model source {name}").format(name=error.where.removeprefix(_SOURCE)) if named else error.where
    return _line(where, what, expected)


def _line(where: str, what: str, expected: str) -> str:
    return _("{where}: {what}; expected {expected}").format(where=where, what=what, expected=expected)
