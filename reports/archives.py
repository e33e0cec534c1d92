"""Reading files that a stranger may have made: bounded in size, whole, and nothing around them.

A zip can be followed or preceded by other bytes, carry comments, hold a file twice, or unpack to a thousand times its
size; readers differ in what they then show. An evidence archive is exactly its entries, end to end.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from auditor.exceptions import InputError

MOST_BYTES = 1 << 30
"""What the files of a bundle may hold together once unpacked."""
MOST_FILES = 10_000
MOST_JSON = 64 << 20
"""Bytes of one JSON record; parsed it takes some ten times as much."""

END_RECORD = 22
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
BLOCK = 1 << 20


def read_folder(path: Path, *, most: int = MOST_BYTES) -> dict[str, bytes]:
    """The bytes of every file below a folder by its name within it.

    Raises
    ------
    InputError
        For links, too many files or too many bytes.
    """
    files = sorted(path.rglob("*"))
    for file in files:
        if file.is_symlink():
            raise InputError(f"{path}: {file.relative_to(path)}", "is a link", "files only")
        if not file.is_file() and not file.is_dir():
            raise InputError(f"{path}: {file.relative_to(path)}", "is a pipe, a socket or a device", "files only")
    files = [file for file in files if file.is_file()]
    _few_enough(path, count=len(files), size=sum(file.stat().st_size for file in files), most=most)
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}


def read_zip(path: Path, *, most: int = MOST_BYTES) -> dict[str, bytes]:
    """The bytes of every file of a zip by its name.

    Parameters
    ----------
    most
        Bytes that all of it may unpack to. What an entry claims to hold is not trusted: unpacking stops there.

    Raises
    ------
    InputError
        For a zip that cannot be read, unpacks to too much, or has anything beside its entries.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _few_enough(path, count=len(entries), size=sum(entry.file_size for entry in entries), most=most)
            _nothing_beside(path, archive, entries)
            contents: dict[str, bytes] = {}
            for entry in entries:
                contents[entry.filename] = _unpacked(path, archive, entry)
            return contents
    except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, struct.error) as error:
        raise InputError(str(path), f"cannot be read as a zip ({error})", "evidence.zip as it was written") from error
    except (NotImplementedError, RuntimeError, ValueError, UnicodeDecodeError) as error:
        raise InputError(str(path), f"cannot be read as a zip ({error})", "evidence.zip as it was written") from error


def _few_enough(path: Path, *, count: int, size: int, most: int) -> None:
    if count > MOST_FILES:
        raise InputError(str(path), f"holds {count:,} files", f"at most {MOST_FILES:,}")
    if size > most:
        raise InputError(str(path), f"unpacks to {size:,} bytes", f"at most {most:,}")


def _nothing_beside(path: Path, archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> None:
    """Entries lie end to end from the first byte to the directory, and the directory ends the file."""
    names: set[str] = set()
    for entry in entries:
        place = f"{path}: {entry.filename}"
        parts = Path(entry.filename).parts
        if entry.filename.startswith("/") or ".." in parts or "\\" in entry.filename or entry.is_dir():
            raise InputError(place, "is not the name of a file in a bundle", "names such as figures/effects.svg")
        if entry.filename in names:
            raise InputError(place, "appears twice", "every file once")
        if entry.comment or entry.extra or entry.flag_bits & ~0x800 or entry.compress_type not in METHODS:
            raise InputError(place, "has a comment, extra fields or is encrypted", "an entry as it was written")
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            raise InputError(place, "unpacks as a link or a device", "files only")
        names.add(entry.filename)
    if archive.comment:
        raise InputError(str(path), f"ends with a comment of {len(archive.comment):,} bytes", "no comment")
    stream = archive.fp
    assert stream is not None  # noqa: S101 - it is open
    at = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset != at:
            raise InputError(f"{path}: byte {at:,}", "bytes that belong to no file", f"{entry.filename} there")
        # Some readers believe the directory, others what stands before each entry: both must say the same.
        header = entry.FileHeader(zip64=False)
        stream.seek(at)
        if stream.read(len(header)) != header:
            raise InputError(
                f"{path}: {entry.filename}", "is described differently where it begins", "name, size and CRC said once"
            )
        at += len(header) + entry.compress_size
    size = path.stat().st_size
    stream.seek(max(0, size - END_RECORD))
    end = stream.read(END_RECORD)
    directory = struct.unpack("<II", end[12:20]) if len(end) == END_RECORD and end[:4] == b"PK\x05\x06" else None
    if directory is None or directory[1] != at or at + directory[0] + END_RECORD != size:
        raise InputError(
            f"{path}: byte {at:,}", "bytes that belong to no file", "the archive's directory, then its end"
        )
    # Some readers stop after as many files as the end counts, or look for others in further parts.
    counted = struct.unpack("<HHHH", end[4:12])
    if counted != (0, 0, len(entries), len(entries)) or any(entry.volume for entry in entries):
        raise InputError(str(path), "says at its end that it has other files or parts", f"{len(entries):,} in one part")


def _unpacked(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    _packed_alone(path, archive, entry)
    blocks, left = [], entry.file_size
    with archive.open(entry) as stream:
        while block := stream.read(min(BLOCK, left + 1)):
            left -= len(block)
            if left < 0:
                raise InputError(
                    f"{path}: {entry.filename}", "unpacks to more than it says", f"{entry.file_size:,} bytes"
                )
            blocks.append(block)
    if left:
        raise InputError(f"{path}: {entry.filename}", "unpacks to less than it says", f"{entry.file_size:,} bytes")
    return b"".join(blocks)


def _packed_alone(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Packed bytes end where their entry ends: readers leave out what follows within it, and it would stay hidden."""
    if entry.compress_type != zipfile.ZIP_DEFLATED:
        return
    stream = archive.fp
    assert stream is not None  # noqa: S101 - it is open
    stream.seek(entry.header_offset + len(entry.FileHeader(zip64=False)))
    unpacker, packed, room = zlib.decompressobj(-zlib.MAX_WBITS), entry.compress_size, entry.file_size + 1
    pending = b""
    while room > 0 and not unpacker.eof and (pending or packed):
        if not pending:
            pending = stream.read(min(BLOCK, packed))
            packed -= len(pending)
            if not pending:
                break
        room -= len(unpacker.decompress(pending, min(BLOCK, room)))
        pending = unpacker.unconsumed_tail
    if beside := packed + len(unpacker.unused_data):
        raise InputError(
            f"{path}: {entry.filename}", f"holds {beside:,} bytes that belong to no file", "its file alone"
        )


def unpacked_stream(stream: Any, *, most: int) -> bytes:
    """The bytes of a PDF stream, at most ``most`` of them; ValueError where it holds more or is packed otherwise."""
    raw = bytes(stream.read_raw_bytes())
    kind = stream.get("/Filter")
    names = [] if kind is None else [str(kind)] if not hasattr(kind, "__len__") or str(kind)[:1] == "/" else list(kind)
    names = [str(name) for name in names]
    if not names:
        if len(raw) > most:
            raise ValueError(f"a stream of {len(raw):,} bytes; expected at most {most:,}")
        return raw
    if names != ["/FlateDecode"] or "/DecodeParms" in stream:
        raise ValueError(f"a stream packed by {', '.join(names)}; expected /FlateDecode alone")
    opened = zlib.decompressobj()
    data = opened.decompress(raw, most + 1)
    if len(data) > most:
        raise ValueError(f"a stream that unpacks to more than {most:,} bytes")
    return data
