"""The queue of a site without Redis: whoever looks sees whole messages or none, and no worker dies of a look."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from kombu import Connection, Exchange, Queue
from kombu.exceptions import ChannelError
from kombu.transport import filesystem

from compliance.environment import broker
from compliance.execution.file_queue import Channel
from tests.acceptance.commands import ROOT

MESSAGES = 300
SECONDS = 60


def connected(folder: Path) -> Connection:
    url, options = broker("", folder)
    return Connection(url, transport_options=options)


LOOK = """
import json, sys
from pathlib import Path
from kombu import Connection
import compliance.execution.file_queue
from compliance.environment import broker
folder = Path(sys.argv[1])
url, options = broker("", folder)
arrived = []
with Connection(url, transport_options=options) as connection:
    queue = connection.SimpleQueue("audits")
    (folder / sys.argv[2]).touch()
    while True:
        ended = (folder / "sent").exists()
        try:
            message = queue.get(block=False)
        except queue.Empty:
            if ended:
                break
            continue
        arrived.append(message.payload["number"])
        message.ack()
print(json.dumps(arrived))
"""


def test_messages_that_are_written_while_others_look_arrive_whole_and_once(tmp_path: Path) -> None:
    connected(tmp_path)
    lookers = [
        subprocess.Popen(
            [sys.executable, "-c", LOOK, str(tmp_path), name], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for name in ("one", "two")
    ]
    limit = time.monotonic() + SECONDS
    while not all((tmp_path / name).exists() for name in ("one", "two")):
        assert time.monotonic() < limit
        time.sleep(0.02)
    with connected(tmp_path) as connection:
        queue = connection.SimpleQueue("audits")
        for number in range(MESSAGES):
            queue.put({"number": number, "padding": "x" * 20_000})
    (tmp_path / "sent").touch()
    said = [looker.communicate(timeout=SECONDS) for looker in lookers]
    assert [errors for _, errors in said] == [b"", b""]
    assert sorted(number for arrived, _ in said for number in json.loads(arrived)) == list(range(MESSAGES))


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
    with connected(tmp_path) as connection, pytest.raises(ChannelError, match="no space left on device"):
        connection.default_channel._put("audits", {"number": 1})
    assert [path for path in (tmp_path / "queue" / "messages").iterdir() if path.suffix == ".msg"] == []
    assert list((tmp_path / "queue" / "messages").iterdir()) == []


def test_the_transport_is_kombus_with_another_way_to_write() -> None:
    assert issubclass(Channel, filesystem.Channel)
    assert Channel._get is filesystem.Channel._get
