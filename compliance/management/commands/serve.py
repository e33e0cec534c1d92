"""``manage.py serve``: the site, a worker, the notifier and the scheduler, as one command."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from auditor.exceptions import InputError, reason_of
from compliance.database.tables import ensure_tables
from compliance.execution.progress import StopRequest, TerminalProgress
from compliance.execution.supervisor import Program, Supervisor
from compliance.management.base import NOT_DONE, PlainCommand

THREADS = "4"


class Command(PlainCommand):
    """Serves the site until it is stopped."""

    help = "Serve the site with one worker, the notifier and the scheduler. Ctrl-C stops all of them."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where, and whether to work."""
        parser.add_argument(
            "--address",
            metavar="HOST:PORT",
            default="127.0.0.1:8000",
            help="where the site answers; default %(default)s",
        )
        parser.add_argument("--no-worker", action="store_true", help="workers run elsewhere")

    def work(self, **options: Any) -> int:
        """Bring the tables up to date, start everything, say where it is."""
        host, port = _address(options["address"])
        ensure_tables()
        _free(host, port)
        manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
        site = [
            sys.executable, "-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port),
            "--workers", "1", "--blocking-threads", THREADS, "--log-level", "warning", "compliance.wsgi:application",
        ]  # fmt: skip
        programs = [Program(name="site", command=site, needed=True)]
        if not options["no_worker"]:
            programs.append(Program(name="worker", command=[*manage, "worker"]))
        programs.append(Program(name="notifier", command=[*manage, "notifier"]))
        programs.append(Program(name="scheduler", command=[*manage, "scheduler"]))
        shown = f"[{host}]" if ":" in host else host
        base = f"http://{shown}:{port}/"
        self.stdout.write(f"Plumbline is at {base} (Ctrl-C stops it)")
        if link := _first_run_link(base):
            self.stdout.write(f"Nobody has an account yet. The first administrator's link, good once: {link}")
        self.stdout.flush()
        # Children find the code where this command found it, whatever folder it was called from.
        path = os.pathsep.join(filter(None, (str(settings.BASE_DIR), os.environ.get("PYTHONPATH"))))
        environment = {
            **os.environ,
            "PYTHONPATH": path,
            "PLUMBLINE_DATA": str(settings.DATA_FOLDER),
            "PLUMBLINE_MODELS": str(settings.MODEL_FOLDER),
        }
        with StopRequest(TerminalProgress(), "stopping the worker, the notifier, the scheduler and the site") as stop:
            asked = Supervisor(programs, environment=environment, say=self.stderr.write).run(stop)
        return 0 if asked else NOT_DONE


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise InputError(f"--address {text}", "is not an address", "HOST:PORT, as in 127.0.0.1:8000")
    return host.strip("[]"), int(port)


def _free(host: str, port: int) -> None:
    """Say so at once if the address cannot be had, instead of starting children that find out."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InputError(f"--address {host}:{port}", f"cannot be used: {reason_of(error)}", "a free one") from error


def _first_run_link(base: str) -> str | None:
    """The link that makes the first administrator, while there is nobody."""
    if importlib.util.find_spec("compliance.access.first_run") is None:
        return None
    from compliance.access.first_run import first_run_link

    return first_run_link(base)
