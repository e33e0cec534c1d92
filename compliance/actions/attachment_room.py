"""How much the files attached to findings may take: of one finding, and of a team's findings together."""

from __future__ import annotations

from django.conf import settings
from django.db.models import Sum
from django.utils.translation import gettext as _

from compliance.exceptions import StateError
from compliance.models import FindingNote, FindingRecord

MIB = 1 << 20


def check_room(record: FindingRecord, *, name: str, sha256: str, size: int) -> None:
    """StateError if a file of ``size`` bytes would take a finding, or its team, beyond what they may have.

    With the event chain locked: who attaches another file at the same time waits, and then finds this one. A file that
    is attached to the finding already takes no room a second time.
    """
    notes = FindingNote.objects.filter(record__team=record.team_id).exclude(sha256="")
    mine = notes.filter(record=record)
    if mine.filter(sha256=sha256).exists():
        return
    for rows, most, whose, setting in (
        (mine, settings.FINDING_FILES_BYTES, str(record), "PLUMBLINE_FINDING_FILES_MB"),
        (
            notes,
            settings.TEAM_FINDING_FILES_BYTES,
            _("team {name}").format(name=record.team),
            "PLUMBLINE_TEAM_FINDING_FILES_MB",
        ),
    ):
        taken = rows.order_by().aggregate(bytes=Sum("size"))["bytes"] or 0
        if taken + size > most:
            raise StateError(
                _(
                    "{name}: has {size} MiB, and the files of {whose} take {taken} of {most} MiB; expected a smaller "
                    "file, or a larger {setting}"
                ).format(
                    name=name,
                    size=f"{size / MIB:,.1f}",
                    whose=whose,
                    taken=f"{taken / MIB:,.1f}",
                    most=f"{most / MIB:,.0f}",
                    setting=setting,
                )
            )
