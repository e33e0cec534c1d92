"""Notices as mail: one alone, or several at once as a list. Number, title and link; nothing of applications."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.core.mail import EmailMessage

from compliance.shown import one_line

LISTED = 50
"""Notices that one mail lists; of more it says how many."""
ABOUT = "You choose what you are told, and how: {link}"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One notice, as mail says it."""

    delivery: str
    words: str
    title: str
    link: str


def notice_mail(lines: Sequence[Line], *, to: str, choices: str) -> EmailMessage:
    """The mail for one person.

    Parameters
    ----------
    lines
        At least one; several make a list.
    choices
        Where the person chooses what they are told.
    """
    first = lines[0]
    if len(lines) == 1:
        subject = first.words
        text = "\n".join(part for part in (f"{first.words}.", first.title, first.link) if part)
    else:
        subject = f"{len(lines)} notices"
        parts = ["\n".join(part for part in (line.words, line.title, line.link) if part) for line in lines[:LISTED]]
        rest = len(lines) - LISTED
        text = "\n\n".join([*parts, *([f"And {rest} more, on the site."] if rest > 0 else [])])
    return EmailMessage(
        subject=f"Plumbline: {one_line(subject)}",
        body=f"{text}\n\n{ABOUT.format(link=choices)}\n",
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[to],
        headers=_headers("|".join(line.delivery for line in lines)),
    )


def confirmation_mail(*, to: str, link: str) -> EmailMessage:
    """The mail by which an address is confirmed."""
    return EmailMessage(
        subject="Plumbline: confirm your address",
        body=(
            f"Somebody entered this address on Plumbline, to be told what waits for them. If it was you, follow this "
            f"link within three days while you are signed in:\n{link}\n\nIf it was not, do nothing: nothing more is "
            f"sent.\n"
        ),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[to],
        headers=_headers(link),
    )


def _headers(names: str) -> dict[str, str]:
    """A name that stays when the same is sent again, and the word that keeps other programs from answering it."""
    host = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].rstrip("> ") or "plumbline.invalid"
    name = hashlib.sha256(names.encode()).hexdigest()[:32]
    return {"Message-ID": f"<{name}@{host}>", "Auto-Submitted": "auto-generated"}
