"""The keys that seal the keys of systems: lines of a file outside the database, the newest first.

Sealing is AES-256-GCM. What is sealed is bound to where it may be sent: with another destination it does not open, so
that neither a change of the database nor another version of a system sends a key to an address it was not set for.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from auditor.canonical import canonical_json
from auditor.exceptions import ModelError, StorageError, reason_of
from auditor.systems.keys import Key
from compliance.exceptions import StateError

KEY_BYTES = 32
NONCE_BYTES = 12  # as GCM wants it; drawn anew for every key that is sealed
EXPECTED = "lines of 32 bytes in base64, the newest first"


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """A sealed key, and the name of the line that sealed it."""

    ring_key: str
    data: bytes


@dataclass(frozen=True)
class KeyRing:
    """The lines of the file by their names, in order. Made by `read_ring`; shows none of them."""

    keys: Mapping[str, bytes] = field(repr=False)

    @property
    def newest(self) -> str:
        """The name of the line that seals."""
        return next(iter(self.keys))

    def seal(self, secret: str, *, destination: Mapping[str, str]) -> Sealed:
        """Seal a key for one destination."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(NONCE_BYTES)
        data = AESGCM(self.keys[self.newest]).encrypt(nonce, secret.encode(), canonical_json(dict(destination)))
        return Sealed(ring_key=self.newest, data=nonce + data)

    def unseal(self, sealed: Sealed, *, destination: Mapping[str, str], where: str) -> str:
        """The key.

        Raises
        ------
        StateError
            If the line that sealed it is gone, or it was set for another destination or changed.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key = self.keys.get(sealed.ring_key)
        if key is None:
            raise StateError(f"{where}: the file of keys lacks {sealed.ring_key}; expected it, or the key set anew")
        nonce, data = sealed.data[:NONCE_BYTES], sealed.data[NONCE_BYTES:]
        try:
            return AESGCM(key).decrypt(nonce, data, canonical_json(dict(destination))).decode()
        except InvalidTag:
            raise StateError(
                f"{where}: its key was set for another address, or changed; expected it set anew"
            ) from None


@dataclass(frozen=True)
class RingKey:
    """A `KeySource` of the engine: one sealed key and the file whose lines open it. Holds nothing that is secret.

    So it is what a child process is given, which has no database and opens the key itself.
    """

    sealed: Sealed
    destination: Mapping[str, str]
    where: str
    file: Path

    def key(self) -> Key:
        """The key.

        Raises
        ------
        ModelError
            If it does not open; the text holds nothing of it.
        """
        try:
            return Key(read_ring(self.file).unseal(self.sealed, destination=self.destination, where=self.where))
        except StateError as error:
            where, _, rest = str(error).partition(": ")
            raise ModelError(where, *rest.split("; expected ", 1)) from None

    def to_job(self) -> dict[str, Any]:
        """As plain data, for a child's job."""
        return {
            "ring_key": self.sealed.ring_key,
            "sealed": base64.b64encode(self.sealed.data).decode(),
            "destination": dict(self.destination),
            "where": self.where,
            "file": str(self.file),
        }

    @classmethod
    def from_job(cls, job: Mapping[str, Any]) -> RingKey:
        """What ``to_job`` gave."""
        sealed = Sealed(ring_key=job["ring_key"], data=base64.b64decode(job["sealed"]))
        return cls(sealed, job["destination"], job["where"], Path(job["file"]))


def read_ring(file: Path | None = None) -> KeyRing:
    """The ring as the file has it now; made at random, readable by its owner only, when there is no file.

    Parameters
    ----------
    file
        The file; that of the installation if left out.

    Raises
    ------
    StorageError
        If it cannot be read or made, or does not hold keys.
    """
    path = Path(settings.KEYS_FILE) if file is None else file
    try:
        if not path.exists():
            _make(path)
        lines = path.read_text(encoding="ascii").split()
        keys = [base64.b64decode(line, validate=True) for line in lines]
    except ValueError:  # its text would show what stands in it
        raise StorageError(f"{path}: does not hold keys; expected {EXPECTED}") from None
    except OSError as error:
        raise StorageError(f"{path}: cannot be opened: {reason_of(error)}; expected a file of keys") from error
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise StorageError(f"{path}: does not hold keys; expected {EXPECTED}")
    return KeyRing({hashlib.sha256(key).hexdigest()[:12]: key for key in keys})


def add_line() -> KeyRing:
    """Put a new line before the others, and read the ring."""
    ring = read_ring()
    _replace([secrets.token_bytes(KEY_BYTES), *ring.keys.values()])
    return read_ring()


def keep_newest() -> None:
    """Take away every line but the first: nothing is sealed by them any more."""
    ring = read_ring()
    _replace([ring.keys[ring.newest]])


def _make(path: Path) -> None:
    # Two processes may begin at once: the name appears with the whole file behind it, and the second reads the first's.
    draft = _draft(path, [secrets.token_bytes(KEY_BYTES)])
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _replace(keys: list[bytes]) -> None:
    path = Path(settings.KEYS_FILE)
    try:
        _draft(path, keys).replace(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {reason_of(error)}; expected a file of keys") from error


def _draft(path: Path, keys: list[bytes]) -> Path:
    draft = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(b"".join(base64.b64encode(key) + b"\n" for key in keys))
        stream.flush()
        os.fsync(stream.fileno())
    return draft
