"""What was released: to whom, until when, where it stands, and what its cover page says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from compliance.dashboard.evidence import kept_file
from compliance.execution.runner import PUBLISHED
from compliance.models import Audit, Release
from compliance.tables.described import Column, Table
from compliance.templatetags.plumbline import utc

#: What whoever reads a released audit finds in it, and what they do not.
IN_IT = (
    gettext_noop("the verdict, every number with its interval and the cases behind it, the self-checks and the limits"),
    gettext_noop(
        "the prompts as they were sent and the answers as they came, with the fields of the applications in them"
    ),
    gettext_noop("the findings as this run saw them, with the rule behind each"),
    gettext_noop("the design, its hash and who approved it, where somebody did"),
    gettext_noop("the files below, with the evidence from which the numbers on decisions can be computed again"),
)
NOT_IN_IT = (
    gettext_noop("the weights of the model, or leave to ask it"),
    gettext_noop("the table of applications as it was registered"),
    gettext_noop("what became of findings afterwards: responses, comments, attached files, decisions"),
    gettext_noop("other audits of the model or the team, unless they were released too"),
    gettext_noop("the event log of the installation"),
)


@dataclass(frozen=True, kw_only=True)
class ReleasedFile:
    """A file of a released audit. ``size`` is in bytes; ``None`` where it is not on this server as it was recorded."""

    name: str
    sha256: str
    size: int | None


def files_of(audit: Audit) -> list[ReleasedFile]:
    """The published files with their hashes, as they were recorded."""
    found = []
    for name in PUBLISHED:
        if name in audit.files:
            path = kept_file(audit, name)
            size = path.stat().st_size if path is not None else None
            found.append(ReleasedFile(name=name, sha256=audit.files[name], size=size))
    return found


def check_lines(audit: Audit, files: Sequence[ReleasedFile]) -> str:
    """What ``sha256sum --check`` reads, a line a file, by the names under which the files are taken away."""
    return "\n".join(f"{item.sha256}  {audit.number}-{item.name}" for item in files)


def stands(release: Release) -> str:
    """Where a release stands, in words."""
    if release.withdrawn_at is not None:
        return _("withdrawn {when}").format(when=utc(release.withdrawn_at))
    line = _("until {when}") if release.current else _("ended {when}")
    return line.format(when=utc(release.expires_at))


def releases_table(rows: Sequence[Release], every: Callable[[], Iterable[Any]], *, own: bool) -> Table:
    """Releases, newest first. ``own``: those of the person who reads the page."""
    reader = () if own else (Column("reader", _("Examiner"), lambda row: row.reader.get_username()),)
    return Table(
        name="releases",
        title=_("Releases"),
        rows=rows,
        every=every,
        columns=(
            Column("audit", _("Audit"), lambda row: row.audit.number, _cover_cell, "long"),
            Column("plan", "", lambda row: row.audit.plan.title),
            Column("team", "", lambda row: row.audit.team.name),
            *reader,
            Column("released_by", _("Released by"), lambda row: row.released_by),
            Column("released_at", _("Released"), lambda row: row.released_at, lambda row: utc(row.released_at), "num"),
            Column("until", "", lambda row: row.expires_at),
            Column("withdrawn_at", "", lambda row: row.withdrawn_at),
            Column("reason", _("Why"), lambda row: row.reason, None, "long"),
            Column("stands", _("Stands"), stands),
        ),
    )


def _cover_cell(row: Release) -> SafeString:
    address = reverse("released", args=[row.pk])
    return format_html('<a href="{}">{}</a><br><small>{}</small>', address, row.audit.number, row.audit.plan.title)
