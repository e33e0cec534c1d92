"""Opening a listed system by the line that names it: ``endpoint:NAME`` or ``service:NAME``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.exceptions import ModelError
from auditor.systems.conduct import NO_CAPS, Caps
from auditor.systems.endpoint import EndpointSystem
from auditor.systems.keys import KeySource
from auditor.systems.listing import Listed, read_listed
from auditor.systems.request_store import RequestStore
from auditor.systems.service import Service
from auditor.systems.service_listing import read_service
from auditor.systems.service_templates import Value

KINDS = ("endpoint", "service")


def _in_the_file(_: str, __: Listed) -> KeySource | None:
    return None


@dataclass(frozen=True)
class ListedSystems:
    """The systems that an administrator listed, and where their keys are.

    Attributes
    ----------
    file
        The file of systems, or what gives the one in which a source is listed at the moment.
    keys
        Where the key of a source is kept, instead of the file that is listed; ``None``: there. It is told how the
        system that is being opened is listed, so that a key goes to no other address than that.
    """

    file: Path | Callable[[str], Path]
    keys: Callable[[str, Listed], KeySource | None] = _in_the_file

    def listed(self, source: str) -> Listed:
        """How a system is listed at the moment.

        Raises
        ------
        ModelError
            If it is not listed, or not as it should be.
        """
        return _listed(self._at(source), source)

    def _at(self, source: str) -> Path:
        _named(source)
        return self.file if isinstance(self.file, Path) else self.file(source)

    def open(
        self,
        source: str,
        *,
        store: RequestStore,
        example: Mapping[str, Value] | None = None,
        caps: Caps = NO_CAPS,
        tell: Callable[[str], None] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> EndpointSystem | Service:
        """See :func:`open_listed`."""
        file = self._at(source)  # once: what is listed may change between the table and its key
        return open_listed(
            source,
            file=file,
            store=store,
            example=example,
            keys=self.keys(source, _listed(file, source)),
            caps=caps,
            tell=tell,
            should_stop=should_stop,
        )


def open_listed(
    source: str,
    *,
    file: Path,
    store: RequestStore,
    example: Mapping[str, Value] | None = None,
    keys: KeySource | None = None,
    caps: Caps = NO_CAPS,
    tell: Callable[[str], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> EndpointSystem | Service:
    """Open a system; nothing is asked yet.

    Parameters
    ----------
    source
        ``endpoint:NAME`` or ``service:NAME``.
    file
        The file of systems.
    store
        Where requests and answers are kept; the caller closes it, after the system.
    example
        Fields of a made-up application, with which a service is probed, instead of those that are listed; its steps may
        ask for these fields alone.
    caps
        Those of a run, beside those that are listed: the lower one holds.
    keys, tell, should_stop
        See ``EndpointSystem``.

    Raises
    ------
    ModelError
        If the source is none of these, is not listed as it should be, or cannot be opened.
    """
    kind, name = _named(source)
    more: dict[str, Any] = {"store": store, "keys": keys, "tell": tell, "should_stop": should_stop}
    if kind == "endpoint":
        endpoint = read_listed(file, name)
        return EndpointSystem(name, endpoint, conduct=endpoint.conduct().under(caps), **more)
    service = read_service(file, name, fields=None if example is None else frozenset(example))
    example = service.example if example is None else example
    missing = sorted(service.fields() - example.keys())
    if missing:
        expected = f"a made-up application with {missing[0]!r} in [service.{name}.example]"
        raise ModelError(source, "has no example to be probed with", expected)
    return Service(name, service, example=example, conduct=service.conduct().under(caps), **more)


def _named(source: str) -> tuple[str, str]:
    kind, _, name = source.partition(":")
    if kind not in KINDS or not name:
        raise ModelError(source, "is not a system that answers", "endpoint:NAME or service:NAME")
    return kind, name


def _listed(file: Path, source: str) -> Listed:
    kind, name = _named(source)
    return read_service(file, name) if kind == "service" else read_listed(file, name)
