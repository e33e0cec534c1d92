"""Endpoints of the test server, as an administrator would list them, with waits too short to notice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from auditor.systems.endpoint import EndpointSystem
from auditor.systems.listing import ListedEndpoint
from auditor.systems.request_store import RequestStore

QUICK: dict[str, Any] = {"seconds": 5.0, "rest_seconds": 0.05, "failures_before_rest": 50}


def listed(url: str, **more: Any) -> ListedEndpoint:
    values = {"dialect": "chat_completions", "url": url, "model": "underwriter", **QUICK, **more}
    return ListedEndpoint.model_validate(values)


def endpoint(
    url: str,
    store: RequestStore,
    *,
    told: Callable[[str], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
    waits: Callable[[float], None] | None = None,
    **more: Any,
) -> EndpointSystem:
    """An endpoint whose waits are told to ``waits`` and not waited for."""
    made = EndpointSystem("x", listed(url, **more), store=store, tell=told, should_stop=should_stop)
    if waits is not None:
        made._asker._wait = waits
    return made


def new_store(folder: Path) -> RequestStore:
    return RequestStore(folder / "requests.sqlite")
