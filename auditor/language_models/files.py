"""Reading, copying and writing files so that a failure says whose it was: the source's or the store's."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from auditor.canonical import BLOCK_BYTES, sha256_file
from auditor.exceptions import ModelError, reason_of


def hash_source(path: Path) -> str:
    """SHA-256 of a file somebody gave us; a `ModelError` if it cannot be read."""
    try:
        return sha256_file(path)
    except OSError as error:
        raise ModelError(str(path), f"cannot be read: {reason_of(error)}", "a readable file") from error


def copy_source(source: Path, target: Path, sha256: str) -> None:
    """Copy a file whose hash is known; refuse it if it changed since then.

    Raises
    ------
    ModelError
        If the source cannot be read or is no longer what was hashed.
    OSError
        If the target cannot be written.
    """
    digest = hashlib.sha256()
    with target.open("xb") as out:
        try:
            stream = source.open("rb")
        except OSError as error:
            raise ModelError(str(source), f"cannot be read: {reason_of(error)}", "a readable file") from error
        with stream:
            while block := stream.read(BLOCK_BYTES):
                digest.update(block)
                out.write(block)
    if digest.hexdigest() != sha256:
        raise ModelError(str(source), "changed while it was imported", "a file that nobody writes to")


def list_files(folder: Path) -> list[dict[str, Any]]:
    """Path, size in bytes and SHA-256 of every file in a flat folder, sorted by path."""
    return [
        {"path": path.name, "bytes": path.stat().st_size, "sha256": sha256_file(path)}
        for path in sorted(folder.iterdir())
    ]


def publish(folder: Path, target: Path) -> None:
    """Bring a finished folder to the disk, then rename it. If ``target`` exists by then, ``folder`` is left alone."""
    for path in (*folder.iterdir(), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    try:
        folder.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def replace(path: Path, data: bytes) -> None:
    """Write a small file in one step: a reader sees the old content or the new, never a part."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
