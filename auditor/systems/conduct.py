"""Asking many things of one system: in threads, politely, each of them once, with everything kept.

A request that was answered is in the store before anybody hears of it, and is never sent again. One that failed is sent
again after a wait, as often as the back-off allows. Whatever ends the asking, what is under way is finished and kept.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from auditor.exceptions import Interrupted
from auditor.systems.breaker import Breaker, Fuse
from auditor.systems.exceptions import CapReached, Paused, Rejected, SystemStopped, TokenDelayed
from auditor.systems.request_store import Full, KeptAnswer, RequestStore, Send
from auditor.systems.retries import Backoff, retry_after
from auditor.systems.transport import Arrived, Fault, Outgoing, Transport

_SLICE = 0.5
"""Seconds: how soon a wait notices that the run was asked to stop."""


@dataclass(frozen=True, kw_only=True)
class Caps:
    """The most that may be asked for: requests, and millionths of the currency; ``None`` for no bound."""

    requests: int | None = None
    money: int | None = None


NO_CAPS = Caps()


@dataclass(frozen=True, kw_only=True)
class Conduct:
    """How a system is asked.

    Attributes
    ----------
    concurrency
        Requests at a time, by one process.
    a_second
        Requests a second at most, by one process; ``None`` for no bound.
    most_requests, most_money
        Caps over a whole store: requests, and millionths of the currency.
    longest_wait
        Seconds. A server that asks to be left alone for longer pauses the audit.
    backoff, fuse
        Of one request that fails, and of a system that does.
    """

    concurrency: int = 8
    a_second: float | None = None
    most_requests: int | None = None
    most_money: int | None = None
    longest_wait: float = 300.0
    backoff: Backoff = field(default_factory=Backoff)
    fuse: Fuse = field(default_factory=Fuse)

    def under(self, caps: Caps) -> Conduct:
        """The same with the lower cap of each pair."""
        return replace(
            self,
            most_requests=_lower(self.most_requests, caps.requests),
            most_money=_lower(self.most_money, caps.money),
        )


def _lower(one: int | None, other: int | None) -> int | None:
    return min((cap for cap in (one, other) if cap is not None), default=None)


class Handling(StrEnum):
    """What an answer is."""

    KEEP = "keep"
    AGAIN = "again"
    """It failed."""
    BUSY = "busy"
    """It has too much to do: no failure of its own."""
    LATER = "later"
    """It is well and not ready yet: asked again after a wait, and no try is used up."""
    RENEW = "renew"
    """The token ran out."""
    STOP = "stop"
    """It refuses, and would again."""


@dataclass(frozen=True, slots=True)
class HandledAnswer:
    """A verdict with its reason, what the answer cost in millionths (``None``: not known) and how long to wait.
    ``detail`` is what the server says of it: shown where the asking ends by it, and not counted by."""

    verdict: Handling
    note: str = ""
    detail: str = ""
    cost: int | None = None
    wait: float | None = None


@dataclass(frozen=True, kw_only=True)
class Errand:
    """One request: its hash, what is kept of it (canonical JSON), how it is made (a token is put in when it goes out)
    and the most it may cost in millionths."""

    key: str
    record: bytes
    make: Callable[[], Outgoing]
    reserve: int = 0


Judge = Callable[[Errand, Arrived], HandledAnswer]


class Asker:
    """Asks one system; close it after use.

    Parameters
    ----------
    where
        Names the system in errors.
    transport, store
        Where requests go, and where they are kept.
    conduct
        How.
    renew
        Called with a request whose token was refused, before it is made anew.
    tell
        Is told in one line when the asking rests, and when it goes on.
    should_stop
        Asked often; true ends the asking with what is under way kept.
    sleep
        For tests.
    """

    def __init__(
        self,
        where: str,
        transport: Transport,
        store: RequestStore,
        conduct: Conduct,
        *,
        renew: Callable[[Outgoing], None] | None = None,
        tell: Callable[[str], None] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self.where = where
        self._transport = transport
        self._store = store
        self._conduct = conduct
        self._renew = renew
        self._should_stop = should_stop
        self._wait = sleep or self._sleep
        self._breaker = Breaker(conduct.fuse, tell=lambda text: tell(f"{where}: {text}"))
        self._lock = threading.Lock()
        self._next = 0.0
        self._quiet = 0.0
        self._stopped: Exception | None = None
        self._threads = ThreadPoolExecutor(conduct.concurrency, thread_name_prefix="asking")

    def close(self) -> None:
        """End the threads; what is under way is finished and kept."""
        self._stopped = self._stopped or Interrupted(f"{self.where}: closed")
        self._threads.shutdown()

    def ask(self, errands: Sequence[Errand], judge: Judge) -> list[KeptAnswer]:
        """The answers, in the order of the errands; two errands of one hash are one.

        Raises
        ------
        SystemStopped
            If the rest cannot be had now.
        Interrupted
            If the run was asked to stop.
        """
        found = self._store.kept(errand.key for errand in errands)
        missing = {errand.key: errand for errand in errands if errand.key not in found}
        self._stopped = None
        if len(missing) == 1:  # handing one request to a thread costs more than it saves
            [errand] = missing.values()
            found[errand.key] = self._one(errand, judge)
            missing = {}
        futures = [self._threads.submit(self._one, errand, judge) for errand in missing.values()]
        first: BaseException | None = None
        for future in futures:
            try:
                kept = future.result()
                found[kept.key] = kept
            except Exception as error:
                first = first or error
            except BaseException as error:  # the keyboard: nobody starts anything more
                self._stopped = Interrupted(f"{self.where}: interrupted")
                first = error
        if first is not None:
            raise first
        return [found[errand.key] for errand in errands]

    def _one(self, errand: Errand, judge: Judge) -> KeptAnswer:
        try:
            return self._until_answered(errand, judge)
        except Exception as error:
            self._stopped = self._stopped or error
            raise

    def _until_answered(self, errand: Errand, judge: Judge) -> KeptAnswer:
        failed, renewed = 0, False
        while True:
            self._turn()
            try:
                outgoing = errand.make()
                begun = self._begin(errand)
            except TokenDelayed as late:
                failed += 1
                self._after(errand, self._without_token(late), failed)
                continue
            except BaseException:
                self._breaker.undecided()
                raise
            if isinstance(begun, KeptAnswer):
                self._breaker.undecided()
                return begun
            judged, kept = self._send(begun, errand, outgoing, judge)
            if kept is not None:
                return kept
            if judged.verdict is Handling.RENEW and self._renew is not None and not renewed:
                renewed = True
                self._renew(outgoing)
                continue
            if judged.verdict in (Handling.STOP, Handling.RENEW):
                raise Rejected(self.where, judged.note)
            if judged.verdict is Handling.LATER:
                self._wait(judged.wait or 0.0)
                continue
            failed += 1
            self._after(errand, judged, failed)

    def _without_token(self, late: TokenDelayed) -> HandledAnswer:
        """As if the system had not answered: nothing was sent to it, and nothing is noted as sent."""
        if why := self._breaker.bad(late.what):
            raise Paused(self.where, f"paused after {why}; what was answered is kept")
        return HandledAnswer(Handling.AGAIN, late.what, wait=late.wait)

    def _begin(self, errand: Errand) -> Send | KeptAnswer:
        conduct = self._conduct
        try:
            return self._store.begin(
                errand.key,
                reserve=errand.reserve,
                most_requests=conduct.most_requests,
                most_money=conduct.most_money,
            )
        except Full as full:
            raise CapReached(self.where, f"{full}; what was answered is kept") from None

    def _send(
        self, send: Send, errand: Errand, outgoing: Outgoing, judge: Judge
    ) -> tuple[HandledAnswer, KeptAnswer | None]:
        answer = self._transport.send(outgoing)
        if isinstance(answer, Fault):
            self._store.fail(send, answer.note, billed=answer.reached)
            judged = HandledAnswer(Handling.STOP if answer.lasting else Handling.AGAIN, answer.note)
        else:
            judged = judge(errand, answer)
            if judged.verdict is Handling.KEEP:
                kept = KeptAnswer(errand.key, errand.record, answer.status, answer.body)
                stands = self._store.keep(send, kept, cost=judged.cost)
                self._breaker.good()
                return judged, stands
            self._store.fail(send, judged.note, billed=answer.status < 300)
        if judged.verdict is Handling.AGAIN and (why := self._breaker.bad(judged.note)):
            raise Paused(self.where, f"paused after {why}; what was answered is kept")
        if judged.verdict is not Handling.AGAIN:
            self._breaker.good()
        return judged, None

    def _after(self, errand: Errand, judged: HandledAnswer, failed: int) -> None:
        """Wait before the next try, or give up."""
        conduct = self._conduct
        if judged.wait is not None and judged.wait > conduct.longest_wait:
            what = f"asks to be left alone for {judged.wait:.0f} s ({judged.note})"
            raise Paused(self.where, f"paused, since it {what}; what was answered is kept")
        if failed >= conduct.backoff.tries:
            detail = f": {judged.detail}" if judged.detail else ""
            what = f"one request was tried {failed} times, the last time {judged.note}{detail}"
            raise Paused(self.where, f"paused, since {what}; what was answered is kept")
        if judged.wait is not None and judged.verdict is Handling.BUSY:
            with self._lock:  # it asks to be left alone, not by this request only
                self._quiet = max(self._quiet, time.monotonic() + judged.wait)
        self._wait(judged.wait if judged.wait is not None else conduct.backoff.wait(errand.key, failed))

    def _turn(self) -> None:
        """Wait until a request may go out."""
        while True:
            self._heed()
            now = time.monotonic()
            with self._lock:
                quiet = self._quiet - now
                if quiet <= 0 and self._conduct.a_second:
                    quiet = self._next - now
            rest = quiet if quiet > 0 else self._breaker.may_ask()
            if rest is None:
                if not self._conduct.a_second or self._take(1.0 / self._conduct.a_second):
                    return
                self._breaker.undecided()
                continue
            self._wait(rest)

    def _take(self, gap: float) -> bool:
        """Take the next place in the row of requests a second; false if somebody was faster."""
        with self._lock:
            now = time.monotonic()
            if self._next > now:
                return False
            # A moment late is no reason to be later each time; a long silence is no leave for a burst.
            self._next = max(self._next, now - gap) + gap
            return True

    def _heed(self) -> None:
        if self._should_stop():
            raise Interrupted(f"{self.where}: asked to stop; what was answered is kept")
        stopped = self._stopped
        if isinstance(stopped, SystemStopped):
            raise type(stopped)(stopped.where, stopped.what)
        if stopped is not None:
            raise Interrupted(f"{self.where}: stopped, since another request failed")

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._heed()
            time.sleep(min(left, _SLICE))


def asked_wait(answer: Arrived) -> float | None:
    """Seconds that a server asks to be left alone for."""
    return retry_after(answer.headers.get("retry-after"), now=datetime.now(UTC))
