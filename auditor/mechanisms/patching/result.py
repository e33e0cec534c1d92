"""What a chunk is given and gives. Needs no torch."""

from __future__ import annotations

from auditor.mechanisms._shared.pair_rows import PairsPayload, PairsResult, Patched
from auditor.testing.rows import Row

Payload = PairsPayload


class Effects(Row):
    """What patching moves the margin by, in nats.

    Attributes
    ----------
    stream
        Of the stream before every layer and after the last, by part of the prompt.
    mlps
        Of what each layer's MLP adds.
    """

    stream: dict[str, tuple[float, ...]]
    mlps: tuple[float, ...]


class Result(PairsResult[Patched[Effects]]):
    """Every pair of a contrast, patched."""
