"""``manage.py verify``: whether files and the event log are what they say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from auditor.canonical import sha256_file
from compliance.database.tables import ensure_tables
from compliance.governance.attestation import erasures, problems
from compliance.governance.events import verify_chain
from compliance.management.base import BAD_NEWS, PlainCommand
from compliance.models import Event, EventPayload
from compliance.sandbox.checking import MOST_LINES, checked
from compliance.shown import one_line

HEAD = re.compile(r"[0-9a-f]{64}")


class Command(PlainCommand):
    """Checks reports and bundles, or the event chain."""

    help = (
        "Check reports and evidence bundles, or with --events the event chain. Exit code 1 if something differs or "
        "cannot be compared, such as a result.json alone: expected evidence.zip or report.pdf beside it, or --events."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Files, the chain, or both."""
        parser.add_argument(
            "files",
            metavar="FILE",
            nargs="*",
            type=Path,
            help="report.pdf, annex.pdf, result.json, evidence.zip or its folder; those of one audit are compared",
        )
        parser.add_argument(
            "--decisions",
            metavar="FILE",
            type=Path,
            help="the decision file of an audit of one, which no bundle holds: its numbers are computed again",
        )
        parser.add_argument(
            "--events",
            action="store_true",
            help="check the event chain of this installation, and rows and files against it",
        )
        parser.add_argument("--head", metavar="HASH", help="a head that a report prints: it must stand in the chain")

    def work(self, **options: Any) -> int:
        """Check everything that was named, each file alone and against the others; name what differs."""
        if options["head"] is not None and not options["events"]:
            raise CommandError("verify: --head is looked up in the event chain; expected --events with it")
        if options["head"] is not None and not options["head"].strip():
            # A variable of a script that was never set: nothing would be looked up, and all be well.
            raise CommandError("verify: --head is empty; expected a head that a report prints")
        if not options["files"] and not options["events"]:
            raise CommandError("verify: nothing to check; expected a FILE or --events")
        if options["decisions"] is not None and not options["files"]:
            raise CommandError("verify: --decisions is given alone; expected evidence.zip of the audit beside it")
        left_out, heads = False, [("", options["head"].strip())] if options["head"] else []
        if options["files"]:
            # All at once: a report is held against the bundle it was made from, not only against itself.
            answer = checked(options["files"], decisions=options["decisions"])
            # A result alone says nothing of itself; what an event says of it, it is held against below.
            missing = [*answer["not_compared"], *([] if options["events"] else answer["alone"])]
            # Reasons come before what they are the reasons of.
            for line in answer["first"]:
                (self.stderr if answer["found"] or missing else self.stdout).write(one_line(line))
            if self._named(answer["found"], left=answer["left"]):
                return BAD_NEWS
            left_out = self._named(missing, left=0)
            for line in answer["said"]:
                self.stdout.write(one_line(line))
            heads += [(name, head) for name, head in answer["heads"]]
        # What the files alone cannot show, the event log may: it is asked all the same.
        said = self._events(options["files"], heads=heads) if options["events"] else 0
        return BAD_NEWS if left_out else said

    def _events(self, files: Sequence[Path], *, heads: Sequence[tuple[str, str]]) -> int:
        """Check the chain, and against it the rows and files of this installation and the files that were named."""
        ensure_tables()
        report = verify_chain()
        if report.problem:
            self.stderr.write(f"event chain: {report.problem}")
            return BAD_NEWS
        named = _named_by_events()
        said = (*_missing(heads), *_published(files, named), *_standing())
        found = [f"event log: {line}" for line in said]
        if self._named(found[:MOST_LINES], left=max(0, len(found) - MOST_LINES)):
            return BAD_NEWS
        self.stdout.write(f"event chain: {report.events:,} events, head {report.head}")
        self.stdout.write("rows and files: as the events that finished their audits say")
        if erased := erasures():
            numbers = ", ".join(map(str, erased[:20])) + (", …" if len(erased) > 20 else "")
            self.stdout.write(f"erased: the details of {len(erased):,} events ({numbers}), as far as nobody can check")
        for path in files:
            # A file of another audit is a file that was issued, too: which one it is has to be read here.
            self.stdout.write(
                one_line(f"{path}: as the event that finished its audit says ({named[sha256_file(path)]})")
            )
        return 0

    def _named(self, lines: Sequence[str], *, left: int) -> bool:
        """Name what differs, a line each; whether there was anything."""
        for line in lines:
            self.stderr.write(one_line(line))
        if left:
            self.stderr.write(f"and {left:,} more differences")
        return bool(lines)


def _missing(heads: Sequence[tuple[str, str]]) -> list[str]:
    """Heads that somebody kept, or that a file prints, and that are none of this chain: it was written anew since."""
    return [
        f"no event has the hash {head[:80]}{f' that {name} prints' if name else ''}: the chain is not the one that "
        "head was taken from"
        for name, head in heads
        # A file may print anything, also what no database takes for text.
        if HEAD.fullmatch(head) is None or not Event.objects.filter(hash=head).exists()
    ]


def _named_by_events() -> dict[str, str]:
    """Audit, file and event by the SHA-256 of every file that the events of finished audits name."""
    told = EventPayload.objects.filter(event__action="audit.finished").order_by("event__seq")
    return {
        sha256: f"{number}, {name}, event {seq}"
        for number, seq, payload in told.values_list("event__object", "event__seq", "data_json")
        for name, sha256 in json.loads(payload).get("files", {}).items()
    }


def _published(paths: Sequence[Path], named: Mapping[str, str]) -> list[str]:
    """Files that no event names as those of a finished audit."""
    return [line for path in paths if (line := _unnamed(path, named))]


def _unnamed(path: Path, named: Mapping[str, str]) -> str:
    """Why no event vouches for a path; empty if one does."""
    if not path.is_file():
        # Events name files. What lies in a folder may be anything that lists itself.
        return f"{path}: is a folder, and events name files; expected the evidence.zip that was published"
    found = sha256_file(path)
    return "" if found in named else f"{path}: no event names a file of this installation with SHA-256 {found}"


def _standing() -> list[str]:
    """What the register contradicts; twice, for while it is read an audit may go on, its row and its event apart."""
    found = list(problems(folder=_data_folder()))
    again = set(problems(folder=_data_folder())) if found else set()
    return [line for line in found if line in again]


def _data_folder() -> Path:
    return Path(settings.DATA_FOLDER)
