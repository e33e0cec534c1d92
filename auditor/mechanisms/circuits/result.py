"""What a chunk is given and gives. Needs no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from auditor.mechanisms._shared.pair_rows import LookedAt, PairsPayload, PairsResult
from auditor.testing.rows import Row

Payload = PairsPayload


class JudgedPair(LookedAt):
    """Margins of the reference's prompt where only a circuit's edges are kept, in nats.

    Attributes
    ----------
    full, empty
        With all edges, and with none: the margins of the two prompts.
    found, signed
        By size of the circuit, its edges ranked by size and by what they add in the difference's direction.
    random
        The same of random circuits, a row each.
    """

    full: float
    empty: float
    found: tuple[float, ...]
    signed: tuple[float, ...]
    random: tuple[tuple[float, ...], ...]


class Edge(Row):
    """One edge in words, and its first-order share of the difference."""

    sender: str
    receiver: str
    share: float


class Judged(PairsResult[JudgedPair]):
    """The pairs of the half that the circuits are judged on.

    Attributes
    ----------
    scored
        Pairs that edges were scored on.
    same
        There was but one pair, which was scored and judged.
    edges
        Of the model.
    sizes, live
        Of the circuits, edges; those of them on a path from the embedding to the answer.
    completeness
        The most by which the scores of the embedding's edges miss a pair's difference, in nats.
    scored_gap
        Root mean square difference of the pairs that were scored, in nats.
    top
        The largest edges.
    overlap
        By size and resample, the Jaccard overlap with the circuit of resampled applications; ``None`` of too few.
    """

    kind: Literal["judged"] = "judged"
    scored: int
    same: bool
    edges: int
    sizes: tuple[int, ...]
    live: tuple[int, ...]
    completeness: float
    scored_gap: float
    top: tuple[Edge, ...]
    overlap: tuple[tuple[float, ...], ...] | None


class NotJudged(PairsResult[LookedAt]):
    """A contrast without a circuit: for a ``reason``, or since no pair aligns."""

    kind: Literal["not judged"] = "not judged"


Result = Annotated[Judged | NotJudged, Field(discriminator="kind")]
