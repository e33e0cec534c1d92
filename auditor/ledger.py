"""The ledger of a run: which chunks there are, who works on them, and what they gave.

A notebook keeps it in a folder (:class:`FolderLedger`), the site in database rows; both behind :class:`Ledger`. A
chunk's payload (its cases) goes in once when the run is frozen, its result (its decisions) once when it is scored.
Nothing else is shared between workers, so any worker can take any chunk, any number of times, with the same outcome.

    queued ──claim──▶ running ──complete──▶ done
      ▲                  │
      └────release───────┘        (crash or stop: the lease ends, the chunk is queued again)
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from auditor.canonical import canonical_json
from auditor.exceptions import RunError, StorageError, reason_of
from auditor.run_record import RunRecord


@dataclass(frozen=True)
class Chunk:
    """A piece of work of about 20 s: ``kind`` says which step scores it, ``prompts`` and ``tokens`` how much it is."""

    index: int
    kind: str
    prompts: int
    tokens: int
    payload: bytes


@dataclass(frozen=True)
class ChunkState:
    """Where a chunk stands."""

    index: int
    kind: str
    prompts: int
    tokens: int
    done: bool


class Ledger(Protocol):
    """What the conductor needs of a ledger. Every method is safe to call again after a crash."""

    def freeze(self, run: RunRecord, chunks: Iterable[Chunk]) -> None:
        """Store the frozen run and all its chunks, at once or not at all; a second call with the same run is harmless.

        Raises
        ------
        RunError
            If the ledger already holds another run.
        """

    def frozen(self) -> bool:
        """Whether the run and all its chunks are stored."""

    def run(self) -> RunRecord:
        """The frozen run record."""

    def states(self) -> list[ChunkState]:
        """All chunks in index order."""

    def claim(self, index: int) -> bool:
        """Take a chunk; False if it is done or somebody else holds it."""

    def payload(self, index: int) -> bytes:
        """The cases of a chunk."""

    def complete(self, index: int, result: bytes) -> bool:
        """Store a chunk's result and mark it done; False (and nothing stored) if it was done before."""

    def release(self, index: int, reason: str) -> None:
        """Give a chunk back unfinished."""

    def result(self, index: int) -> bytes:
        """The stored result of a chunk that is done."""

    def should_stop(self) -> bool:
        """Whether somebody asked the run to stop; asked between batches."""

    def requests(self) -> Path:
        """The file of the run's request store, if it asks a system."""


class FolderLedger:
    """A ledger in a folder, for notebooks and for runs without a database.

    One process works on it at a time: a claim is a file created exclusively that holds the process id, and a claim
    whose process is gone is free again.

    Parameters
    ----------
    path
        The folder; made if it is not there.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            (path / "chunks").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"{path}: cannot be made: {reason_of(error)}; expected a folder that can be written"
            ) from error

    def freeze(self, run: RunRecord, chunks: Iterable[Chunk]) -> None:
        """Store run and chunks; the run file is written last, so a half-frozen folder is not frozen."""
        if self.frozen():
            if self.run().digest() != run.digest():
                raise RunError(f"{self.path}: holds another run; expected an empty folder or the same run")
            return
        index = []
        for chunk in chunks:
            self._write(f"chunks/{chunk.index:05d}.cases", chunk.payload)
            index.append({"index": chunk.index, "kind": chunk.kind, "prompts": chunk.prompts, "tokens": chunk.tokens})
        self._write("chunks.json", canonical_json(index))
        self._write("run.json", run.to_bytes())

    def frozen(self) -> bool:
        """Whether the run file is there."""
        return (self.path / "run.json").exists()

    def run(self) -> RunRecord:
        """The frozen run record."""
        path = self.path / "run.json"
        return RunRecord.read(path.read_bytes(), where=str(path))

    def states(self) -> list[ChunkState]:
        """All chunks in index order."""
        index = json.loads((self.path / "chunks.json").read_bytes())
        return [ChunkState(**item, done=self._file(item["index"], "decisions").exists()) for item in index]

    def claim(self, index: int) -> bool:
        """Take a chunk, also from a process that no longer lives."""
        if self._file(index, "decisions").exists():
            return False
        claim = self._file(index, "claim")
        with contextlib.suppress(FileNotFoundError):
            if _held(claim.read_text()):
                return False
            claim.unlink()
        try:
            with claim.open("x") as stream:
                stream.write(str(os.getpid()))
        except FileExistsError:
            return False
        except OSError as error:
            # A claim without a process id, as a full disk leaves it, is nobody's.
            raise StorageError(
                f"{claim}: cannot be written: {reason_of(error)}; expected room and permission to write evidence"
            ) from error
        return True

    def payload(self, index: int) -> bytes:
        """The cases of a chunk."""
        return self._file(index, "cases").read_bytes()

    def complete(self, index: int, result: bytes) -> bool:
        """Store the result under its final name in one step."""
        if self._file(index, "decisions").exists():
            return False
        self._write(f"chunks/{index:05d}.decisions", result)
        self._file(index, "claim").unlink(missing_ok=True)
        return True

    def release(self, index: int, reason: str) -> None:
        """Give a chunk back; the reason is kept beside it, if there is room for it."""
        self._file(index, "claim").unlink(missing_ok=True)
        with contextlib.suppress(StorageError):
            self._write(f"chunks/{index:05d}.reason", reason.encode())

    def result(self, index: int) -> bytes:
        """The stored result."""
        return self._file(index, "decisions").read_bytes()

    def should_stop(self) -> bool:
        """A file called ``stop`` in the folder asks the run to stop."""
        return (self.path / "stop").exists()

    def requests(self) -> Path:
        """Beside the chunks."""
        return self.path / "requests.sqlite"

    def results(self) -> Iterator[bytes]:
        """All results in index order."""
        for state in self.states():
            yield self.result(state.index)

    def _file(self, index: int, suffix: str) -> Path:
        return self.path / "chunks" / f"{index:05d}.{suffix}"

    def _write(self, name: str, data: bytes) -> None:
        target = self.path / name
        partial = target.with_name(target.name + ".partial")
        try:
            partial.write_bytes(data)
            partial.replace(target)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise StorageError(
                f"{target}: cannot be written: {reason_of(error)}; expected room and permission to write evidence"
            ) from error


def _held(claim: str) -> bool:
    """Whether the process a claim names is another one that lives."""
    if not claim.isdigit() or int(claim) == os.getpid():
        return False
    try:
        os.kill(int(claim), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
