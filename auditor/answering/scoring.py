"""Asking one chunk of a run through the run's request store: what was answered is never asked again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from decimal import Decimal
from threading import Event
from typing import TypeVar

from auditor.answering.conversations import conversation
from auditor.answering.importing import asked_of
from auditor.answering.rows import SystemAnswers, SystemQuestions
from auditor.exceptions import Interrupted, ModelError, RunError
from auditor.ledger import Ledger
from auditor.plan import Plan
from auditor.run_record import RunRecord
from auditor.systems.conduct import Caps
from auditor.systems.endpoint import EndpointSystem
from auditor.systems.exceptions import SystemStopped
from auditor.systems.listing import Listed
from auditor.systems.opening import ListedSystems
from auditor.systems.prices import MILLION
from auditor.systems.request_store import RequestStore
from auditor.systems.service import Service

LOOK_SECONDS = 0.2
"""How often the ledger is asked whether to stop, while others wait for answers."""
LISTING_SECONDS = 2.0
"""How often it is looked up whether the system is still listed, while it is asked."""

KEPT = "what was answered is kept"
WITHDRAWN = "the system is not listed any more, or otherwise"

Done = TypeVar("Done")


def ask_chunk(ledger: Ledger, index: int, run: RunRecord, *, systems: ListedSystems) -> SystemAnswers:
    """Ask what a chunk asks, and read the answers.

    Parameters
    ----------
    ledger, index
        Where the chunk is kept, and which it is.
    run
        The frozen run.
    systems
        Those that are listed here.

    Raises
    ------
    SystemStopped
        If the system does not answer, refuses, a cap is reached, or it is no longer listed as when the chunk was begun.
        What was answered is kept.
    Interrupted
        If the ledger said so.
    RunError
        If the system that is listed here is another one than the run was frozen with.
    """
    how = run.reading
    if how is None:
        raise RunError("the run was frozen for weights; expected one of a system")
    plan, questions = run.plan, SystemQuestions.read(json.loads(ledger.payload(index)))
    started = time.perf_counter()
    stop = Event()
    with (
        RequestStore(ledger.requests()) as store,
        systems.open(run.model.source, store=store, caps=caps_of(plan), should_stop=stop.is_set) as system,
    ):
        _same(run, system)
        bounded_by_money(run.model.source, plan, system.listed)
        talk = conversation(system, plan=plan, how=how)
        answers = while_asking(
            lambda: talk.ask(questions.cases, moment=questions.moment),
            stop=stop,
            should_stop=ledger.should_stop,
            unlisted=StillListed(systems, run.model.source, system.listed).unlisted,
            break_off=system.break_off,
        )
    return SystemAnswers(answers=tuple(answers), seconds=time.perf_counter() - started)


def caps_of(plan: Plan) -> Caps:
    """The caps of a plan; what is listed holds beside them."""
    money = plan.limits.money
    return Caps(requests=plan.limits.requests, money=None if money is None else int(Decimal(str(money)) * MILLION))


def bounded_by_money(source: str, plan: Plan, listed: Listed) -> None:
    """Refuse a plan that bounds money, and a system without prices."""
    if plan.limits.money is not None and listed.prices is None:
        raise ModelError(source, "has no prices, so that limits.money bounds nothing", "prices in its listing")


def _same(run: RunRecord, system: EndpointSystem | Service) -> None:
    """Refuse a system that is listed otherwise than when the run was frozen."""
    named = run.model.manifest.system
    if named is None or named.asked != asked_of(system):
        raise RunError(
            f"{run.model.source}: is listed otherwise than when the run was frozen; expected the same address, "
            "dialect, model and fields to go on with it, or a new run"
        )


class StillListed:
    """Whether a system is still listed where it was when it was opened; looked up every ``LISTING_SECONDS`` at most.

    Parameters
    ----------
    systems, source
        Where it is listed, and under which name.
    opened
        How it was listed.
    """

    def __init__(self, systems: ListedSystems, source: str, opened: Listed) -> None:
        self._systems, self._source, self._opened = systems, source, opened
        self._looked = time.monotonic()

    def unlisted(self) -> SystemStopped | None:
        """What ends the asking, or ``None``."""
        if time.monotonic() - self._looked < LISTING_SECONDS:
            return None
        self._looked = time.monotonic()
        try:
            now = self._systems.listed(self._source)
        except ModelError as error:
            return SystemStopped(self._source, f"is not listed any more ({error.what}); {KEPT}")
        if not now.asks_as(self._opened):
            return SystemStopped(self._source, f"is listed otherwise than when this was begun; {KEPT}")
        return None


def while_asking(
    work: Callable[[], Done],
    *,
    stop: Event,
    should_stop: Callable[[], bool],
    unlisted: Callable[[], SystemStopped | None],
    break_off: Callable[[str], None],
) -> Done:
    """Let another thread ask, and look after ledger and listing meanwhile: their connection belongs to this thread.

    Where the run is asked to stop, what is under way is finished and kept; where the system is not listed any more, it
    is broken off.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="chunk") as pool:
        future = pool.submit(work)
        ended: SystemStopped | None = None
        try:
            while not wait([future], timeout=LOOK_SECONDS).done:
                if ended is None and (ended := unlisted()) is not None:
                    stop.set()
                    break_off(WITHDRAWN)
                if should_stop():
                    stop.set()
        except BaseException:
            stop.set()  # what is under way is finished and kept
            raise
        try:
            return future.result()
        except (Interrupted, SystemStopped):
            if ended is not None:
                raise ended from None
            raise
