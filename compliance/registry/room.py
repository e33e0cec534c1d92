"""How much of the disk the uploads of a team may take, and what becomes of those that nobody finished."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q, Sum
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from compliance import actions
from compliance.execution.heartbeats import silent
from compliance.governance.events import Actor
from compliance.models import Registration, RegistrationState, Team
from compliance.refusals import UploadError

UNFINISHED = timedelta(days=1)
"""For which an upload may rest before its parts are removed."""
logger = logging.getLogger(__name__)


def check_room(*, team: Team, name: str, size: int, actor: Actor) -> None:
    """DataError if a table of ``size`` bytes would take a team or an account beyond what they may have.

    With the event chain locked: who announces another table at the same time waits, and then finds this one. Counted is
    what was announced, whether it arrived or not, and files that others took the place of: they are kept.
    """
    rows = Registration.objects.filter(team=team, kind=Registration.DATA)
    taken = rows.aggregate(bytes=Sum(F("size") + F("replaced_bytes")))["bytes"] or 0
    if taken + size > settings.TEAM_UPLOAD_BYTES:
        what = _("has {n} MiB, and the uploads of team {team} take {taken} of {most} MiB").format(
            n=_mib(size), team=team, taken=_mib(taken), most=_mib(settings.TEAM_UPLOAD_BYTES)
        )
        raise UploadError(name, what, _("a smaller table, or a larger PLUMBLINE_TEAM_UPLOAD_MB"))
    if actor.user is None:
        return
    unfinished = Registration.objects.filter(requested_by_user=actor.user.pk, state=RegistrationState.UPLOADING).count()
    if unfinished >= settings.UNFINISHED_UPLOADS:
        what = _("cannot begin: {person} has {n} unfinished uploads").format(person=actor.name, n=f"{unfinished:,}")
        expected = _(
            "at most {most} (PLUMBLINE_UNFINISHED_UPLOADS); each ends by itself a day after its last part"
        ).format(most=f"{settings.UNFINISHED_UPLOADS:,}")
        raise UploadError(name, what, expected)


def _mib(size: int) -> str:
    return f"{size / (1 << 20):,.1f}"


def end_unfinished(*, actor: Actor) -> int:
    """Fail the uploads that rested for a day, and remove their parts from the disk; how many there were."""
    resting = silent("seen_at", UNFINISHED) & (Q(seen_at__isnull=False) | Q(created_at__lt=Now() - UNFINISHED))
    ended = 0
    for row in Registration.objects.filter(resting, state=RegistrationState.UPLOADING).order_by("pk"):
        try:
            # Another sweep may have done it, or another part have come: then the row is not as it was read.
            ended += actions.end_upload(registration=row, actor=actor)
        except Exception:  # one bad row must not end the sweep
            logger.exception("%s: its unfinished upload could not be ended", row)
    _remove_parts()
    return ended


def _remove_parts() -> None:
    """Remove parts whose upload is over, once nobody wrote to them for a day."""
    folder = Path(settings.DATA_FOLDER) / "uploads"
    if not folder.is_dir():
        return
    last = time.time() - UNFINISHED.total_seconds()
    old = [path for path in folder.iterdir() if path.is_file() and path.stat().st_mtime < last]
    for path in old:
        try:
            key = UUID(path.name)
        except ValueError:
            continue  # not one of ours
        if not Registration.objects.filter(public_id=key, state=RegistrationState.UPLOADING).exists():
            path.unlink(missing_ok=True)
