"""What happens when a Celery worker comes and when it goes."""

from __future__ import annotations

import sys

from celery.signals import worker_process_shutdown, worker_ready, worker_shutting_down

from compliance.execution.presence import presence
from compliance.execution.workers import call_for, reap


def _arrived(queues: list[str]) -> None:
    """What waited for a worker is found, whoever left it."""
    reap()
    call_for(queues)


@worker_ready.connect
def _enter(**_: object) -> None:
    presence.begin(_arrived)


@worker_shutting_down.connect
def _leave(**_: object) -> None:
    # Called from within a signal handler: only a flag is set here.
    presence.leave()


@worker_process_shutdown.connect
def _let_go(**_: object) -> None:
    # The memory of a GPU is given back before the next process asks for it. What loaded nothing loads no torch here.
    local = sys.modules.get("auditor.language_models.local")
    if local is not None:
        local.forget_models()
