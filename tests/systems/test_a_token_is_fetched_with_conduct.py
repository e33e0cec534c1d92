"""An authorisation server that is late, wrong or hasty costs a wait, not the audit, and no token too many."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.exceptions import AuditorError
from auditor.systems.asking import Request
from auditor.systems.endpoint import EndpointSystem
from auditor.systems.exceptions import Paused, Rejected
from auditor.systems.keys import MARK
from tests.systems.answering import Answering, answering
from tests.systems.faults import Asked, Fault, Faults
from tests.systems.listed import endpoint, new_store
from tests.systems.raw_bytes import raw_server

SECRET = "client-secret-0123"
Given = Callable[[int], Fault]


class Authorisation:
    """A server of tokens that holds only the last one it gave for good, in front of the test server."""

    def __init__(self, give: Given | None = None, **told: Any) -> None:
        self.asked = 0
        self.valid = ""
        self.give = give
        self.told = told
        self.lock = threading.Lock()

    def faults(self, asked: Asked) -> Fault | None:
        with self.lock:
            if asked.path == "/token":
                self.asked += 1
                if self.give is not None and (fault := self.give(self.asked)).wire:
                    return fault
                self.valid = f"token-number-{self.asked}"
                return Fault(wire="status", code=200, content={"access_token": self.valid, **self.told})
            if asked.headers["Authorization"] != f"Bearer {self.valid}":
                return Fault(wire="status", code=401, content={"error": "expired"})
        return None


def opened(folder: Path, server: Answering, store: Any, **more: Any) -> EndpointSystem:
    (folder / "secret").write_text(SECRET)
    oauth = {
        "token_url": server.url.replace("/v1", "/token"),
        "client_id": "plumbline",
        "secret_file": str(folder / "secret"),
    }
    return endpoint(server.url, store, oauth=oauth, **more)


def asked_with(folder: Path, faults: Faults, *, count: int = 12, **more: Any) -> tuple[int, dict[str, int]]:
    """Requests that were noted as sent, and the failures among them."""
    with answering(faults=faults) as server, new_store(folder) as store:
        with opened(folder, server, store, **more) as system:
            assert len(system.ask([Request(prompt=f"p{number}") for number in range(count)])) == count
        return store.totals().requests, store.failures()


@pytest.mark.parametrize("seconds", [0, -5, 1, 20, float("nan"), float("inf"), 1e300, None])
def test_a_token_that_is_said_to_last_no_time_is_not_fetched_for_every_request(tmp_path: Path, seconds: Any) -> None:
    server = Authorisation(expires_in=seconds)
    assert asked_with(tmp_path, server.faults) == (12, {})
    assert server.asked <= 2


def test_a_token_that_runs_out_soon_is_renewed_before(tmp_path: Path) -> None:
    server = Authorisation(expires_in=0.4)
    with answering(faults=server.faults) as serving, new_store(tmp_path) as store:
        with opened(tmp_path, serving, store) as system:
            for number in range(3):
                system.ask([Request(prompt=f"p{number}")])
                threading.Event().wait(0.25)
        assert store.failures() == {}
    assert server.asked == 3


@pytest.mark.parametrize(
    "fault",
    [
        Fault(wire="status", code=503, content={"error": "later"}),
        Fault(wire="status", code=429, headers={"Retry-After": "1"}, content={}),
        Fault(wire="status", code=522, content=b""),
        Fault(wire="status", code=200, content=b"<html>Please log in</html>"),
        Fault(wire="status", code=200, content=b'{"access_token": "half'),
        Fault(wire="reset"),
    ],
    ids=lambda fault: f"{fault.wire}-{fault.code}",
)
def test_one_that_has_no_token_for_the_moment_is_asked_again(tmp_path: Path, fault: Fault) -> None:
    waits: list[float] = []
    server = Authorisation(lambda number: fault if number < 3 else Fault())
    sent, failures = asked_with(tmp_path, server.faults, waits=waits.append, concurrency=1)
    assert (sent, failures) == (12, {})  # nothing was sent to the system without a token
    assert server.asked == 3
    assert len(waits) == 2
    if fault.headers:
        assert waits == [1.0, 1.0]


def test_one_that_never_has_one_pauses_the_audit_without_the_secret(tmp_path: Path) -> None:
    server = Authorisation(lambda _: Fault(wire="status", code=503, content={"error": SECRET}))
    with pytest.raises(Paused, match=r"tried 2 times, the last time no token: .* answers 503") as caught:
        asked_with(tmp_path, server.faults, waits=lambda _: None, tries=2)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("code", [400, 401, 403, 501])
def test_one_that_refuses_ends_it_at_once(tmp_path: Path, code: int) -> None:
    server = Authorisation(lambda _: Fault(wire="status", code=code, content={"error": "invalid_client"}))
    with pytest.raises(Rejected, match=rf"^endpoint:x: no token: the authorisation server answers {code}$"):
        asked_with(tmp_path, server.faults, count=1)
    assert server.asked == 1


def test_threads_whose_token_was_refused_fetch_one_new_one(tmp_path: Path) -> None:
    server = Authorisation()
    with (
        answering(faults=server.faults, pause=0.05) as serving,
        new_store(tmp_path) as store,
        opened(tmp_path, serving, store, concurrency=8) as system,
    ):
        system.ask([Request(prompt="first")])
        server.valid = "ended by somebody else"
        assert len(system.ask([Request(prompt=f"p{number}") for number in range(24)])) == 24
    assert server.asked == 2


def test_threads_that_wait_for_a_token_do_not_each_wait_their_own_time(tmp_path: Path) -> None:
    server = Authorisation(lambda _: Fault(wire="hang", seconds=30))
    with pytest.raises(AuditorError, match="no token"):
        asked_with(tmp_path, server.faults, seconds=0.5, concurrency=8, tries=1)
    assert server.asked <= 2


@pytest.mark.parametrize("quoted", [lambda told: told, base64.b64decode])
def test_a_long_secret_that_is_quoted_in_a_broken_line_is_not_cut_and_shown(tmp_path: Path, quoted: Any) -> None:
    long = "secret-" + "Ab9-" * 150

    def reply(_: int, request: bytes) -> tuple[bytes, bool]:
        (told,) = [line.split(b" ")[-1] for line in request.split(b"\r\n") if line.lower().startswith(b"authorization")]
        return b"HTTP/1.1 200 OK\r\n(" + quoted(told) + b")\r\n\r\n", False

    (tmp_path / "secret").write_text(long)
    with raw_server(reply) as server, new_store(tmp_path) as store:
        oauth = {"token_url": server.url, "client_id": "plumbline", "secret_file": str(tmp_path / "secret")}
        system = endpoint("https://127.0.0.1:9/v1", store, oauth=oauth, tries=1, networks=["127.0.0.0/8"])
        with system, pytest.raises(Paused) as caught:
            system.ask([Request(prompt="p")])
    assert MARK in str(caught.value)
    assert long[:20] not in str(caught.value)
    assert base64.b64encode(f"plumbline:{long}".encode()).decode()[:40] not in str(caught.value)
