"""The round of notices: tell people of the events since the last one, then send what is due."""

from __future__ import annotations

import logging

from django.db import DatabaseError

from compliance import actions
from compliance.database.patience import passes
from compliance.execution.heartbeat_files import HeartbeatFile
from compliance.notices.sending import send_due

#: A round with receivers that do not answer takes half of a minute.
ROUNDS = HeartbeatFile(name="notices-told", fresh_seconds=60.0)
logger = logging.getLogger(__name__)


def notify() -> None:
    """One round. A busy database leaves it to the next: what was not told stays in the event log."""
    try:
        actions.tell_people()
        send_due()
    except DatabaseError as error:
        if not passes(error):
            raise
        logger.warning("notices: the database is busy (%s); the next round goes on", type(error).__name__)
    ROUNDS.touch()
