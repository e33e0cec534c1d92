"""Celery: wakes workers, carries ids, keeps nothing. The rows are the truth."""

from __future__ import annotations

import os

from celery import Celery

import compliance.execution.file_queue  # noqa: F401, names the transport of a site without Redis

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "compliance.settings")

app = Celery("plumbline")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["compliance.execution"])
app.autodiscover_tasks(["compliance.execution"], related_name="arrivals")
