"""A listed endpoint that is asked for text beside a run: one that describes what was found inside the audited model.

It is asked by the same rules as a system that is audited: through the run's request store, so that a resume asks
nothing twice and what was asked is evidence; with its listed keys and conduct, under the caps of the listing and of the
plan; and no longer than it is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Any

from auditor.answering.scoring import StillListed, bounded_by_money, caps_of, while_asking
from auditor.exceptions import ModelError
from auditor.ledger import Ledger
from auditor.plan import Plan
from auditor.systems.asking import Request
from auditor.systems.endpoint import EndpointSystem
from auditor.systems.exceptions import SystemStopped
from auditor.systems.opening import ListedSystems
from auditor.systems.request_store import RequestStore

OCCASION = "description"
"""Not sent. It keeps these questions apart from those of a run that audits the same endpoint."""
SEED = 0


class TextOfEndpoint:
    """An open endpoint as a model that answers with text.

    It decodes greedily as far as the server obeys. Unlike a model of the store it need not answer the same twice; what
    it answered once is read again from the run's requests.
    """

    def __init__(
        self,
        system: EndpointSystem,
        *,
        stop: Event,
        should_stop: Callable[[], bool],
        unlisted: Callable[[], SystemStopped | None],
    ) -> None:
        self._system = system
        self._stop = stop
        self._should_stop = should_stop
        self._unlisted = unlisted

    @property
    def identity(self) -> Mapping[str, Any]:
        """How it is asked, as plain data without a key."""
        return self._system.identity

    def answers(self, prompts: Sequence[str], *, tokens: int) -> list[str]:
        """One answer a prompt, of at most so many tokens; empty where it refuses or a content filter does.

        Raises
        ------
        SystemStopped
            If it does not answer, refuses every question, a cap is reached, or it is no longer listed.
        Interrupted
            If the run was asked to stop.
        """
        seed = None if "seed" in self._system.dialect.cannot else SEED
        requests = [Request(prompt=prompt, max_tokens=tokens, seed=seed, occasion=OCCASION) for prompt in prompts]
        asked = while_asking(
            lambda: self._system.ask(requests),
            stop=self._stop,
            should_stop=self._should_stop,
            unlisted=self._unlisted,
            break_off=self._system.break_off,
        )
        return [response.text for response in asked]


@contextmanager
def text_of_endpoint(source: str, *, ledger: Ledger, plan: Plan, systems: ListedSystems) -> Iterator[TextOfEndpoint]:
    """Open a listed endpoint to be asked for text in a run.

    Parameters
    ----------
    source
        ``endpoint:NAME``.
    ledger, plan
        Of the run.
    systems
        Those that are listed here.

    Raises
    ------
    ModelError
        If it is not listed as it should be, or cannot be opened.
    """
    bounded_by_money(source, plan, systems.listed(source))  # before a store is made for it
    stop = Event()
    with (
        RequestStore(ledger.requests()) as store,
        systems.open(source, store=store, caps=caps_of(plan), should_stop=stop.is_set) as system,
    ):
        if not isinstance(system, EndpointSystem):
            raise ModelError(source, "answers with decisions", "a language model: endpoint:NAME")
        still = StillListed(systems, source, system.listed)
        yield TextOfEndpoint(system, stop=stop, should_stop=ledger.should_stop, unlisted=still.unlisted)
