"""``manage.py worker``: one worker process, called through Celery, and the question whether it lives."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from auditor.exceptions import InputError
from compliance.database.tables import behind, ensure_tables
from compliance.execution.presence import announce, node
from compliance.management.base import BAD_NEWS, PlainCommand
from compliance.models import Worker


class Command(PlainCommand):
    """Works on audits that are asked for on the site, until it is told to go."""

    help = "Work on audits that are asked for on the site. SIGTERM lets it go after the batch in hand."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which audits."""
        default = settings.CELERY_TASK_DEFAULT_QUEUE
        parser.add_argument("--queues", metavar="NAME,…", default=default, help=f"whose audits; default {default}")

        parser.add_argument("--name", default="plumbline", help="in logs; several workers of one host have several")
        parser.add_argument(
            "--no-notices",
            action="store_true",
            help="leave mail and webhooks to a notifier: for workers without a way out",
        )
        parser.add_argument(
            "--check",
            action="store_true",
            help="do not work: exit 0 if the worker of that name on this host lives, else 1",
        )

    def work(self, **options: Any) -> int:
        """Listen."""
        if options["check"]:
            return self._check(options["name"])
        from compliance.celery import app

        queues = [name.strip() for name in options["queues"].split(",") if name.strip()]
        if not queues or any(not name.isidentifier() for name in queues):
            raise InputError("--queues", f"is {options['queues']!r}", "names of letters, digits and _, with commas")
        ensure_tables()
        _find(settings.DEVICE)
        announce(name=options["name"], queues=queues)
        # Whichever worker is free sweeps, and sends notices where no notifier runs.
        notices = () if options["no_notices"] else (settings.NOTICE_QUEUE,)
        heard = ",".join((*queues, settings.SWEEP_QUEUE, *notices))
        app.worker_main(
            ["--quiet", "worker", "--loglevel", "WARNING", "--queues", heard, "--hostname", f"{options['name']}@%h",
             "--without-gossip", "--without-mingle", "--without-heartbeat"]
        )  # fmt: skip
        return 0

    def _check(self, name: str) -> int:
        if behind():
            self.stderr.write("database: its tables are not up to date; expected python manage.py migrate to have run")
            return BAD_NEWS
        if any(worker.host == node(name) for worker in Worker.objects.listening()):
            return 0
        self.stderr.write(f"worker {node(name)}: no heartbeat lately")
        return BAD_NEWS


def _find(device: str) -> None:
    """Refuse to listen for work that could not be done: a device that is not there would fail audit after audit."""
    if device == "cpu":
        return
    import torch

    number = int(device.partition(":")[2] or 0)
    if number >= torch.cuda.device_count():
        found = f"is {device!r}, and torch {torch.__version__} sees {torch.cuda.device_count()} GPUs"
        raise InputError("PLUMBLINE_DEVICE", found, "a CUDA build of torch and a GPU that this process may use")
