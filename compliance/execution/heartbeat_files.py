"""A file in the data folder that a process touches on its rounds: whoever asks sees whether it lives."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings


@dataclass(frozen=True, kw_only=True)
class HeartbeatFile:
    """``name`` is the file; one that was touched within ``fresh_seconds`` is fresh."""

    name: str
    fresh_seconds: float

    def touch(self) -> None:
        """A heartbeat."""
        self._path().touch()

    def fresh(self) -> bool:
        """Whether there was one lately."""
        try:
            return abs(time.time() - self._path().stat().st_mtime) < self.fresh_seconds
        except FileNotFoundError:
            return False

    def _path(self) -> Path:
        return Path(settings.DATA_FOLDER) / self.name
