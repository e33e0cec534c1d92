"""A server with every fault it can have, another with each request: nothing is lost, kept twice or kept wrongly."""

from __future__ import annotations

import random
import threading
from collections import Counter
from pathlib import Path

import pytest

from auditor.systems.asking import Request
from auditor.systems.request_store import RequestStore
from tests.systems.answering import answering
from tests.systems.faults import Asked, Fault, never
from tests.systems.listed import endpoint

WIRES = [
    *(Fault(wire="status", code=code) for code in (408, 409, 429, 500, 502, 503, 504, 529)),
    Fault(wire="status", code=429, headers={"Retry-After": "0"}),
    Fault(wire="status", code=200, content=b"<html>"),
    *(Fault(wire=wire) for wire in ("reset", "half", "long length", "short length", "wrong json")),
]
HANG = Fault(wire="hang")
QUESTIONS = 60


@pytest.mark.parametrize("dialect", ["chat_completions", "anthropic_messages"])
def test_the_evidence_is_that_of_a_server_without_faults(tmp_path: Path, dialect: str) -> None:
    requests = [Request(prompt=f"Application {number}\nDecision:") for number in range(QUESTIONS)]
    well: Counter[str] = Counter()
    lock = threading.Lock()

    def faults(asked: Asked) -> Fault | None:
        prompt = asked.body["messages"][0]["content"]
        ill = random.Random(prompt).sample(WIRES, k=random.Random(prompt).randint(0, 3))
        ill += [HANG] if prompt == requests[0].prompt else []
        if asked.before < len(ill):
            return ill[asked.before]
        with lock:
            well[prompt] += 1
        return None

    with answering(faults=faults) as server:
        with RequestStore(tmp_path / "ill") as store:
            system = endpoint(
                server.url, store, waits=lambda _: None, dialect=dialect, seconds=5.0, concurrency=6, tries=12
            )
            with system:
                found = system.ask(requests)
            evidence, totals, said = b"".join(store.evidence()), store.totals(), set(store.failures())
        sent = len(server.asked)
        server.faults = never
        with RequestStore(tmp_path / "well") as store, endpoint(server.url, store, dialect=dialect) as system:
            assert system.ask(requests) == found
            assert b"".join(store.evidence()) == evidence
    assert set(well.values()) == {1}
    assert len(well) == QUESTIONS
    assert (totals.answers, totals.unended) == (QUESTIONS, 0)
    # A connection that the server closes while the next request is on its way: counted, and never seen by the server.
    assert QUESTIONS < sent <= totals.requests
    assert len(said) >= 10
