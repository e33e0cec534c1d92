"""A worker's heartbeat: a row, refreshed by a thread of the worker's main process.

The row is also how the main process tells the process that scores to stop after the batch in hand.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable

from django.db import DatabaseError, connection
from django.utils import timezone

from compliance.models import Worker
from compliance.models.workers import HEARTBEAT_SECONDS

#: The key of the worker that this process belongs to; set by ``manage.py worker`` before any process is started.
KEY = "PLUMBLINE_WORKER_KEY"
QUEUES = "PLUMBLINE_WORKER_QUEUES"
NAME = "PLUMBLINE_WORKER_NAME"

logger = logging.getLogger(__name__)


def announce(*, name: str, queues: list[str]) -> None:
    """Choose this worker's key and keep it, with its name and queues, where child processes find it."""
    os.environ[KEY] = secrets.token_hex(16)
    os.environ[NAME] = name
    os.environ[QUEUES] = ",".join(queues)


def node(name: str) -> str:
    """What a worker of that name on this machine is called in its row. Only people and health checks go by it."""
    return f"{name}@{socket.gethostname()}"[:200]


def stopping() -> bool:
    """Whether the worker that this process belongs to is going; never, in a process that belongs to none."""
    key = os.environ.get(KEY)
    return bool(key) and not Worker.objects.filter(key=key, stopping=False).exists()


class Presence:
    """The thread behind a worker's row."""

    def __init__(self) -> None:
        self._going = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, arrived: Callable[[list[str]], None]) -> None:
        """Enter the worker in the rows, and go on recording heartbeats.

        ``arrived`` is called once with the worker's queues, as soon as its row is there: what waits for one is found.
        """
        if KEY in os.environ and self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(arrived,), name="presence", daemon=True)
            self._thread.start()

    def leave(self) -> None:
        """Say, at the thread's next breath, that the worker is going."""
        self._going.set()

    def _run(self, arrived: Callable[[list[str]], None]) -> None:
        queues = os.environ[QUEUES].split(",")
        worker: Worker | None = None
        called = False
        while True:
            going = self._going.is_set()
            try:
                if worker is None:
                    worker, _ = Worker.objects.get_or_create(
                        key=os.environ[KEY],
                        defaults={"host": node(os.environ[NAME]), "queues": queues, "seen_at": timezone.now()},
                    )
                worker.refresh(stopping=going)
                if not called and not going:
                    arrived(queues)
                    called = True
            except DatabaseError as error:
                logger.warning("worker: no heartbeat could be recorded (%s)", type(error).__name__)
            finally:
                connection.close()
            if going:
                return
            self._going.wait(HEARTBEAT_SECONDS)


presence = Presence()
