"""Asking a real server in a process of its own that is killed again and again, and what both sides say of it.

The proof is the server's: before each new start the store is read, and no request that it holds reaches the server once
more. A request may come twice only if it was under way when somebody was killed.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from auditor.systems.asking import Request
from auditor.systems.endpoint import EndpointSystem
from auditor.systems.listing import ListedEndpoint
from auditor.systems.request_store import RequestStore
from tests.systems.answering import Answering, answering

CONCURRENCY = 4


@dataclass(frozen=True)
class Killed:
    """What came of it. ``again``: requests the store held at a kill and that reached the server after it."""

    kills: int
    questions: int
    answers: int
    sent: int
    repeated: int
    again: int
    unended: int
    seconds: float
    same_evidence: bool


def requests(count: int) -> list[Request]:
    return [Request(prompt=f"Application {number}\nDecision:") for number in range(count)]


def listed(url: str) -> ListedEndpoint:
    values = {"dialect": "chat_completions", "url": url, "model": "m", "concurrency": CONCURRENCY, "seconds": 10.0}
    return ListedEndpoint.model_validate(values)


def ask_all(url: str, path: Path, count: int) -> None:
    """What is killed: one process that asks everything of a store that may hold some of it."""
    with RequestStore(path) as store, EndpointSystem("x", listed(url), store=store) as system:
        system.ask(requests(count))


def ask_with_tokens(url: str, path: Path, secret: Path, count: int) -> None:
    """The same with a token that soon runs out, so that asking goes on between the fetching of tokens."""
    oauth = {"token_url": url.replace("/v1", "/token"), "client_id": "plumbline", "secret_file": str(secret)}
    about = ListedEndpoint.model_validate({**listed(url).model_dump(exclude_defaults=True), "oauth": oauth})
    with RequestStore(path) as store, EndpointSystem("x", about, store=store) as system:
        system.ask(requests(count))


def prompts(server: Answering) -> Counter[str]:
    with server.lock:
        return Counter(asked.body["messages"][0]["content"] for asked in server.asked)


def held(path: Path) -> set[str]:
    """Prompts whose answer the store holds."""
    if not path.exists():
        return set()
    with RequestStore(path) as store:
        lines = [json.loads(line) for line in store.evidence()]
    return {json.loads(line["request"])["body"]["messages"][0]["content"] for line in lines}


def kill_often(folder: Path, *, kills: int, questions: int, seed: int = 0) -> Killed:
    """Kill so many times, spread over the work; then let it finish, and count."""
    started = time.monotonic()
    generator = random.Random(seed)
    spawn = multiprocessing.get_context("spawn")
    path = folder / "requests.sqlite"
    again, done = 0, 0
    with answering(pause=0.01) as server:
        while True:
            before, kept = prompts(server), held(path)
            process = spawn.Process(target=ask_all, args=(server.url, path, questions))
            process.start()
            if done < kills:
                # After so many more requests than now, in the middle of whatever they are at.
                share = (questions - len(kept)) // (kills - done + 1)
                wanted = len(server.asked) + max(1, generator.randint(share // 2, share))
                while process.is_alive() and len(server.asked) < wanted:
                    time.sleep(0.001)
                time.sleep(generator.uniform(0, 0.02))
                os.kill(process.pid or 0, signal.SIGKILL)
            process.join()
            after = prompts(server)
            again += sum(after[prompt] - before[prompt] for prompt in kept)
            if process.exitcode == 0:
                break
            if process.exitcode != -signal.SIGKILL:
                raise RuntimeError(f"the process that asks ended with {process.exitcode}")
            done += 1
        counts = prompts(server)
        with RequestStore(path) as store:
            totals, evidence = store.totals(), b"".join(store.evidence())
        with (
            RequestStore(folder / "whole.sqlite") as store,
            EndpointSystem("x", listed(server.url), store=store) as system,
        ):
            system.ask(requests(questions))
            same = b"".join(store.evidence()) == evidence
    return Killed(
        kills=done,
        questions=questions,
        answers=totals.answers,
        sent=sum(counts.values()),
        repeated=sum(count - 1 for count in counts.values()),
        again=again,
        unended=totals.unended,
        seconds=time.monotonic() - started,
        same_evidence=same,
    )
