"""What comes behind an answer on the same connection is never read as the answer to the next question."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.systems.asking import Request
from auditor.systems.exceptions import Paused
from tests.systems.listed import endpoint, new_store
from tests.systems.raw_bytes import Reply, plain, raw_server


def chat(text: str) -> bytes:
    message = {"index": 0, "finish_reason": "stop", "message": {"content": text}}
    return json.dumps({"model": "m", "choices": [message]}).encode()


def texts(folder: Path, reply: Reply, *, questions: int = 3) -> list[str]:
    with (
        raw_server(reply) as server,
        new_store(folder) as store,
        endpoint(server.url, store, waits=lambda _: None, tries=2, concurrency=1) as system,
    ):
        asked = [Request(prompt=f"p{number}") for number in range(questions)]
        return [answer.text for question in asked for answer in system.ask([question])]


@pytest.mark.parametrize(
    "framed",
    [
        plain,
        lambda body: (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
        ),
    ],
)
def test_a_second_answer_to_one_question_is_no_answer_to_the_next(
    tmp_path: Path, framed: Callable[[bytes], bytes]
) -> None:
    def reply(_: int, __: bytes) -> tuple[bytes, bool]:
        return framed(chat("mine")) + plain(chat("of another")), True

    with pytest.raises(Paused, match="more came than one whole answer"):
        texts(tmp_path, reply)


def test_one_that_does_so_once_is_asked_again_on_another_connection(tmp_path: Path) -> None:
    def reply(number: int, _: bytes) -> tuple[bytes, bool]:
        return plain(chat(f"answer {number}")) + (plain(chat("of another")) if number == 0 else b""), True

    assert texts(tmp_path, reply) == ["answer 1", "answer 2", "answer 3"]


def test_an_answer_where_none_may_be_is_not_read_as_the_next(tmp_path: Path) -> None:
    def reply(number: int, _: bytes) -> tuple[bytes, bool]:
        body = plain(chat("behind no content"), status="204 No Content")
        return (body if number == 0 else plain(chat(f"answer {number}"))), True

    assert texts(tmp_path, reply, questions=2) == ["answer 1", "answer 2"]


def test_an_empty_line_behind_an_answer_is_no_fault(tmp_path: Path) -> None:
    assert texts(tmp_path, lambda number, _: (plain(chat(f"answer {number}")) + b"\r\n", True)) == [
        "answer 0",
        "answer 1",
        "answer 2",
    ]
