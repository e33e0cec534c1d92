"""What a worker does when it is called, and who calls again when nobody came.

    called for an audit ─▶ prepare and freeze it, if it was only requested
                        ─▶ score chunks until none can be had
                        ─▶ conclude and publish, if none is left

Every step asks the rows and moves them by one conditional update, so a worker may be called twice, late or in vain.
While it works, a thread gives signs of life on the audit's row; the reaper calls again where they stopped.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from auditor.exceptions import AuditorError, Interrupted
from compliance import actions
from compliance.binding import bound_plan, model_store, registered_data, registered_model
from compliance.dispatch import call_registrar, call_worker
from compliance.events import Actor
from compliance.exceptions import ComplianceError, StateError
from compliance.job import ACTIVE, WAITING, WORKABLE, JobState
from compliance.models import Audit, Registration, RegistrationState, Worker
from compliance.presence import stopping
from compliance.progress import Silence
from compliance.registration import perform_registration
from compliance.runner import audit_folder, finish, score

WORKER = Actor(name="worker", role="worker")
REAPER = Actor(name="reaper", role="worker")
LOOK_SECONDS = 1.0
FORCED_SECONDS = 5.0
FORGOTTEN = timedelta(days=1)

logger = logging.getLogger(__name__)


def work(pk: int) -> None:
    """Do what there is to do for an audit; return when nothing is left that this worker could do."""
    audit = _first_in_line(pk)
    if audit is None:
        return
    with Attendance(audit) as attendance:
        try:
            if audit.state == JobState.REQUESTED and not _prepare(audit):
                return
            actions.begin_audit(audit=audit, actor=WORKER)
            begun = time.monotonic()
            if score(audit, store=model_store(), progress=Silence(), stop=attendance.stop, wait=False):
                seconds = time.monotonic() - begun
                finish(audit, out=audit_folder(audit), seconds=seconds, actor=WORKER, say=logger.info)
        except StateError as error:
            logger.info("%s: left alone: %s", audit, error)  # stopped, failed or finished by somebody else
        except Interrupted:
            _settle(audit)
        except (AuditorError, ComplianceError) as error:
            _fail(audit, str(error))
        except Exception as error:
            logger.exception("%s: crashed", audit)
            _fail(audit, f"crashed: {type(error).__name__}: {' '.join(str(error).split())}")


def reap() -> int:
    """Call a worker for every audit whose workers gave no sign of life for a lease; settle stops that nobody settled.

    Returns
    -------
    int
        How many audits and registrations were seen to.
    """
    silent = timedelta(seconds=settings.LEASE_SECONDS)
    seen_to = 0
    for audit in _of_the_site().filter(Q(seen_at__lt=Now() - silent) | Q(seen_at=None), state__in=ACTIVE):
        try:
            if audit.state == JobState.CANCELLING:
                actions.confirm_stopped(audit=audit, actor=REAPER)
            else:
                # Two reapers may be here at once: the first one's mark is what the second one no longer finds.
                mine = Audit.objects.filter(pk=audit.pk, state=audit.state, seen_at=audit.seen_at)
                if not mine.update(seen_at=Now(), keeper=""):
                    continue
                call_worker(audit)
            seen_to += 1
        except Exception:  # one bad row must not end the sweep
            logger.exception("%s: could not be reaped", audit)
    for registration in Registration.objects.filter(state=RegistrationState.WAITING):
        call_registrar(registration)
        seen_to += 1
    Worker.objects.filter(seen_at__lt=Now() - FORGOTTEN).delete()
    _tidy_messages()
    return seen_to


def register(pk: int, *, left_behind: bool) -> None:
    """Do a registration that waits. A call that comes late finds it under way or done, and leaves it alone."""
    states = [RegistrationState.WAITING, *([RegistrationState.REGISTERING] if left_behind else [])]
    if Registration.objects.filter(pk=pk, state__in=states).exists():
        perform_registration(pk)


def call_for(queues: list[str]) -> None:
    """A worker that has just come is called for everything that is under way in its queues.

    A registration gives no signs of life; one that is under way when the only worker comes has lost its own.
    """
    alone = len(Worker.objects.listening()) <= 1
    states = [RegistrationState.WAITING, *([RegistrationState.REGISTERING] if alone else [])]
    for registration in Registration.objects.filter(state__in=states).order_by("pk"):
        call_registrar(registration, left_behind=registration.state == RegistrationState.REGISTERING)
    for audit in _of_the_site().filter(state__in=WORKABLE, queue__in=queues).order_by("-priority", "serial"):
        call_worker(audit)


class Attendance:
    """While a worker is at an audit: signs of life on its row, and an ear for those who want it to stop.

    Parameters
    ----------
    audit
        The audit.
    end_process
        What a forced stop does to a process that does not heed it: the pool then starts another one.
    """

    def __init__(self, audit: Audit, *, end_process: Callable[[], None] | None = None) -> None:
        self._audit = audit
        self._end_process = end_process or (lambda: os.kill(os.getpid(), signal.SIGKILL))
        self._left = threading.Event()
        self._stop = False
        self._thread = threading.Thread(target=self._run, name=f"attendance {audit}", daemon=True)

    def stop(self) -> bool:
        """Whether the worker itself is asked to go."""
        return self._stop

    def __enter__(self) -> Attendance:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End: from now on nobody is ended for this audit's sake."""
        self._left.set()
        self._thread.join()

    def _run(self) -> None:
        every = min(LOOK_SECONDS, settings.LEASE_SECONDS / 4)
        signed = ended = float("-inf")
        while not self._left.is_set():
            now = time.monotonic()
            try:
                if now - signed > settings.LEASE_SECONDS / 4:
                    signed = now
                    Audit.objects.filter(pk=self._audit.pk).update(seen_at=Now())
                self._stop = self._stop or stopping()
                if not Audit.objects.filter(pk=self._audit.pk, forced=True).exists():
                    ended = float("-inf")
                elif ended < 0:
                    ended = now
                elif now - ended > FORCED_SECONDS:
                    logger.warning("%s: was stopped by force; this process ends", self._audit)
                    self._end_process()
            except DatabaseError as error:
                logger.warning("%s: no sign of life could be given (%s)", self._audit, type(error).__name__)
            self._left.wait(every)
        connection.close()


def _first_in_line(pk: int) -> Audit | None:
    """The audit a worker was called for, unless one that goes before it waits in the same queue."""
    called = Audit.objects.filter(pk=pk, state__in=WORKABLE).first()
    if called is None:
        return None
    before = Audit.objects.filter(queue=called.queue, state__in=WAITING, priority__gt=called.priority, keeper="")
    first = before.order_by("-priority", "serial").first()
    if first is None:
        return called
    call_worker(called)
    return first


def _prepare(audit: Audit) -> bool:
    """Bind, render and cut; False if another worker is at it."""
    from auditor.audit import prepare

    keeper = secrets.token_hex(16)
    silent = timedelta(seconds=settings.LEASE_SECONDS)
    # Two workers may be called for one audit; the second finds a keeper that lives.
    free = Audit.objects.filter(pk=audit.pk, state=JobState.REQUESTED).filter(
        Q(keeper="") | Q(seen_at__lt=Now() - silent)
    )
    if not free.update(keeper=keeper, seen_at=Now()):
        return False
    plan = bound_plan(audit.plan, model=audit.model, data=audit.data)
    data = registered_data(audit.data)
    prepared = prepare(
        plan=plan, model=registered_model(audit.model), data=data, where=str(audit.plan), device=settings.DEVICE
    )
    actions.freeze_audit(
        audit=audit,
        run=prepared.run,
        chunks=prepared.chunks,
        prompts=prepared.prompts,
        tokens=prepared.tokens,
        actor=WORKER,
    )
    others = min(len(Worker.objects.listening(audit.queue)), len(prepared.chunks)) - 1
    if others > 0:
        call_worker(audit, copies=others)
    return True


def _settle(audit: Audit) -> None:
    """After a stop: of the audit, which is confirmed, or of this worker, after which another one is called."""
    audit.refresh_from_db(fields=["state"])
    with suppress(StateError):  # somebody else settled it
        if audit.state == JobState.CANCELLING:
            actions.confirm_stopped(audit=audit, actor=WORKER)
    if audit.state in WORKABLE:
        call_worker(audit)


def _fail(audit: Audit, error: str) -> None:
    # If somebody stopped it in the meantime their word stands; if the database is gone the reaper comes back to it.
    with suppress(DatabaseError, ComplianceError):
        actions.fail_audit(audit=audit, error=error[:2000], actor=WORKER)


def _of_the_site() -> QuerySet[Audit]:
    """Audits that workers are called for; those of a command line end with their command."""
    return Audit.objects.exclude(queue="")


def _tidy_messages() -> None:
    """Forget the messages of the file system broker that were delivered an hour ago or earlier."""
    folder = settings.CELERY_BROKER_TRANSPORT_OPTIONS.get("processed_folder")
    for path in Path(folder).glob("*.msg") if folder else ():
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - 3600:
                path.unlink()
