"""Canonical JSON (RFC 8785) and SHA-256: one way to turn a value into bytes, and bytes into a name."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import rfc8785

BLOCK_BYTES = 1 << 20


def canonical_json(value: Any) -> bytes:
    """Serialise plain data by RFC 8785.

    Parameters
    ----------
    value
        Dicts, lists, strings, booleans, ``None``, integers within ±2^53 and finite floats.

    Returns
    -------
    bytes
        UTF-8, keys sorted by UTF-16 code units, shortest round-trip numbers.

    Raises
    ------
    ValueError
        For a number that is not finite, an integer beyond 2^53 or a value that is not plain data.
    """
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as error:
        raise ValueError(f"not canonical JSON data: {error}") from error


def pretty_json(value: Any) -> str:
    """Indented JSON for people and scripts; refuses numbers that are not finite."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def finite(value: float | None) -> float | None:
    """The number itself, or ``None`` where it is missing, infinite or not a number."""
    if value is None or not math.isfinite(value):
        return None
    return float(value)


def sha256_bytes(data: bytes) -> str:
    """Hexadecimal SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_json(value: Any) -> str:
    """Hexadecimal SHA-256 of the canonical JSON of ``value``."""
    return sha256_bytes(canonical_json(value))


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in blocks so that its size does not matter."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
