"""What the sweep does about the calendar: start what is due, hold what cannot start, remind of what will be due.

Beat sends the sweep every half lease (compliance/settings.py); the rows say what is due. Two beats, two sweeps at once
or a week without either change nothing: a day is started once, by the row and under the lock of the event chain
(decision 0053).
"""

from __future__ import annotations

import logging
from datetime import datetime

from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.utils import timezone

from auditor.exceptions import AuditorError
from compliance import actions
from compliance.actions.schedules import data_of, newest_version
from compliance.audits.estimates import estimate
from compliance.database.patience import passes
from compliance.exceptions import ComplianceError, StateError
from compliance.governance.revalidation import SOON_DAYS
from compliance.governance.standing import due_dates
from compliance.models import AuditSchedule
from compliance.sentences import in_english

logger = logging.getLogger(__name__)


@in_english()
def keep_calendar(*, now: datetime | None = None) -> int:
    """Start what is due and tell of what will be; how many schedules were started or held."""
    now = now or timezone.now()
    due = due_dates()
    actions.follow_tiers(due=due)
    actions.remind(due=due, today=now.date(), days=SOON_DAYS)
    rows = AuditSchedule.objects.due(now.date()).select_related("plan", "language_model", "data", "team")
    return sum(_start(row, now) for row in rows.order_by("next_on", "pk"))


def _start(row: AuditSchedule, now: datetime) -> bool:
    due = row.next_on
    try:
        if problem := _not_affordable(row):
            raise StateError(problem)
        return actions.start_scheduled_audit(schedule=row, due=due, today=now.date()) is not None
    except DatabaseError as error:
        if passes(error):  # nothing was written: the next sweep starts it
            logger.warning("%s: the database is busy (%s)", row, type(error).__name__)
            return False
        raise
    except (ComplianceError, AuditorError, PermissionDenied, OSError) as error:
        return actions.hold_schedule(schedule=row, due=due, problem=str(error))
    except Exception:
        logger.exception("%s: could not start", row)
        return actions.hold_schedule(
            schedule=row, due=due, problem=f"{row}: could not start, and the log of the sweep says why"
        )


def _not_affordable(row: AuditSchedule) -> str:
    """Why the audit would not go through as it is estimated now; empty if nothing speaks against it."""
    model = newest_version(row.language_model)
    guess = estimate(plan=row.plan, model=model, data=data_of(row, model))
    if not guess.fits:
        return guess.problem
    return f"{row}: {'; '.join(guess.asked.over)}" if guess.asked is not None and guess.asked.over else ""
