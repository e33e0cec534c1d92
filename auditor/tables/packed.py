"""A table in a ZIP archive or in gzip data: one file in it, unpacked no further than it may go.

A few kilobytes can unpack to all the memory there is. What is unpacked is counted as it is read, beside what was
packed, and the sizes an archive states of itself decide nothing.
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from auditor.exceptions import DataError

PACKED = (".gz", ".zip")
MAX_RATIO = 200
"""Bytes unpacked for one packed: tables of records give 5 to 30, the densest that deflate can give is 1,032."""
FREE_BYTES = 16 << 20
"""Bytes that may unpack at any ratio: a table of a few repeated words is no attack."""
MAX_UNPACKED = 4 << 30
BUFFER = 1 << 18
BESIDE = ("__MACOSX/", ".DS_Store")
"""What archivers put beside the file that was meant."""


def is_packed(path: Path) -> bool:
    """Whether a file's name says that it is packed."""
    return path.suffix.lower() in PACKED


def ending_of(name: str) -> str:
    """The ending by which a file's name says what it is, in lower case: ``.csv``, ``.csv.gz``, ``.zip``."""
    path = PurePosixPath(name.lower())
    return "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix


def inner_name(path: Path, *, where: str) -> str:
    """The name of the one file in a packed one; the name itself of a file that is not packed; DataError if none."""
    if not is_packed(path):
        return path.name
    if path.suffix.lower() == ".gz":
        return path.name[: -len(".gz")]
    with _archive(path, where) as archive:
        return PurePosixPath(_member(archive, where).filename).name


def packed_twice(path: Path, *, where: str) -> bool:
    """Whether what a file of no known ending unpacks to is packed again; a workbook is a ZIP archive by design."""
    if PurePosixPath(inner_name(path, where=where)).suffix:
        return False
    try:
        with opened(path, where=where) as stream:
            return stream.peek(4)[:4].startswith((b"PK\x03\x04", b"\x1f\x8b"))
    except (OSError, EOFError, zlib.error, DataError):
        return False  # what is damaged is told where it is read


class Digest(Protocol):
    """What takes the bytes of a file as they are read, such as a SHA-256."""

    def update(self, data: Any, /) -> None:
        """Take the next bytes."""


@contextmanager
def opened(
    path: Path, *, where: str, most: int = MAX_UNPACKED, digest: Digest | None = None
) -> Iterator[io.BufferedReader[Any]]:
    """The bytes of a file, unpacked if it is packed, as they are read.

    Parameters
    ----------
    most
        Bytes that may be unpacked.
    digest
        Takes every byte of the file itself: of what was read, and, when the context ends, of the rest. What is hashed
        is what was read, even of a file that somebody writes to meanwhile.

    Raises
    ------
    DataError
        While it is read, once it is damaged or unpacks to too much.
    """
    if is_packed(path) and path.suffix.lower() != ".gz":
        yield from _member_of_archive(path, where, most, digest)
        return
    size = path.stat().st_size
    with path.open("rb", buffering=0) as file:
        raw = _Told(file, digest) if digest is not None else file
        if is_packed(path):
            with gzip.GzipFile(fileobj=io.BufferedReader(raw, BUFFER), mode="rb") as unpacked:
                yield _bounded(unpacked, size, where, most)
        else:
            yield io.BufferedReader(raw, BUFFER)
        if digest is not None:
            _read_on(file, digest)


def _member_of_archive(path: Path, where: str, most: int, digest: Digest | None) -> Iterator[io.BufferedReader[Any]]:
    size = path.stat().st_size
    if digest is not None:
        # An archive is read from its end first: it is hashed on its own.
        with path.open("rb", buffering=0) as file:
            _read_on(file, digest)
    with _archive(path, where) as archive, archive.open(_member(archive, where)) as member:
        yield _bounded(member, size, where, most)


def _read_on(file: IO[bytes], digest: Digest) -> None:
    while block := file.read(BUFFER):
        digest.update(block)


class _Told(io.RawIOBase):
    """A file that tells a digest what is read of it. Closing it leaves the file open, for what is left to be told."""

    def __init__(self, file: io.FileIO, digest: Digest) -> None:
        self.file, self.digest = file, digest

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """The next bytes."""
        count = self.file.readinto(buffer) or 0
        self.digest.update(memoryview(buffer)[:count])
        return count


def _bounded(stream: IO[bytes] | gzip.GzipFile, size: int, where: str, most: int) -> io.BufferedReader[Any]:
    return io.BufferedReader(_Bounded(stream, size, where, most), BUFFER)


class _Bounded(io.RawIOBase):
    """A stream that stops once more comes out of it than may."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile, size: int, where: str, most: int) -> None:
        self.stream, self.size, self.where, self.most = stream, size, where, most
        self.count = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """The next bytes; DataError for damage or too many of them."""
        try:
            found = self.stream.read(len(buffer))
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
            raise DataError(self.where, f"is damaged: {str(error)[:200]}", "a complete packed file") from error
        self.count += len(found)
        if self.count > self.most:
            raise DataError(self.where, f"unpacks to more than {self.most >> 20:,} MiB", "a smaller file")
        if self.count > FREE_BYTES and self.count > MAX_RATIO * self.size:
            what = f"unpacks to more than {MAX_RATIO} times its size"
            raise DataError(self.where, what, "the table itself, not packed")
        buffer[: len(found)] = found
        return len(found)


@contextmanager
def _archive(path: Path, where: str) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        said = str(error)[:200]
        why = "" if "not a zip file" in said else f": {said}"  # which would say it twice
        raise DataError(where, f"is not a ZIP archive{why}", "a complete ZIP archive") from error
    with archive:
        yield archive


def _member(archive: zipfile.ZipFile, where: str) -> zipfile.ZipInfo:
    members = [
        item for item in archive.infolist() if not item.is_dir() and not any(mark in item.filename for mark in BESIDE)
    ]
    if len(members) != 1:
        names = ", ".join(item.filename[:40] for item in members[:3]) + (", …" if len(members) > 3 else "")
        raise DataError(where, f"holds {len(members)} files" + (f": {names}" if names else ""), "one table in it")
    if members[0].flag_bits & 0x1:
        raise DataError(where, "is locked with a password", "a ZIP archive without one")
    return members[0]
