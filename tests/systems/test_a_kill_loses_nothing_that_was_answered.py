"""SIGKILL at any moment: the server itself counts that nothing kept is asked again, and that nothing is missing."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest

from auditor.systems.request_store import RequestStore
from tests.systems.answering import answering
from tests.systems.faults import Asked, Fault
from tests.systems.killing import CONCURRENCY, ask_with_tokens, kill_often


@pytest.mark.slow
def test_after_eight_kills_everything_is_answered_and_nothing_kept_was_asked_again(tmp_path: Path) -> None:
    # Fifty kills: python -m benchmarks endpoint_kills --json
    found = kill_often(tmp_path, kills=8, questions=240)
    assert found.kills == 8
    assert found.answers == found.questions
    assert found.again == 0
    # Twice only what was under way at a kill: at most one for each thread.
    assert found.repeated <= found.kills * CONCURRENCY
    assert found.repeated <= found.unended
    assert found.sent == found.questions + found.repeated
    assert found.same_evidence


@pytest.mark.slow
def test_a_kill_while_a_token_is_fetched_or_just_after_leaves_nothing_to_be_asked_twice(tmp_path: Path) -> None:
    """Before the token is given, as it is given, and in the moments after, when the first requests go out with it."""
    moments = [None, 0.0, 0.003, 0.01]
    (tmp_path / "secret").write_text("client-secret-0123")
    path = tmp_path / "requests.sqlite"
    running: list[int] = []
    tokens = [0]

    def faults(asked: Asked) -> Fault | None:
        if asked.path != "/token":
            return None
        tokens[0] += 1
        # The first token of a process is for its start; the second is for the middle of its work.
        if moments and tokens[0] % 2 == 0:
            wait = moments.pop(0)
            kill = threading.Timer(wait or 0.0, os.kill, (running[-1], signal.SIGKILL))
            kill.start()
            if wait is None:
                kill.join()
        return Fault(wire="status", code=200, content={"access_token": f"token-{tokens[0]:08}", "expires_in": 0.1})

    with answering(faults=faults, pause=0.01) as server:
        for _ in range(6):
            process = multiprocessing.get_context("spawn").Process(
                target=ask_with_tokens, args=(server.url, path, tmp_path / "secret", 120)
            )
            process.start()
            running.append(process.pid or 0)
            process.join()
            if process.exitcode == 0:
                break
            assert process.exitcode == -signal.SIGKILL
        counts = Counter(asked.body["messages"][0]["content"] for asked in server.asked if asked.path != "/token")
    with RequestStore(path) as store:
        totals = store.totals()
        told = b"".join(store.evidence())
    assert not moments
    assert (len(counts), totals.answers) == (120, 120)
    assert sum(counts.values()) - 120 <= totals.unended <= 4 * CONCURRENCY
    assert b"token-0" not in told
    assert b"client-secret" not in told
