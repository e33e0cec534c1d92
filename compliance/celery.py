"""Celery: wakes workers, carries ids, keeps nothing. The rows are the truth."""

from __future__ import annotations

import os
import sys

from celery import Celery
from celery.signals import worker_process_shutdown, worker_ready, worker_shutting_down

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "compliance.settings")

app = Celery("plumbline")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["compliance"])


@worker_ready.connect
def _enter(**_: object) -> None:
    from compliance.presence import presence

    presence.begin()


@worker_shutting_down.connect
def _leave(**_: object) -> None:
    # Called from within a signal handler: only a flag is set here.
    from compliance.presence import presence

    presence.leave()


@worker_process_shutdown.connect
def _let_go(**_: object) -> None:
    # The memory of a GPU is given back before the next process asks for it. What loaded nothing loads no torch here.
    local = sys.modules.get("auditor.language_models.local")
    if local is not None:
        local.forget_models()
