"""Calling workers. The one place that sends messages, and never before the rows they speak of are committed.

Tasks are called by the names they have in Celery: whoever calls need not know what a worker does.
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
logger = logging.getLogger(__name__)


def call_worker(audit: Audit, *, copies: int = 1) -> None:
    """Call that many workers for an audit once the transaction in hand is committed.

    A call that is lost, or cannot be sent, is repeated by the reaper: the row is the outbox. One too many is harmless:
    whoever comes finds what there is to do in the rows.
    """
    transaction.on_commit(lambda: _send(audit, copies))


def _send(audit: Audit, copies: int) -> None:
    _note(Audit.objects.filter(pk=audit.pk))
    try:
        for _ in range(copies):
            app.send_task(WORK_ON, (audit.pk,), queue=audit.queue)
    except (OperationalError, OSError) as error:
        logger.warning("%s: no worker could be called (%s); the next sweep calls again", audit, type(error).__name__)


def call_registrar(registration: Registration) -> None:
    """Call a worker for a registration that waits, or whose worker is gone."""
    transaction.on_commit(lambda: _send_registration(registration.pk))


def _send_registration(pk: int) -> None:
    _note(Registration.objects.filter(pk=pk))
    try:
        app.send_task(REGISTER, (pk,))
    except (OperationalError, OSError) as error:
        logger.warning("registration %s: no worker could be called (%s); the next sweep calls again", pk, error)


def _note(row: QuerySet[Any]) -> None:
    """Note when the call was made. What it is about is committed: a busy database must not make an error of it."""
    try:
        row.update(seen_at=Now())
    except DatabaseError as error:
        logger.warning("a call could not be noted (%s)", type(error).__name__)
