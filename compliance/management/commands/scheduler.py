"""``manage.py scheduler``: Celery's beat, which sends the sweep on its rounds, and the question whether it lives."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from compliance.execution.beat import TICKS
from compliance.management.base import BAD_NEWS, PlainCommand


class Command(PlainCommand):
    """Sends what is to be done regularly, until it is told to go. One of it is enough for any number of workers."""

    help = "Send what is to be done regularly: the sweep that enqueues audits whose workers were lost."

    def add_arguments(self, parser: CommandParser) -> None:
        """To tick, or to ask."""
        parser.add_argument("--check", action="store_true", help="do not tick: exit 0 if the scheduler lives, else 1")

    def work(self, **options: Any) -> int:
        """Tick."""
        if options["check"]:
            if TICKS.fresh():
                return 0
            self.stderr.write("scheduler: did not tick lately")
            return BAD_NEWS
        from compliance.celery import app

        app.Beat(loglevel="WARNING", quiet=True, redirect_stdouts=False).run()
        return 0
