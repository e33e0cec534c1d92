"""Enqueueing work. The one place that sends messages, and never before the rows they speak of are committed.

Tasks are sent by the names they have in Celery: whoever enqueues one need not know what a worker does.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from kombu.exceptions import OperationalError

from compliance.celery import app
from compliance.models import Audit, Registration

WORK_ON, REGISTER, REAP = "compliance.work_on", "compliance.register", "compliance.reap"
NOTIFY = "compliance.notify"
logger = logging.getLogger(__name__)


def enqueue_audit(audit: Audit, *, copies: int = 1) -> None:
    """Enqueue an audit, for that many workers, once the transaction in hand is committed.

    A message that is lost, or cannot be sent, is sent again by the reaper: the row is the outbox. One too many is
    harmless: a worker finds what there is to do in the rows.
    """
    transaction.on_commit(lambda: _send(audit, copies))


def _send(audit: Audit, copies: int) -> None:
    _note(Audit.objects.filter(pk=audit.pk))
    try:
        for _ in range(copies):
            app.send_task(WORK_ON, (audit.pk,), queue=audit.queue)
    except (OperationalError, OSError) as error:
        logger.warning("%s: could not be enqueued (%s); the next sweep tries again", audit, type(error).__name__)


def enqueue_registration(registration: Registration) -> None:
    """Enqueue a registration that waits, or whose worker is gone."""
    transaction.on_commit(lambda: _send_registration(registration.pk))


def _send_registration(pk: int) -> None:
    _note(Registration.objects.filter(pk=pk))
    try:
        app.send_task(REGISTER, (pk,))
    except (OperationalError, OSError) as error:
        logger.warning("registration %s: could not be enqueued (%s); the next sweep tries again", pk, error)


def _note(row: QuerySet[Any]) -> None:
    """Note when it was enqueued. What it is about is committed: a busy database must not make an error of it."""
    try:
        row.update(seen_at=Now())
    except DatabaseError as error:
        logger.warning("when it was enqueued could not be noted (%s)", type(error).__name__)
