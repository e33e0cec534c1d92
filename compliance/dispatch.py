"""Calling workers. The one place that sends messages, and never before the rows they speak of are committed."""

from __future__ import annotations

import logging

from django.db import transaction
from django.db.models.functions import Now
from kombu.exceptions import OperationalError

from compliance.models import Audit, Registration

logger = logging.getLogger(__name__)


def call_worker(audit: Audit, *, copies: int = 1) -> None:
    """Call that many workers for an audit once the transaction in hand is committed.

    A call that is lost, or cannot be sent, is repeated by the reaper: the row is the outbox. One too many is harmless:
    whoever comes finds what there is to do in the rows.
    """
    transaction.on_commit(lambda: _send(audit, copies))


def _send(audit: Audit, copies: int) -> None:
    from compliance.tasks import work_on

    Audit.objects.filter(pk=audit.pk).update(seen_at=Now())
    try:
        for _ in range(copies):
            work_on.apply_async((audit.pk,), queue=audit.queue)
    except (OperationalError, OSError) as error:
        logger.warning("%s: no worker could be called (%s); the next sweep calls again", audit, type(error).__name__)


def call_registrar(registration: Registration, *, left_behind: bool = False) -> None:
    """Call a worker for a registration that waits, or (``left_behind``) for one whose worker is gone."""
    transaction.on_commit(lambda: _send_registration(registration.pk, left_behind))


def _send_registration(pk: int, left_behind: bool) -> None:
    from compliance.tasks import register

    try:
        register.apply_async((pk, left_behind))
    except (OperationalError, OSError) as error:
        logger.warning("registration %s: no worker could be called (%s); the next sweep calls again", pk, error)
