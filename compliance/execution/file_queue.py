"""Celery's queue as files, for a site without Redis: kombu's, with every file whole from the moment it has its name.

kombu's own transport opens a message under its final name and then writes it. A worker that looks in between moves an
empty file, cannot decode it and ends; the table of a new exchange has the same gap. Here both are written aside and
renamed, and whoever changes a table holds a lock of its own, so that two starting workers do not undo each other.
"""

from __future__ import annotations

import fcntl
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils import json

from auditor.exceptions import reason_of
from compliance.environment import FILE_QUEUE

_dumps: Any = json.dumps
_Base: Any = filesystem.Channel  # kombu marks itself as typed and types none of these methods


class Channel(_Base):  # type: ignore[misc]
    """The channel whose readers never see half a file."""

    def _put(self, queue: Any, message: Any, **_: object) -> None:
        name = f"{round(time.monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg"  # readers take messages by their names
        _write(Path(self.data_folder_out) / name, message)

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        binding = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        with self._changing_tables():
            table = self.get_table(exchange)
            if binding not in table:
                _write(self._exchange_file(exchange), [binding, *table])

    def _delete(self, *args: Any, **kwargs: Any) -> None:
        with self._changing_tables():
            super()._delete(*args, **kwargs)

    @contextmanager
    def _changing_tables(self) -> Iterator[None]:
        with (self.control_folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class Transport(filesystem.Transport):
    """kombu's transport with this channel."""

    Channel = Channel


def _write(path: Path, content: object) -> None:
    """A file that is there whole or not at all. It is not synced: rows are the truth, and a lost call is made again."""
    aside = path.with_name(f"{uuid.uuid4()}.aside")
    try:
        aside.write_text(_dumps(content), encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise ChannelError(f"{path}: cannot be written: {reason_of(error)}; expected room and permission") from error


TRANSPORT_ALIASES[FILE_QUEUE] = f"{__name__}:Transport"
