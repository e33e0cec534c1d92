"""What happens when a Celery worker comes and when it goes."""

from __future__ import annotations

import sys

from celery.signals import worker_process_shutdown, worker_ready, worker_shutting_down

from compliance.execution.presence import presence
from compliance.execution.workers import enqueue_all, reap


def _arrived(queues: list[str]) -> None:
    """What waited for a worker is found, whoever left it."""
    reap()
    enqueue_all(queues)


def _enter(**_: object) -> None:
    presence.begin(_arrived)


worker_ready.connect(_enter)


def _leave(**_: object) -> None:
    # Called from within a signal handler: only a flag is set here.
    presence.leave()


worker_shutting_down.connect(_leave)


def _let_go(**_: object) -> None:
    # The memory of a GPU is given back before the next process asks for it. What loaded nothing loads no torch here.
    local = sys.modules.get("auditor.language_models.local")
    if local is not None:
        local.forget_models()


worker_process_shutdown.connect(_let_go)
