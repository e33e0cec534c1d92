"""Faults a server may have, on demand: of the connection, of its answers' form, and of what they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Fault:
    """One fault of one answer.

    ``wire`` is one of: ``status`` (with ``code``, ``headers``, ``content``), ``hang`` (``seconds``), ``half``,
    ``wrong json``, ``long length``, ``short length``, ``reset``, ``drip`` and ``dripping headers`` (a byte each
    ``seconds``), ``continue`` (one each ``seconds``, without end), ``large``.
    ``meaning`` is one of: ``zeros``, ``nines``, ``positive``, ``nan``, ``sum``, ``none``, ``filtered``, ``refusal``,
    ``marked refusal``, ``thinking``, ``think block``, ``cut off``, ``other model``, ``other fingerprint``.
    """

    wire: str = ""
    meaning: str = ""
    code: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Any = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Asked:
    """What reached the server, and how often the same body had come before."""

    path: str
    headers: Mapping[str, str]
    body: Any
    before: int
    number: int


Faults = Callable[[Asked], Fault | None]


def never(_: Asked) -> Fault | None:
    """A server without faults."""
    return None


def first(times: int, fault: Fault) -> Faults:
    """The fault for the first so many times that a body comes."""
    return lambda asked: fault if asked.before < times else None


def always(fault: Fault) -> Faults:
    """The fault every time."""
    return lambda _: fault
