"""Every request and its answer under the request's hash: the evidence of a run, and what its resume reads.

SQLite in WAL mode with a full sync at each commit of an answer, so what was kept is on the disk; rows are never changed
(triggers refuse it). Many processes may use one store. Threads that write at the same time share one commit: whoever
comes first writes for all who wait.

A send is noted before it goes out. So requests and money are counted across crashes, and a send without an end says
that an answer may exist which nobody kept. The note outlives a killed process; it is not synced by itself, so a power
cut may take notes of requests that were under way at that moment.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from auditor.canonical import canonical_json, sha256_bytes
from auditor.exceptions import StorageError

VERSION = 1
_BUSY_SECONDS = 120
_PAGE = 4096
_SCHEMA = """
CREATE TABLE answers (
    key TEXT PRIMARY KEY, request BLOB NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL, sha256 TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE TABLE ledger (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('sent', 'answered', 'failed')),
    send INTEGER, note TEXT NOT NULL, money INTEGER NOT NULL, requests_after INTEGER NOT NULL,
    ended_after INTEGER NOT NULL, money_after INTEGER NOT NULL, at REAL NOT NULL
);
"""
_GUARD = """
CREATE TRIGGER {table}_{what} BEFORE {what} ON {table}
BEGIN SELECT RAISE(ABORT, 'rows of the request store are never changed'); END;
"""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """One answered request: its hash, what was asked (canonical JSON), status and body of the answer without keys."""

    key: str
    request: bytes
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Send:
    """A request that is about to go out, and the money set aside for it in millionths."""

    number: int
    key: str
    reserved: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What went out so far. ``unended``: sent, and nobody noted how it ended. ``money`` in millionths."""

    requests: int
    answers: int
    unended: int
    money: int


class Full(Exception):
    """A cap does not allow another send; the text says which."""


@dataclass
class _Ticket:
    work: Callable[[sqlite3.Connection], Any]
    synced: bool
    done: bool = False
    result: Any = None
    error: Exception | None = field(default=None)


class RequestStore:
    """An append-only store in one file; close it after use, or use it in a ``with`` statement.

    Raises
    ------
    StorageError
        From every method, if the file cannot be read or written, is of another version, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting: list[_Ticket] = []
        self._queue = threading.Lock()
        self._writing = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # It holds applications: nobody else on the machine reads it. SQLite's files beside it have its mode.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            self._open()
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"{path.name}: cannot be opened ({error})") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._writing:
            self._database.close()

    def kept(self, keys: Iterable[str]) -> dict[str, KeptAnswer]:
        """The answers there are to these requests."""
        found: dict[str, KeptAnswer] = {}
        with self._writing:
            for key in keys:
                if (answer := self._read(self._database, key)) is not None:
                    found[key] = answer
        return found

    def begin(
        self, key: str, *, reserve: int = 0, most_requests: int | None = None, most_money: int | None = None
    ) -> Send | KeptAnswer:
        """Note a send before it goes out, or give the answer that is already there.

        Parameters
        ----------
        key
            Hash of the request.
        reserve
            The most it may cost, in millionths; set aside until its end is known, and for ever if it never is.
        most_requests, most_money
            Caps over everything in this store, also by other processes and before crashes.

        Raises
        ------
        Full
            If the caps do not allow it; nothing is noted then.
        """

        def work(database: sqlite3.Connection) -> Send | KeptAnswer:
            if (answer := self._read(database, key)) is not None:
                return answer
            requests, ended, money = _last(database)
            if most_requests is not None and requests + 1 > most_requests:
                raise Full(f"the {most_requests} requests that were allowed have gone out")
            if most_money is not None and money + reserve > most_money:
                raise Full("another request could cost more than what is left of the money that was allowed")
            row = (key, "sent", None, "", reserve, requests + 1, ended, money + reserve, time.time())
            return Send(_append(database, row), key, reserve)

        found = self._write(work, synced=False)
        assert isinstance(found, Send | KeptAnswer)  # noqa: S101 - for the type checker
        return found

    def keep(self, send: Send, answer: KeptAnswer, *, cost: int | None = None) -> KeptAnswer:
        """Keep an answer; when this returns it is on the disk.

        If another process kept one meanwhile, that one stands and is given back. ``cost`` in millionths; ``None``
        where it is not known: what was set aside stays spent.
        """

        def work(database: sqlite3.Connection) -> KeptAnswer:
            digest = sha256_bytes(answer.body)
            values = (answer.key, answer.request, answer.status, answer.body, digest, time.time())
            added = database.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?)", values).rowcount
            note = "" if added else "another answer was there first"
            _end(database, send, "answered", note, 0 if cost is None else cost - send.reserved)
            stands = answer if added else self._read(database, answer.key)
            return stands or answer

        found = self._write(work, synced=True)
        assert isinstance(found, KeptAnswer)  # noqa: S101 - for the type checker
        return found

    def fail(self, send: Send, note: str, *, billed: bool) -> None:
        """Note that a send got no answer, and why. Unless it may be ``billed``, its money is free again."""
        money = 0 if billed else -send.reserved
        self._write(lambda database: _end(database, send, "failed", note, money), synced=False)

    def totals(self) -> Totals:
        """What went out so far, by every process."""
        with self._writing:
            requests, ended, money = self._guarded(lambda: _last(self._database))
            answers = self._guarded(lambda: self._database.execute("SELECT count(*) FROM answers").fetchone()[0])
        return Totals(requests=requests, answers=answers, unended=requests - ended, money=money)

    def seconds(self) -> float | None:
        """Median seconds from a send to its kept answer; ``None`` before the first."""
        joined = "ledger done JOIN ledger sent ON sent.id = done.send"
        query = f"SELECT done.at - sent.at FROM {joined} WHERE done.kind = 'answered'"  # noqa: S608
        with self._writing:
            rows = self._guarded(lambda: self._database.execute(query).fetchall())
        return max(0.0, statistics.median(row[0] for row in rows)) if rows else None

    def failures(self) -> dict[str, int]:
        """How many sends failed, by what was noted."""
        query = "SELECT note, count(*) FROM ledger WHERE kind = 'failed' GROUP BY note ORDER BY note"
        with self._writing:
            return dict(self._guarded(lambda: self._database.execute(query).fetchall()))

    def addresses(self) -> tuple[str, ...]:
        """The addresses that gave an answer, as their listing has them; those of requests that name one."""
        query = "SELECT DISTINCT json_extract(CAST(request AS TEXT), '$.system.url') AS url FROM answers ORDER BY url"
        with self._writing:
            rows = self._guarded(lambda: self._database.execute(query).fetchall())
        return tuple(str(url) for (url,) in rows if url is not None)

    def evidence(self) -> Iterator[bytes]:
        """One line of canonical JSON an answer, by hash and without a clock: the same answers give the same bytes."""
        for key in self._keys():
            answer = self.kept([key])[key]
            line = {
                "key": key,
                "request": answer.request.decode("utf-8"),
                "status": answer.status,
                "answer": answer.body.decode("utf-8", "backslashreplace"),
                "answer_sha256": sha256_bytes(answer.body),
            }
            yield canonical_json(line) + b"\n"

    def _keys(self) -> Iterator[str]:
        """The hashes of answered requests, in their order."""
        page = self._page("")
        while page:
            yield from page
            page = self._page(page[-1])

    def _page(self, after: str) -> list[str]:
        query = "SELECT key FROM answers WHERE key > ? ORDER BY key LIMIT ?"
        with self._writing:
            rows = self._guarded(lambda: self._database.execute(query, (after, _PAGE)).fetchall())
        return [row[0] for row in rows]

    def _open(self) -> None:
        database = self._database
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        self._synchronous = "FULL"
        database.execute("BEGIN IMMEDIATE")  # two processes may come to a new file at once
        try:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise StorageError(f"{self.path.name}: is a request store of version {version}; expected {VERSION}")
            if version == 0:
                guards = [
                    _GUARD.format(table=table, what=what)
                    for table in ("answers", "ledger")
                    for what in ("UPDATE", "DELETE")
                ]
                for statement in [*_SCHEMA.split(";\n"), *guards]:
                    if statement.strip():
                        database.execute(statement)
                database.execute(f"PRAGMA user_version = {VERSION}")
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            database.close()
            raise

    def _read(self, database: sqlite3.Connection, key: str) -> KeptAnswer | None:
        query = "SELECT key, request, status, body, sha256 FROM answers WHERE key = ?"
        row = self._guarded(lambda: database.execute(query, (key,)).fetchone())
        if row is None:
            return None
        if sha256_bytes(row[3]) != row[4]:
            raise StorageError(f"{self.path.name}: the answer to {key[:12]} is not the one that was kept")
        return KeptAnswer(*row[:4])

    def _guarded(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except sqlite3.Error as error:
            raise StorageError(f"{self.path.name}: cannot be read ({error})") from error

    def _write(self, work: Callable[[sqlite3.Connection], Any], *, synced: bool) -> Any:
        """Do work in a transaction, together with that of other threads; if ``synced``, it is on the disk then."""
        mine = _Ticket(work, synced)
        with self._queue:
            self._waiting.append(mine)
        with self._writing:
            if not mine.done:  # nobody has written it on the way here
                with self._queue:
                    batch, self._waiting = self._waiting, []
                self._commit(batch)
        if mine.error is not None:
            raise mine.error
        return mine.result

    def _commit(self, batch: list[_Ticket]) -> None:
        database = self._database
        try:
            synchronous = "FULL" if any(ticket.synced for ticket in batch) else "NORMAL"
            if synchronous != self._synchronous:
                database.execute(f"PRAGMA synchronous = {synchronous}")
                self._synchronous = synchronous
            database.execute("BEGIN IMMEDIATE")
            for ticket in batch:
                try:
                    ticket.result = ticket.work(database)
                except (Full, StorageError) as refusal:  # it has written nothing; the others go on
                    ticket.error = refusal
            database.execute("COMMIT")
        except BaseException as error:
            # Whatever it is, a number that SQLite does not hold or the keyboard: no transaction stays open, and nobody
            # who waited for this one takes it for done.
            why = str(error) or type(error).__name__
            for ticket in batch:
                ticket.error = StorageError(f"{self.path.name}: cannot be written ({why})")
            if database.in_transaction:
                database.execute("ROLLBACK")
            if not isinstance(error, Exception):
                raise
        finally:
            for ticket in batch:
                ticket.done = True


def _last(database: sqlite3.Connection) -> tuple[int, int, int]:
    """Requests, ended ones and money after the newest line of the ledger."""
    query = "SELECT requests_after, ended_after, money_after FROM ledger ORDER BY id DESC LIMIT 1"
    row = database.execute(query).fetchone()
    return (0, 0, 0) if row is None else (row[0], row[1], row[2])


def _end(database: sqlite3.Connection, send: Send, kind: str, note: str, money: int) -> None:
    requests, ended, total = _last(database)
    row = (send.key, kind, send.number, note, money, requests, ended + 1, total + money, time.time())
    _append(database, row)


def _append(database: sqlite3.Connection, row: tuple[Any, ...]) -> int:
    columns = "key, kind, send, note, money, requests_after, ended_after, money_after, at"
    done = database.execute(f"INSERT INTO ledger ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608
    return int(done.lastrowid or 0)
