"""What a chunk is given and gives. Needs no torch."""

from __future__ import annotations

from auditor.mechanisms._shared.pair_rows import LookedAt, PairsPayload, PairsResult

Payload = PairsPayload


class Parted(LookedAt):
    """A pair whose difference is parted among the components, in nats.

    Attributes
    ----------
    attention
        By layer and head; one value a layer where heads do not add up.
    mlps
        By layer.
    lens
        The difference read from the stream before every layer and after the last.
    direction
        Length of the direction in the stream that the margin is linear in, of both prompts.
    """

    attention: tuple[tuple[float, ...], ...]
    mlps: tuple[float, ...]
    lens: tuple[float, ...]
    direction: tuple[float, float]


class Result(PairsResult[Parted]):
    """Every pair of a contrast; ``top``: components to report."""

    top: int
