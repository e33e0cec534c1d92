"""A server that answers chat completions as fast as it can, in a process of its own: what is measured is who asks."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

_TOKENS = [{"token": f"token {place}", "logprob": -0.1 - place, "bytes": None} for place in range(20)]
_ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1764374400,
    "model": "model-2026-11-01",
    "system_fingerprint": "fp_1",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "token 0", "refusal": None},
            "logprobs": {"content": [{**_TOKENS[0], "top_logprobs": _TOKENS}], "refusal": None},
        }
    ],
    "usage": {"prompt_tokens": 400, "completion_tokens": 1, "total_tokens": 401},
}


@contextmanager
def fast_server(*, seconds: float = 0.0) -> Iterator[str]:
    """The base URL of a server that answers after so many seconds."""
    spawn = multiprocessing.get_context("spawn")
    mine, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs, seconds), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{mine.recv()}/v1"
    finally:
        process.terminate()
        process.join()


def _serve(pipe: Connection, seconds: float) -> None:
    asyncio.run(_run(pipe, seconds))


async def _run(pipe: Connection, seconds: float) -> None:
    body = json.dumps(_ANSWER).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                asked = await reader.readuntil(b"\r\n\r\n")
                lengths = [line for line in asked.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                await reader.readexactly(int(lengths[0].split(b":")[1]))
                if seconds:
                    await asyncio.sleep(seconds)
                writer.write(head + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    pipe.send(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()
