"""What every system that answers has: its line, the thread pool that asks, the store that keeps; opened and closed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Required, Self, TypedDict, TypeVar

from auditor.canonical import canonical_json, sha256_bytes
from auditor.systems.conduct import Asker, Conduct, Errand
from auditor.systems.exceptions import CannotAsk
from auditor.systems.keys import KeySource
from auditor.systems.line import Line
from auditor.systems.listing import Listed
from auditor.systems.request_store import RequestStore
from auditor.systems.transport import Outgoing

AnyListed = TypeVar("AnyListed", bound=Listed)


class Opening(TypedDict, total=False):
    """With what a listed system is opened; see ``ListedSystem``."""

    store: Required[RequestStore]
    keys: KeySource | None
    conduct: Conduct | None
    tell: Callable[[str], None]
    should_stop: Callable[[], bool]


class ListedSystem(Generic[AnyListed]):
    """Base of listed systems; close one after use, or use it in a ``with`` statement.

    Parameters
    ----------
    source
        The line that names it.
    listed
        As the file of systems has it.
    store
        Where requests and answers are kept; the caller closes it.
    keys
        Where the key, or the secret of ``oauth``, is kept, instead of the file that is listed.
    conduct
        Instead of what is listed.
    tell, should_stop
        See ``Asker``.

    Raises
    ------
    ModelError
        If the address may not be asked or cannot be resolved, or a file of keys or certificates cannot be used.
    """

    def __init__(
        self,
        source: str,
        listed: AnyListed,
        *,
        store: RequestStore,
        keys: KeySource | None = None,
        conduct: Conduct | None = None,
        tell: Callable[[str], None] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.source = source
        self.listed = listed
        self.store = store
        self.conduct = conduct or listed.conduct()
        self._line = Line(source, listed, keys=keys, connections=self.conduct.concurrency)
        self._asker = Asker(
            source,
            self._line.transport,
            store,
            self.conduct,
            renew=self._line.renew,
            tell=tell,
            should_stop=should_stop,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def break_off(self, why: str) -> None:
        """End the requests under way at once, from another thread, and send nothing more.

        They are noted as without an answer: there may be one that nobody kept, so what was set aside stays spent.
        """
        self._line.break_off(why)

    def close(self) -> None:
        """End the threads and close the connections."""
        self._asker.close()
        self._line.close()

    def sealed(
        self,
        record: Mapping[str, Any],
        body: Any,
        *,
        make: Callable[[bytes], Outgoing],
        reserve: Callable[[bytes], int],
    ) -> Errand:
        """What is sent, with the hash of its record; ``body`` of ``None`` sends nothing.

        Raises
        ------
        CannotAsk
            If record or body is no plain JSON.
        """
        try:
            written = canonical_json(record)
            content = b"" if body is None else canonical_json(body)
        except ValueError as error:
            raise CannotAsk(self.source, f"cannot be asked this ({error})") from None
        return Errand(key=sha256_bytes(written), record=written, make=lambda: make(content), reserve=reserve(content))
