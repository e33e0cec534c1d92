"""``manage.py notifier``: the process that tells people what happened, called through Celery."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from compliance.database.tables import ensure_tables
from compliance.execution.notifying import ROUNDS
from compliance.management.base import BAD_NEWS, PlainCommand


class Command(PlainCommand):
    """Tells people of events and sends mail and webhooks, until it is told to go."""

    help = "Tell people what happened, by mail and webhooks too. One is enough; several do not tell anything twice."

    def add_arguments(self, parser: CommandParser) -> None:
        """To listen, or to ask."""
        parser.add_argument("--check", action="store_true", help="do not listen: exit 0 if a round was made, else 1")

    def work(self, **options: Any) -> int:
        """Listen."""
        if options["check"]:
            if ROUNDS.fresh():
                return 0
            self.stderr.write("notifier: made no round lately")
            return BAD_NEWS
        from compliance.celery import app

        ensure_tables()
        # One thread of calls: a round sends to every receiver at once, and needs no process of its own.
        app.worker_main(
            ["--quiet", "worker", "--loglevel", "WARNING", "--queues", settings.NOTICE_QUEUE, "--pool", "solo",
             "--hostname", "notifier@%h", "--without-gossip", "--without-mingle", "--without-heartbeat"]
        )  # fmt: skip
        return 0
