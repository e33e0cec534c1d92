"""Waiting for a database that is busy: what passes by itself fails nobody's audit.

On SQLite another writer may hold the file for longer than a statement waits; a server may end a transaction to resolve
a deadlock, or be started again. The step is made again after a pause. A full disk does not pass by itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connection

T = TypeVar("T")

PATIENCE_SECONDS = 600.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
#: SQLSTATE classes of what passes: connections, rolled back, resources, not now, ended by an operator.
PASSING = ("08", "40", "53", "55", "57")
LASTING = ("53100",)  # the disk is full

logger = logging.getLogger(__name__)


def passes(error: BaseException | None) -> bool:
    """Whether an error, or the one that caused it, is of a database that is busy or away and will be back."""
    while error is not None:
        if isinstance(error, InterfaceError):
            return True
        if isinstance(error, OperationalError):
            if connection.vendor == "sqlite":
                return "locked" in str(error) or "busy" in str(error)
            state = getattr(error.__cause__, "sqlstate", None)
            return state is None or (state.startswith(PASSING) and state not in LASTING)
        error = error.__cause__
    return False


def patiently(step: Callable[[], T], *, seconds: float | None = None) -> T:
    """Do a step; while the database is busy, do it again after a pause that grows.

    Parameters
    ----------
    step
        Harmless to repeat: one transaction, or steps that each ask the rows what is left to do. Within a transaction it
        is done once, since what is around it would have to be repeated too.
    seconds
        For how long.

    Raises
    ------
    DatabaseError
        The last one, once the time is over; at once if it does not pass by itself.
    """
    limit = time.monotonic() + (PATIENCE_SECONDS if seconds is None else seconds)
    pause = FIRST_PAUSE
    while True:
        try:
            return step()
        except DatabaseError as error:
            if not passes(error) or connection.in_atomic_block or time.monotonic() + pause > limit:
                raise
            logger.warning("the database is busy (%s); again in %.1f s", " ".join(str(error).split()), pause)
        connection.close_if_unusable_or_obsolete()
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
