"""``manage.py scheduler``: Celery's beat, which sends the sweep on its rounds."""

from __future__ import annotations

from typing import Any

from compliance.management.base import PlainCommand


class Command(PlainCommand):
    """Sends what is to be done regularly, until it is told to go. One of it is enough for any number of workers."""

    help = "Send what is to be done regularly: the sweep that calls workers where others were lost."

    def work(self, **options: Any) -> int:
        """Tick."""
        from compliance.celery import app

        app.Beat(loglevel="WARNING", quiet=True, redirect_stdouts=False).run()
        return 0
