"""The ledger of a run in database rows: any number of workers on any number of machines, one outcome.

Every step is one conditional UPDATE whose row count decides; nobody reads first and writes later. Leases are measured
on the database's clock, the only one all workers share.
"""

from __future__ import annotations

import secrets
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from auditor.exceptions import RunError, StorageError
from auditor.ledger import Chunk
from auditor.ledger import ChunkState as LedgerState
from auditor.run_record import RunRecord
from compliance.database.patience import passes, patiently
from compliance.execution.job import JobState
from compliance.models import Audit, AuditChunk, ChunkState

MAX_LOST = 50
#: How often whoever takes a chunk may be kept from reporting progress; each costs a whole ``PLUMBLINE_STEP_SECONDS``.
MAX_STALLED = 3
ROWS_AT_ONCE = 50
ASK_SECONDS = 2.0
STOPPED = (JobState.CANCELLING, JobState.CANCELLED, JobState.PAUSED, JobState.FAILED)


class DatabaseLedger:
    """``auditor.ledger.Ledger`` on the rows of one audit. One instance belongs to one worker: it is the lease's owner.

    Parameters
    ----------
    audit
        The audit whose run this is.
    stop
        Asked beside the audit's own state whether to stop, such as a signal's flag.
    lease_seconds
        How long a chunk stays claimed without a heartbeat. ``should_stop``, asked between batches, records one.
    """

    def __init__(
        self, audit: Audit, *, stop: Callable[[], bool] = lambda: False, lease_seconds: float | None = None
    ) -> None:
        self.audit = audit
        # Random, not a host name or process id: both come back after a restart and would own what they lost.
        self.owner = secrets.token_hex(16)
        self._stop = stop
        self._lease = timedelta(seconds=settings.LEASE_SECONDS if lease_seconds is None else lease_seconds)
        self._held: set[int] = set()
        self._renewed = self._asked = float("-inf")
        self._asked_to_stop = False

    def freeze(self, run: RunRecord, chunks: Iterable[Chunk]) -> None:
        """Store the chunks in batches, all or none; harmless if they are stored already.

        Raises
        ------
        RunError
            If ``run`` is not the run this audit was started with.
        StorageError
            If the database cannot take them.
        """
        if run.digest() != self.audit.run_sha256:
            raise RunError(f"{self.audit}: holds another run; expected the run it was started with")
        if self.frozen():
            return
        rows = (
            AuditChunk(
                audit=self.audit,
                index=chunk.index,
                kind=chunk.kind,
                prompts=chunk.prompts,
                tokens=chunk.tokens,
                payload=zlib.compress(chunk.payload),
            )
            for chunk in chunks
        )
        with _storing(self.audit), transaction.atomic():
            while batch := list(islice(rows, ROWS_AT_ONCE)):
                AuditChunk.objects.bulk_create(batch)

    def frozen(self) -> bool:
        """Whether the chunks are stored; they come all at once."""
        return self._chunks().exists()

    def run(self) -> RunRecord:
        """The frozen run record."""
        return self.audit.run

    def states(self) -> list[LedgerState]:
        """All chunks in index order."""
        asked = self._chunks().order_by("index").values_list("index", "kind", "prompts", "tokens", "state")
        rows = patiently(lambda: list(asked.all()))
        return [
            LedgerState(index=index, kind=kind, prompts=prompts, tokens=tokens, done=state == ChunkState.DONE)
            for index, kind, prompts, tokens, state in rows
        ]

    def claim(self, index: int) -> bool:
        """Take a chunk that is queued, or whose taker's lease ran out.

        Raises
        ------
        RunError
            If its taker was lost more than 50 times, or reported no progress for too long three times: the chunk itself
            must be what kills or holds them.
        """
        # Workers, a second command line on the same run and a worker that comes back after its lease ran out may all
        # be here at once. The database serialises these updates; of those that match one row, only the first does.
        taken = {
            "state": ChunkState.RUNNING,
            "lease_owner": self.owner,
            "lease_expires_at": Now() + self._lease,
            "claimed_at": Now(),
            "attempt": F("attempt") + 1,
        }
        # A lease that ends further ahead than any could was given before the clock was set back.
        ended = Q(lease_expires_at__lt=Now()) | Q(lease_expires_at__gt=Now() + 2 * self._lease)
        expired = self._one(index).filter(ended, state=ChunkState.RUNNING)
        queued = self._one(index).filter(state=ChunkState.QUEUED)
        lost = expired.filter(lost__lt=MAX_LOST)
        if patiently(lambda: queued.update(**taken) or lost.update(**taken, lost=F("lost") + 1)):
            self._held.add(index)
            self._renewed = time.monotonic()
            return True
        given_up = {"state": ChunkState.FAILED, "lease_owner": "", "lease_expires_at": None}
        gone = expired.filter(lost__gte=MAX_LOST)
        patiently(lambda: gone.update(**given_up, error="its worker was lost too often"))
        failed = self._one(index).filter(state=ChunkState.FAILED).values_list("stalled", "error").first()
        if failed is not None:
            stalled, error = failed
            why = error if stalled >= MAX_STALLED else f"lost its worker {MAX_LOST} times"
            raise RunError(f"{self.audit}: chunk {index} {why}; it is not sent again")
        return False

    def payload(self, index: int) -> bytes:
        """The cases of a chunk."""
        return zlib.decompress(patiently(lambda: self._one(index).values_list("payload", flat=True).get()))

    def complete(self, index: int, result: bytes) -> bool:
        """Store the result and count its prompts, once.

        Whoever comes first is right, also after the lease ran out: the same chunk gives the same bytes.

        Raises
        ------
        StorageError
            If the database cannot take it.
        """
        self._held.discard(index)
        packed = zlib.compress(result)

        @transaction.atomic
        def store() -> bool:
            # Two workers may be here for one chunk: a slow one whose lease ran out, and the one that took it over.
            done = {"state": ChunkState.DONE, "lease_owner": "", "lease_expires_at": None, "error": ""}
            left = self._one(index).exclude(state=ChunkState.DONE)
            if not left.update(**done, result=packed, done_at=Now()):
                return False
            prompts = self._one(index).values_list("prompts", flat=True).get()
            # The run moves: what was begun in vain before does not count any more.
            Audit.objects.filter(pk=self.audit.pk).update(
                prompts_done=F("prompts_done") + prompts, attempts=0, error=""
            )
            return True

        with _storing(self.audit):
            return patiently(store)  # what took minutes to score is not lost to a database that is busy for one

    def release(self, index: int, reason: str) -> None:
        """Give a chunk back, if it is still this worker's."""
        self._held.discard(index)
        # Somebody else may have taken it over in the meantime; then it is not ours to give back.
        mine = self._one(index).filter(state=ChunkState.RUNNING, lease_owner=self.owner)
        freed = {"state": ChunkState.QUEUED, "lease_owner": "", "lease_expires_at": None}
        patiently(lambda: mine.update(**freed, error=reason[:2000]))

    def give_back(self, reason: str) -> None:
        """Release whatever this worker still holds, so that nobody has to wait for its lease to run out."""
        for index in sorted(self._held):
            self.release(index, reason)

    def result(self, index: int) -> bytes:
        """The stored result of a chunk that is done."""
        stored = patiently(lambda: self._one(index).values_list("result", flat=True).get())
        if stored is None:
            raise RunError(f"{self.audit}: chunk {index} has no result yet")
        return zlib.decompress(stored)

    def should_stop(self) -> bool:
        """Whether to stop. Also keeps the lease of the chunk in hand alive.

        A database that is busy is asked again at the next batch.
        """
        try:
            self._ask()
        except DatabaseError as error:
            if not passes(error):
                raise
        return self._asked_to_stop or self._stop()

    def requests(self) -> Path:
        """In the audit's own folder: workers of one audit of a system share this machine's disk."""
        return Path(settings.DATA_FOLDER) / "audits" / self.audit.number / "requests.sqlite"

    def stopped(self) -> bool:
        """Whether somebody stopped the run by its row, asked now."""
        return Audit.objects.filter(pk=self.audit.pk, state__in=STOPPED).exists()

    def _ask(self) -> None:
        now = time.monotonic()
        if self._held and now - self._renewed > self._lease.total_seconds() / 4:
            self._renewed = now
            self._chunks().filter(index__in=self._held, state=ChunkState.RUNNING, lease_owner=self.owner).update(
                lease_expires_at=Now() + self._lease
            )
        if now - self._asked > ASK_SECONDS:
            self._asked = now
            self._asked_to_stop = self.stopped()

    def _chunks(self) -> QuerySet[AuditChunk]:
        return AuditChunk.objects.filter(audit_id=self.audit.pk)

    def _one(self, index: int) -> QuerySet[AuditChunk]:
        return self._chunks().filter(index=index)


@contextmanager
def _storing(audit: Audit) -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        raise StorageError(
            f"{audit}: the database refused to store evidence ({' '.join(str(error).split())})"
        ) from error
