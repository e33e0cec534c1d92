"""``manage.py verify``: whether files and the event log are what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from compliance.database import ensure_tables
from compliance.events import verify_chain
from compliance.management.base import BAD_NEWS, PlainCommand


class Command(PlainCommand):
    """Checks reports and bundles, or the event chain."""

    help = "Check reports and evidence bundles, or with --events the event chain. Exit code 1 for the first mismatch."

    def add_arguments(self, parser: CommandParser) -> None:
        """Files, the chain, or both."""
        parser.add_argument("files", metavar="FILE", nargs="*", type=Path)
        parser.add_argument("--events", action="store_true", help="check the event chain of this installation")

    def work(self, **options: Any) -> int:
        """Check everything that was named, each file alone and against the others; name the first mismatch."""
        if not options["files"] and not options["events"]:
            raise CommandError("verify: nothing to check; expected a FILE or --events")
        if options["files"]:
            from reports.verification import check

            # All at once: a report is held against the bundle it was made from, not only against itself.
            checked = check(options["files"])
            if checked.mismatches:
                self.stderr.write(str(checked.mismatches[0]))
                return BAD_NEWS
            for line in checked.said:
                self.stdout.write(line)
        if options["events"]:
            ensure_tables()
            report = verify_chain()
            if report.problem:
                self.stderr.write(f"event chain: {report.problem}")
                return BAD_NEWS
            self.stdout.write(f"event chain: {report.events:,} events, head {report.head}")
        return 0
