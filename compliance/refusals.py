"""Refusals of what somebody sent, in the reader's language. What is kept of them elsewhere stays English."""

from __future__ import annotations

from django.utils.html import format_html
from django.utils.translation import get_language, gettext_noop
from django.utils.translation import gettext as _

from auditor.exceptions import DataError, InputError, reason_of

_SOURCE = "model source "
#: What the operating system says of files, in the words of :func:`auditor.exceptions.reason_of`.
SYSTEM_SAYS = (
    gettext_noop("no such file or directory"),
    gettext_noop("permission denied"),
    gettext_noop("operation not permitted"),
    gettext_noop("is a directory"),
    gettext_noop("not a directory"),
    gettext_noop("no space left on device"),
    gettext_noop("disk quota exceeded"),
    gettext_noop("input/output error"),
    gettext_noop("read-only file system"),
    gettext_noop("too many open files"),
    gettext_noop("stale file handle"),
)


def reason_said(error: OSError) -> str:
    """Why a call to the system failed, in the reader's language; by its number where its words have no translation."""
    reason = reason_of(error)
    if _english() or reason in SYSTEM_SAYS or error.errno is None:
        return _(reason)
    return _("error {number} of the operating system").format(number=error.errno)


class UploadError(DataError):
    """A table cannot be taken. Its parts are said in the reader's language: it is shown at once and never kept."""

    def __init__(self, where: str, what: str, expected: str) -> None:
        super().__init__(where, what, expected)
        self.args = (_line(where, what, expected),)


def refusal_said(error: InputError) -> str:
    """A refusal in the reader's language where the catalogue has its sentences; else as it was written, in English.

    That is marked as English. It is shown at once: its markup is no part of what anybody keeps.
    """
    what, expected = _(error.what), _(error.expected)
    if error.what == what or error.expected == expected:
        return str(error) if _english() else format_html('<span lang="en">{}</span>', str(error))
    named = error.where.startswith(_SOURCE)
    where = _("model source {name}").format(name=error.where.removeprefix(_SOURCE)) if named else error.where
    return _line(where, what, expected)


def _line(where: str, what: str, expected: str) -> str:
    return _("{where}: {what}; expected {expected}").format(where=where, what=what, expected=expected)


def _english() -> bool:
    return (get_language() or "en").startswith("en")
