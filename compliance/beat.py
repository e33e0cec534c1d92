"""Celery's beat, which leaves a sign of life: a file in the data folder, touched whenever it looked what is due."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from celery.beat import PersistentScheduler
from django.conf import settings

#: Beat looks at least every five seconds (``CELERY_BEAT_MAX_LOOP_INTERVAL``) and counts as gone when it missed four.
FRESH_SECONDS = 20.0


class Scheduler(PersistentScheduler):  # type: ignore[misc]
    """Beat's own scheduler, with the sign. One that cannot reach its broker hangs in a tick and gives none."""

    def tick(self, *args: Any, **options: Any) -> float:
        """Send what is due; returns the seconds until there is more."""
        seconds = float(super().tick(*args, **options))
        _sign().touch()
        return seconds


def lives() -> bool:
    """Whether a scheduler on this data folder ticked lately."""
    try:
        return time.time() - _sign().stat().st_mtime < FRESH_SECONDS
    except FileNotFoundError:
        return False


def _sign() -> Path:
    return Path(settings.DATA_FOLDER) / "beat-ticked"
