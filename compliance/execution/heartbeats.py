"""Heartbeats: when a row was last heard of, and the thread that keeps it heard of.

Who may take a row over is decided by tokens and counters, never by comparing two moments for equality: databases keep
different numbers of digits. A moment only says whether somebody has been silent for long, on the database's clock.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Self

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Q
from django.db.models.functions import Now

logger = logging.getLogger(__name__)


def silent(field: str, period: timedelta) -> Q:
    """Rows without a heartbeat for a period.

    A heartbeat that lies further ahead than a period was recorded before the clock was set back. It says nothing about
    now, and waiting until the clock has caught up could take for ever.
    """
    return (
        Q(**{f"{field}__isnull": True}) | Q(**{f"{field}__lt": Now() - period}) | Q(**{f"{field}__gt": Now() + period})
    )


def lease() -> timedelta:
    """How long somebody may be silent before others take over."""
    return timedelta(seconds=settings.LEASE_SECONDS)


class Beside:
    """A thread that runs while its block does: `_run` ends once ``_left`` is set."""

    def __init__(self, *, name: str) -> None:
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End: from now on it does nothing any more."""
        self._left.set()
        self._thread.join()

    def _run(self) -> None:
        raise NotImplementedError


class Heartbeat(Beside):
    """A thread that records heartbeats while its block runs.

    Parameters
    ----------
    beat
        Records one; called four times a lease, first after a quarter of one: the claim itself is the first.
    """

    def __init__(self, beat: Callable[[], object], *, name: str) -> None:
        super().__init__(name=f"heartbeat of {name}")
        self._beat = beat

    def _run(self) -> None:
        while not self._left.wait(settings.LEASE_SECONDS / 4):
            try:
                self._beat()
            except DatabaseError as error:
                logger.warning("no heartbeat could be recorded (%s)", type(error).__name__)
            finally:
                connection.close()
