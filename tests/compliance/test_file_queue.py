"""The queue of a site without Redis: whoever looks sees whole messages or none, and no worker dies of a look."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from kombu import Connection, Exchange, Queue
from kombu.exceptions import ChannelError
from kombu.transport import filesystem

from compliance.environment import broker
from compliance.execution.file_queue import Channel

MESSAGES = 300


def connected(folder: Path) -> Connection:
    url, options = broker("", folder)
    return Connection(url, transport_options=options)


def test_messages_that_are_written_while_others_look_arrive_whole_and_once(tmp_path: Path) -> None:
    connected(tmp_path)
    arrived: list[int] = []
    faults: list[Exception] = []
    sent = threading.Event()

    def look() -> None:
        try:
            with connected(tmp_path) as connection:
                queue = connection.SimpleQueue("audits")
                while True:
                    ended = sent.is_set()
                    try:
                        message = queue.get(block=False)
                    except queue.Empty:
                        if ended:
                            return
                        continue
                    arrived.append(message.payload["number"])
                    message.ack()
        except Exception as error:
            faults.append(error)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for thread in lookers:
        thread.start()
    with connected(tmp_path) as connection:
        queue = connection.SimpleQueue("audits")
        for number in range(MESSAGES):
            queue.put({"number": number, "padding": "x" * 20_000})
    sent.set()
    for thread in lookers:
        thread.join()
    assert faults == []
    assert sorted(arrived) == list(range(MESSAGES))


def test_workers_that_start_together_do_not_undo_each_others_bindings(tmp_path: Path) -> None:
    connected(tmp_path)
    faults: list[Exception] = []
    together = threading.Barrier(8)

    def bind(number: int) -> None:
        try:
            with connected(tmp_path) as connection:
                exchange = Exchange("control", type="fanout")
                together.wait()
                Queue(f"worker-{number}", exchange)(connection.default_channel).declare()
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=bind, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    with connected(tmp_path) as connection:
        bound = {row.queue for row in connection.default_channel.get_table("control")}
    assert bound == {f"worker-{number}" for number in range(8)}


def test_a_message_has_its_name_only_once_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with connected(tmp_path) as connection, pytest.raises(ChannelError, match="No space left on device"):
        connection.default_channel._put("audits", {"number": 1})
    assert [path for path in (tmp_path / "queue" / "messages").iterdir() if path.suffix == ".msg"] == []
    assert list((tmp_path / "queue" / "messages").iterdir()) == []


def test_the_transport_is_kombus_with_another_way_to_write() -> None:
    assert issubclass(Channel, filesystem.Channel)
    assert Channel._get is filesystem.Channel._get
