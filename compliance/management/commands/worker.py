"""``manage.py worker``: one worker process, called through Celery."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from auditor.exceptions import InputError
from compliance.database import ensure_tables
from compliance.management.base import PlainCommand
from compliance.presence import announce


class Command(PlainCommand):
    """Works on audits that are asked for on the site, until it is told to go."""

    help = "Work on audits that are asked for on the site. SIGTERM lets it go after the batch in hand."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which audits."""
        default = settings.CELERY_TASK_DEFAULT_QUEUE
        parser.add_argument("--queues", metavar="NAME,…", default=default, help=f"whose audits; default {default}")

        parser.add_argument("--name", default="plumbline", help="in logs; several workers of one host have several")

    def work(self, **options: Any) -> int:
        """Listen."""
        from compliance.celery import app

        queues = [name.strip() for name in options["queues"].split(",") if name.strip()]
        if not queues or any(not name.isidentifier() for name in queues):
            raise InputError("--queues", f"is {options['queues']!r}", "names of letters, digits and _, with commas")
        ensure_tables()
        announce(queues)
        heard = ",".join((*queues, settings.SWEEP_QUEUE))  # whichever worker is free sweeps
        app.worker_main(
            ["--quiet", "worker", "--loglevel", "WARNING", "--queues", heard, "--hostname", f"{options['name']}@%h",
             "--without-gossip", "--without-mingle", "--without-heartbeat"]
        )  # fmt: skip
        return 0
