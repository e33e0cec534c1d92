"""Who is there to work."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models.functions import Now

from compliance.execution.heartbeats import silent
from compliance.models.rows import TeamRows

#: Seconds between a worker's heartbeats; it counts as gone when it missed four.
HEARTBEAT_SECONDS = 5.0
FRESH = timedelta(seconds=4 * HEARTBEAT_SECONDS)


class WorkerQuerySet(TeamRows["Worker"]):
    """Workers by whether they are there."""

    def listening(self, queue: str | None = None) -> list[Worker]:
        """The workers that had a heartbeat lately and are not stopping, those of one queue if it is named."""
        fresh = self.filter(~silent("seen_at", FRESH), stopping=False)
        return [worker for worker in fresh if queue is None or queue in worker.queues]


class Worker(models.Model):
    """A worker process. ``key`` is random: host names and process ids come back after a restart."""

    team_path = None  # workers serve all teams

    key = models.CharField(max_length=40, unique=True)
    host = models.CharField(max_length=200)
    queues = models.JSONField(default=list)
    stopping = models.BooleanField(default=False)
    started_at = models.DateTimeField(auto_now_add=True)
    seen_at = models.DateTimeField(db_index=True)

    objects = WorkerQuerySet.as_manager()

    class Meta:
        ordering = ("-seen_at",)

    def __str__(self) -> str:
        return f"{self.host} {self.key[:6]}"

    def refresh(self, **fields: Any) -> bool:
        """Say that it is there, with what changed; False if its row is gone."""
        return bool(Worker.objects.filter(pk=self.pk).update(seen_at=Now(), **fields))
