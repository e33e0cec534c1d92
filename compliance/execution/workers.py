"""What a worker does with a message, and who enqueues again when none came.

    message for an audit ─▶ prepare and freeze it, if it was only requested
                         ─▶ score chunks until none can be had
                         ─▶ conclude and publish, if none is left

Every step asks the rows and moves them by one conditional update, so an audit may be enqueued twice, late or in vain.
While it works, a thread records heartbeats on the audit's row; the reaper enqueues where they stopped. What ends
one process after another is begun a few times and then has failed, with the reason on the page; chunks count their own.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from auditor.decision_sources import is_decision_file
from auditor.exceptions import AuditorError, Interrupted, RunError
from auditor.systems.exceptions import SystemStopped
from compliance import actions
from compliance.audits.binding import bound_plan, registered_data, registered_decisions, registered_model
from compliance.database.patience import passes, patiently
from compliance.exceptions import ComplianceError, StateError
from compliance.execution.dispatch import enqueue_audit, enqueue_registration
from compliance.execution.heartbeats import Beside, lease, silent
from compliance.execution.job import ACTIVE, WAITING, WORKABLE, JobState
from compliance.execution.presence import stopping
from compliance.execution.progress import Silence
from compliance.execution.runner import MOST_ATTEMPTS, audit_folder, finish, given_up, score
from compliance.execution.schedules import keep_calendar
from compliance.execution.watchdog import Watchdog
from compliance.governance.events import Actor
from compliance.model_store import model_store
from compliance.models import Audit, Registration, RegistrationState, Worker
from compliance.registry.keeping import keep
from compliance.registry.registration import perform_registration
from compliance.registry.room import end_unfinished
from compliance.registry.system_keys import site_systems
from compliance.sandbox.limits import GRACE_SECONDS, limited
from compliance.sentences import in_english

WORKER = Actor(name="worker", role="worker")
REAPER = Actor(name="reaper", role="worker")
LOOK_SECONDS = 1.0
FORCED_SECONDS = 5.0
FORGOTTEN = timedelta(days=1)
PREPARING, CONCLUDING = "preparing it", "concluding it and writing its report"

logger = logging.getLogger(__name__)


@in_english()
def work(pk: int) -> None:
    """Do what there is to do for an audit; return when nothing is left that this worker could do.

    While the database is busy it is begun again, from what the rows say; if that takes too long, by the next sweep.
    """
    try:
        patiently(lambda: _work(pk))
    except DatabaseError as error:
        if not passes(error):
            raise
        logger.warning("audit %s: the database is busy (%s); the next sweep enqueues it", pk, type(error).__name__)


def _work(pk: int) -> None:
    audit = _first_in_line(pk)
    if audit is None:
        return
    audit.claim_token = ""  # what was read may be another worker's; a claim enters this one's own
    with Attendance(audit) as attendance, Watchdog("audit", audit.pk, seconds=settings.STEP_SECONDS) as watchdog:
        try:
            if audit.state == JobState.REQUESTED and not _prepare(audit, watchdog):
                return
            actions.begin_audit(audit=audit, actor=WORKER)
            begun = time.monotonic()
            if score(
                audit,
                store=model_store(systems=site_systems(team_id=audit.team_id)),
                progress=Silence(),
                stop=attendance.stop,
                wait=False,
                watchdog=watchdog,
            ):
                _conclude(audit, watchdog, seconds=time.monotonic() - begun)
        except StateError as error:
            logger.info("%s: left alone: %s", audit, error)  # stopped, failed or finished by somebody else
            _settle(audit, enqueue=False)
        except Interrupted:
            _settle(audit)
        except SystemStopped as error:
            _pause(audit, str(error))
        except Exception as error:
            if passes(error):
                raise
            if isinstance(error, (AuditorError, ComplianceError)):
                _fail(audit, str(error))
                return
            logger.exception("%s: crashed", audit)
            _fail(audit, f"crashed: {type(error).__name__}: {' '.join(str(error).split())}")


@in_english()
def reap() -> int:
    """Enqueue every audit whose workers had no heartbeat for a lease; settle stops that nobody settled.

    Uploads that nobody finished end here too, and so do acceptances of findings whose day is past; scheduled audits
    that are due start here.

    Returns
    -------
    int
        How many audits and registrations were seen to.
    """
    seen_to = 0
    for audit in _of_the_site().filter(silent("seen_at", lease()), state__in=ACTIVE):
        try:
            if audit.state == JobState.CANCELLING:
                actions.confirm_stopped(audit=audit, actor=REAPER)
            else:
                # Two reapers may be here at once: the second one no longer finds the count it read.
                mine = Audit.objects.filter(pk=audit.pk, state=audit.state, enqueues=audit.enqueues)
                if not mine.update(seen_at=Now(), claim_token="", enqueues=F("enqueues") + 1):
                    continue
                enqueue_audit(audit)
            seen_to += 1
        except Exception:  # one bad row must not end the sweep
            logger.exception("%s: could not be reaped", audit)
    under_way = (RegistrationState.WAITING, RegistrationState.REGISTERING)
    for registration in Registration.objects.filter(silent("seen_at", lease()), state__in=under_way):
        waits = Registration.objects.filter(
            pk=registration.pk, state=registration.state, enqueues=registration.enqueues
        )
        if waits.update(seen_at=Now(), claim_token="", enqueues=F("enqueues") + 1):
            enqueue_registration(registration)
            seen_to += 1
    seen_to += end_unfinished(actor=REAPER)
    try:
        actions.expire_acceptances(actor=REAPER)
    except DatabaseError as error:  # busy: the next sweep does it, and whoever moves such a finding before
        logger.warning("acceptances of findings were not looked at (%s)", type(error).__name__)
    try:
        seen_to += keep_calendar()
    except DatabaseError as error:
        if not passes(error):
            raise
        logger.warning("the calendar was not looked at (%s)", type(error).__name__)
    Worker.objects.filter(silent("seen_at", FORGOTTEN)).delete()
    _tidy_messages()
    return seen_to


def register(pk: int) -> None:
    """Do a registration that waits or was left behind. A message that comes late finds it under way or done."""
    if Registration.objects.filter(pk=pk).exists():
        with Watchdog("registration", pk, seconds=settings.STEP_SECONDS) as watchdog:
            perform_registration(pk, watchdog=watchdog)


def enqueue_all(queues: list[str]) -> None:
    """For a worker that has just come, enqueue everything that waits or is under way in its queues.

    What another worker is at has heartbeats, and is left to it; what has none any more, to the next sweep.
    """
    for registration in Registration.objects.filter(state=RegistrationState.WAITING).order_by("pk"):
        enqueue_registration(registration)
    for audit in _of_the_site().filter(state__in=WORKABLE, queue__in=queues).order_by("-priority", "serial"):
        enqueue_audit(audit)


class Attendance(Beside):
    """While a worker is at an audit: heartbeats on its row, and an ear for those who want it to stop.

    Parameters
    ----------
    audit
        The audit.
    end_process
        What a forced stop does to a process that does not heed it: the pool then starts another one.
    """

    def __init__(self, audit: Audit, *, end_process: Callable[[], None] | None = None) -> None:
        super().__init__(name=f"attendance {audit}")
        self._audit = audit
        self._end_process = end_process or (lambda: os.kill(os.getpid(), signal.SIGKILL))
        self._stop = False

    def stop(self) -> bool:
        """Whether the worker itself is asked to go."""
        return self._stop

    def _run(self) -> None:
        every = min(LOOK_SECONDS, settings.LEASE_SECONDS / 4)
        beaten = ended = float("-inf")
        while not self._left.is_set():
            now = time.monotonic()
            try:
                if now - beaten > settings.LEASE_SECONDS / 4:
                    beaten = now
                    # Whoever only looks in records none for a claim that may be dead.
                    own = Audit.objects.filter(pk=self._audit.pk, claim_token__in={"", self._audit.claim_token})
                    own.update(seen_at=Now())
                self._stop = self._stop or stopping()
                if not Audit.objects.filter(pk=self._audit.pk, forced=True).exists():
                    ended = float("-inf")
                elif ended < 0:
                    ended = now
                elif now - ended > FORCED_SECONDS:
                    logger.warning("%s: was stopped by force; this process ends", self._audit)
                    self._end_process()
            except DatabaseError as error:
                logger.warning("%s: no heartbeat could be recorded (%s)", self._audit, type(error).__name__)
            self._left.wait(every)
        connection.close()


def _first_in_line(pk: int) -> Audit | None:
    """The audit that was enqueued, unless one that goes before it waits in the same queue."""
    asked = Audit.objects.filter(pk=pk, state__in=WORKABLE).first()
    if asked is None:
        return None
    before = Audit.objects.filter(queue=asked.queue, state__in=WAITING, priority__gt=asked.priority, claim_token="")
    first = before.order_by("-priority", "serial").first()
    if first is None:
        return asked
    enqueue_audit(asked)
    return first


def _prepare(audit: Audit, watchdog: Watchdog) -> bool:
    """Bind, render and cut; False if another worker is at it."""
    from auditor.conductor import prepare
    from auditor.decision_files import prepare_decisions

    claim_token = _claim(audit, JobState.REQUESTED, what=PREPARING)
    if not claim_token:
        return False
    # Plan, table, tokenizer and chat template meet here for the first time, and nobody vouches for three of them. What
    # heeds no limit from within its process is ended from outside.
    longest = {"seconds": settings.PREPARE_SECONDS + GRACE_SECONDS, "setting": "PLUMBLINE_PREPARE_SECONDS"}
    with watchdog.watching(what=PREPARING, claim_token=claim_token, **longest):
        plan = bound_plan(audit.plan, model=audit.model, data=audit.data)
        with limited(f"{audit}: {PREPARING}", seconds=settings.PREPARE_SECONDS, memory=settings.PREPARE_MEMORY):
            if is_decision_file(plan.run.model):
                file = registered_decisions(audit.data, source=plan.run.model)
                prepared = prepare_decisions(plan=plan, file=file, where=str(audit.plan))
            else:
                data = registered_data(audit.data)
                keep(data)
                model = registered_model(audit.model)
                prepared = prepare(plan=plan, model=model, data=data, where=str(audit.plan), device=settings.DEVICE)
    with watchdog.watching(what=PREPARING, claim_token=claim_token):
        _freeze(audit, prepared, claim_token=claim_token)
    others = min(len(Worker.objects.listening(audit.queue)), len(prepared.chunks)) - 1
    if others > 0:
        enqueue_audit(audit, copies=others)
    return True


def _freeze(audit: Audit, prepared: Any, *, claim_token: str) -> None:
    actions.freeze_audit(
        audit=audit,
        run=prepared.run,
        chunks=prepared.chunks,
        prompts=prepared.prompts,
        tokens=prepared.tokens,
        actor=WORKER,
        claim_token=claim_token,
    )


def _conclude(audit: Audit, watchdog: Watchdog, *, seconds: float) -> None:
    """Conclude and publish, unless another worker is at it."""
    claim_token = _claim(audit, JobState.RUNNING, what=CONCLUDING)
    if not claim_token:
        return

    def say(line: str) -> None:
        watchdog.goes_on()
        logger.info(line)

    # A decision file is read anew, row by row as it was uploaded; cases of a model were rendered and bounded before.
    reads_file = is_decision_file(audit.model.source)
    most = {"seconds": settings.PREPARE_SECONDS, "memory": settings.PREPARE_MEMORY}
    bounded = limited(f"{audit}: {CONCLUDING}", **most) if reads_file else None
    try:
        with watchdog.watching(what=CONCLUDING, claim_token=claim_token):
            finish(audit, out=audit_folder(audit), seconds=seconds, actor=WORKER, say=say, bounded=bounded)
    except Exception:
        # Ended with a word: given back, so that the next one need not wait until it counts as lost.
        with suppress(DatabaseError):
            mine = Audit.objects.filter(pk=audit.pk, claim_token=claim_token, attempts__gt=0)
            patiently(lambda: mine.update(claim_token="", attempts=F("attempts") - 1))
        raise


def _claim(audit: Audit, state: JobState, *, what: str) -> str:
    """The token under which this process does what only one does at a time; empty if another one that lives has it.

    Raises
    ------
    RunError
        If it was begun too often without an end: what it does is what ends whoever does it.
    """
    claim_token = secrets.token_hex(16)
    # One audit may be enqueued twice; the second worker finds a claim that is alive.
    free = Audit.objects.filter(Q(claim_token="") | silent("seen_at", lease()), pk=audit.pk, state=state)
    few = free.filter(attempts__lt=MOST_ATTEMPTS)
    if patiently(lambda: few.update(claim_token=claim_token, seen_at=Now(), attempts=F("attempts") + 1)):
        audit.claim_token = claim_token
        return claim_token
    if free.exists():
        raise RunError(given_up(audit, what))
    return ""


def _settle(audit: Audit, *, enqueue: bool = True) -> None:
    """After a stop: of the audit, which is confirmed, or of this worker, after which it is enqueued again."""
    audit.refresh_from_db(fields=["state"])
    with suppress(StateError):  # somebody else settled it
        if audit.state == JobState.CANCELLING:
            actions.confirm_stopped(audit=audit, actor=WORKER)
    if enqueue and audit.state in WORKABLE:
        enqueue_audit(audit)


def _pause(audit: Audit, error: str) -> None:
    # As below; and another worker of the same run may have paused it a moment ago.
    with suppress(DatabaseError, ComplianceError):
        patiently(lambda: actions.pause_audit(audit=audit, error=error[:2000], actor=WORKER))
    with suppress(DatabaseError):
        _settle(audit, enqueue=False)


def _fail(audit: Audit, error: str) -> None:
    # If somebody stopped it in the meantime their word stands; if the database is gone the reaper comes back to it.
    with suppress(DatabaseError, ComplianceError):
        patiently(lambda: actions.fail_audit(audit=audit, error=error[:2000], actor=WORKER))
    with suppress(DatabaseError):
        _settle(audit, enqueue=False)


def _of_the_site() -> QuerySet[Audit]:
    """Audits that are enqueued; those of a command line end with their command."""
    return Audit.objects.exclude(queue="")


def _tidy_messages() -> None:
    """Forget the messages of the file system broker that were delivered an hour ago or earlier."""
    folder = settings.CELERY_BROKER_TRANSPORT_OPTIONS.get("processed_folder")
    for path in Path(folder).glob("*.msg") if folder else ():
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - 3600:
                path.unlink()
