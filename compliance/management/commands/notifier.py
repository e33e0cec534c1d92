"""``manage.py notifier``: the process that tells people what happened, called through Celery."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from compliance.database.tables import ensure_tables
from compliance.management.base import PlainCommand


class Command(PlainCommand):
    """Tells people of events and sends mail and webhooks, until it is told to go."""

    help = "Tell people what happened, by mail and webhooks too. One is enough; several do not tell anything twice."

    def work(self, **options: Any) -> int:
        """Listen."""
        from compliance.celery import app

        ensure_tables()
        # One thread of calls: a round sends to every receiver at once, and needs no process of its own.
        app.worker_main(
            ["--quiet", "worker", "--loglevel", "WARNING", "--queues", settings.NOTICE_QUEUE, "--pool", "solo",
             "--hostname", "notifier@%h", "--without-gossip", "--without-mingle", "--without-heartbeat"]
        )  # fmt: skip
        return 0
