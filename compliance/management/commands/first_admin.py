"""``manage.py first_admin``: the way in for the first administrator."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from compliance.access.first_run import first_run_link
from compliance.database.tables import ensure_tables
from compliance.management.base import BAD_NEWS, PlainCommand


class Command(PlainCommand):
    """Prints a link that works once."""

    help = (
        "Print a link with which the first administrator sets name and password. Exit code 1 if there is one already."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The contract of docs/operations.md."""
        parser.add_argument("--base-url", metavar="URL", default="http://127.0.0.1:8000", help="where the site answers")

    def work(self, **options: Any) -> int:
        """Make the link and print it."""
        ensure_tables()
        link = first_run_link(options["base_url"])
        if link is None:
            self.stderr.write("first_admin: there is an administrator already; expected an installation without one")
            return BAD_NEWS
        self.stdout.write(link)
        return 0
