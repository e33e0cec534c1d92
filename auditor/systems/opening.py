"""Opening a listed system by the line that names it: ``endpoint:NAME`` or ``service:NAME``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from auditor.exceptions import ModelError
from auditor.systems.endpoint import EndpointSystem
from auditor.systems.keys import KeySource
from auditor.systems.listing import read_listed
from auditor.systems.request_store import RequestStore
from auditor.systems.service import Service
from auditor.systems.service_listing import read_service
from auditor.systems.service_templates import Value

KINDS = ("endpoint", "service")


def open_listed(
    source: str,
    *,
    file: Path,
    store: RequestStore,
    example: Mapping[str, Value] | None = None,
    keys: KeySource | None = None,
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
        Fields of a made-up application, with which a service is probed; its steps may ask for these fields alone.
    keys, tell, should_stop
        See ``EndpointSystem``.

    Raises
    ------
    ModelError
        If the source is none of these, is not listed as it should be, or cannot be opened.
    """
    kind, _, name = source.partition(":")
    if kind not in KINDS or not name:
        raise ModelError(source, "is not a system that answers", "endpoint:NAME or service:NAME")
    if kind == "endpoint":
        return EndpointSystem(name, read_listed(file, name), store=store, keys=keys, tell=tell, should_stop=should_stop)
    if example is None:
        raise ModelError(source, "has no example to be probed with", "fields of a made-up application")
    listed = read_service(file, name, fields=frozenset(example))
    return Service(name, listed, store=store, example=example, keys=keys, tell=tell, should_stop=should_stop)
