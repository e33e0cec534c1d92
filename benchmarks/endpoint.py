"""Requests a second with all evidence kept, against the plain ``openai`` client's own async loop on the same server.

Ours notes each send, reads each answer and keeps it on the disk before anybody hears of it; theirs reads it and lets it
go. The overhead of one request is what asking takes longer than the server does, one request at a time.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from auditor.systems.asking import Request
from auditor.systems.dialects import DIALECTS
from auditor.systems.endpoint import EndpointSystem
from auditor.systems.listing import ListedEndpoint
from auditor.systems.request_store import RequestStore
from benchmarks.answering import fast_server
from benchmarks.rows import Row

REQUESTS, TURNS, ALONE = 600, 5, 200
CONCURRENCIES = (1, 8, 32)
TEXT = "Income 5000, obligations 31%, loan to value 80%, lines of credit 4. " * 24


def run() -> Iterator[Row]:
    """A row for each concurrency, and the overhead of a request."""
    with fast_server() as url:
        for concurrency in CONCURRENCIES:
            yield _compare(url, concurrency)
        yield _overhead(url)


def _compare(url: str, concurrency: int) -> Row:
    ours, theirs, agree = [], [], True
    for turn in range(TURNS):  # in turns, so that a slow moment of the machine does not fall on one side alone
        requests = [_request(index, turn) for index in range(REQUESTS)]
        took, mine = _ours(url, requests, concurrency)
        ours.append(REQUESTS / took)
        took, peer = asyncio.run(_theirs(url, requests, concurrency))
        theirs.append(REQUESTS / took)
        agree = agree and mine == peer
    mine_rate, peer_rate = statistics.median(ours), statistics.median(theirs)
    return Row(
        name=f"endpoint: {concurrency} at a time, evidence kept, against openai",
        ours=mine_rate,
        peer=peer_rate,
        ratio=mine_rate / peer_rate,
        agreement=0.0 if agree else 1.0,
        unit="requests/s",
        n=REQUESTS,
        extra={"slowest": min(ours), "fastest": max(ours), "peer_slowest": min(theirs), "peer_fastest": max(theirs)},
    )


def _overhead(url: str) -> Row:
    """Medians of single requests, ours and bare ones in turns, and what a sync of this disk takes meanwhile."""
    dialect, host = DIALECTS["chat_completions"], url.removeprefix("http://").removesuffix("/v1")
    ours, work, bare, synced = [], [], [], []
    listed = ListedEndpoint.model_validate({"dialect": dialect.name, "url": url, "model": "m", "concurrency": 1})
    connection = http.client.HTTPConnection(host)
    with (
        tempfile.TemporaryDirectory() as folder,
        RequestStore(Path(folder) / "requests.sqlite") as store,
        EndpointSystem("benchmark", listed, store=store) as system,
        (Path(folder) / "synced").open("wb") as file,
    ):
        for index in range(ALONE):
            request = _request(index, -1)
            started, worked = time.perf_counter(), time.process_time()
            system.ask([request])
            ours.append(time.perf_counter() - started)
            work.append(time.process_time() - worked)
            body = json.dumps(dialect.write(request, model="m"))
            started = time.perf_counter()
            connection.request("POST", "/v1/chat/completions", body)
            connection.getresponse().read()
            bare.append(time.perf_counter() - started)
            file.write(body.encode())
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            synced.append(time.perf_counter() - started)
    connection.close()
    mine, theirs = (1000 * statistics.median(times) for times in (ours, bare))
    return Row(
        name="endpoint: overhead a request over the bare connection",
        ours=mine - theirs,
        peer=None,
        ratio=None,
        agreement=None,
        unit="ms",
        n=ALONE,
        extra={
            "ms_a_request": mine,
            "ms_of_processor": 1000 * statistics.median(work),
            "ms_bare": theirs,
            "ms_a_sync_of_the_disk": 1000 * statistics.median(synced),
            "aim_ms": 5.0,
        },
    )


def _request(index: int, turn: int) -> Request:
    return Request(prompt=f"{TEXT}{turn}-{index}", max_tokens=4, top=20, replicate=turn + 1)


def _ours(url: str, requests: list[Request], concurrency: int) -> tuple[float, list[str]]:
    values = {"dialect": "chat_completions", "url": url, "model": "m", "concurrency": concurrency}
    listed = ListedEndpoint.model_validate(values)
    with tempfile.TemporaryDirectory() as folder, RequestStore(Path(folder) / "requests.sqlite") as store:
        with EndpointSystem("benchmark", listed, store=store) as system:
            system.ask([_request(index, -2) for index in range(concurrency)])  # connections are there
            started = time.perf_counter()
            answers = system.ask(requests)
            took = time.perf_counter() - started
        if store.totals().answers != len(requests) + concurrency:
            raise RuntimeError("evidence is missing")
    return took, [answer.text for answer in answers]


async def _theirs(url: str, requests: list[Request], concurrency: int) -> tuple[float, list[str]]:
    import openai

    dialect = DIALECTS["chat_completions"]
    room = asyncio.Semaphore(concurrency)
    async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:

        async def one(request: Request) -> str:
            async with room:
                answer = await client.chat.completions.create(**dialect.write(request, model="m"))
            return answer.choices[0].message.content or ""

        await asyncio.gather(*(one(_request(index, -2)) for index in range(concurrency)))
        started = time.perf_counter()
        found = await asyncio.gather(*(one(request) for request in requests))
        return time.perf_counter() - started, list(found)
