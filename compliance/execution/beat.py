"""Celery's beat, with a heartbeat: a file in the data folder, touched whenever it looked what is due."""

from __future__ import annotations

from typing import Any

from celery.beat import PersistentScheduler

from compliance.execution.heartbeat_files import HeartbeatFile

#: Beat looks at least every five seconds (``CELERY_BEAT_MAX_LOOP_INTERVAL``) and counts as gone when it missed four.
TICKS = HeartbeatFile(name="beat-ticked", fresh_seconds=20.0)


class Scheduler(PersistentScheduler):  # type: ignore[misc]
    """Beat's own scheduler, with a heartbeat. One that cannot reach its broker hangs in a tick, and has none."""

    def tick(self, *args: Any, **options: Any) -> float:
        """Send what is due; returns the seconds until there is more."""
        for entry in self.schedule.values():
            if entry.last_run_at > entry.default_now():
                # Sent before the clock was set back. It is due a round from now, not when the clock has caught up.
                entry.last_run_at = entry.default_now()
                self._heap = None
        seconds = float(super().tick(*args, **options))
        TICKS.touch()
        return seconds
