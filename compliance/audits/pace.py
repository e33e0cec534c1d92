"""How fast chunks are done here: seconds a token, by kind of chunk, as this installation's own runs took them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import QuerySet

from compliance.models import Audit, AuditChunk, ChunkState

READ = 400
"""Of the newest chunks: how fast a machine is today is not how fast it was."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A chunk that was done: its size (tokens, or prompts where none are counted) and seconds from claim to end."""

    kind: str
    size: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds for one unit of size: the median over ``chunks``, and the tenth and ninetieth of a hundred."""

    middle: float
    low: float
    high: float
    chunks: int


@dataclass(frozen=True, kw_only=True)
class TimeLeft:
    """Seconds until every chunk is done, and the range of it; ``chunks`` is how many it rests on."""

    seconds: float
    low: float
    high: float
    chunks: int


def paces_of(pieces: Iterable[Piece]) -> dict[str, Pace]:
    """The pace of each kind.

    >>> paces_of([Piece(kind="shared", size=10, seconds=second) for second in (1, 2, 6)])["shared"].middle
    0.2
    """
    rates: dict[str, list[float]] = {}
    for piece in pieces:
        if piece.seconds > 0:  # the clock was set back in between
            rates.setdefault(piece.kind, []).append(piece.seconds / max(piece.size, 1))
    return {kind: pace_of(found) for kind, found in rates.items()}


def pace_of(rates: list[float]) -> Pace:
    """The pace of chunks of one kind, from the seconds a unit that each took; at least one."""
    found = sorted(rates)
    return Pace(middle=_share(found, 0.5), low=_share(found, 0.1), high=_share(found, 0.9), chunks=len(found))


def time_left(left: Mapping[str, int], paces: Mapping[str, Pace], *, workers: int) -> TimeLeft | None:
    """What the sizes that are left take, or ``None`` while a kind among them has no pace.

    Parameters
    ----------
    left
        Size that is not done, by kind.
    paces
        Of each kind.
    workers
        How many chunks are worked on at once.
    """
    if any(kind not in paces for kind in left):
        return None
    at_once = max(workers, 1)
    return TimeLeft(
        seconds=sum(size * paces[kind].middle for kind, size in left.items()) / at_once,
        low=sum(size * paces[kind].low for kind, size in left.items()) / at_once,
        high=sum(size * paces[kind].high for kind, size in left.items()) / at_once,
        chunks=sum(paces[kind].chunks for kind in left),
    )


def pieces_of(audit: Audit) -> list[Piece]:
    """The newest chunks that an audit has done."""
    return _read(AuditChunk.objects.filter(audit=audit))


def pieces_before(audit: Audit) -> list[Piece]:
    """The newest chunks that other runs of the same model have done here."""
    return _read(AuditChunk.objects.filter(audit__model=audit.model_id).exclude(audit=audit))


def left_of(audit: Audit) -> dict[str, int]:
    """The size that is not done yet, by kind."""
    found: dict[str, int] = {}
    for kind, tokens, prompts in (
        audit.chunks.exclude(state=ChunkState.DONE).order_by("index").values_list("kind", "tokens", "prompts")
    ):
        found[kind] = found.get(kind, 0) + (tokens or prompts or 1)
    return found


def _read(rows: QuerySet[AuditChunk]) -> list[Piece]:
    done = rows.filter(state=ChunkState.DONE, claimed_at__isnull=False).order_by("-done_at")
    asked = done.values_list("kind", "tokens", "prompts", "claimed_at", "done_at")[:READ]
    return [
        Piece(kind=kind, size=tokens or prompts or 1, seconds=(ended - begun).total_seconds())
        for kind, tokens, prompts, begun, ended in asked
        if begun is not None and ended is not None
    ]


def _share(found: list[float], share: float) -> float:
    """The value below which a share of them lies, between two neighbours in proportion."""
    at = share * (len(found) - 1)
    below = int(at)
    above = min(below + 1, len(found) - 1)
    return found[below] + (found[above] - found[below]) * (at - below)
