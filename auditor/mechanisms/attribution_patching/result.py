"""What a chunk is given and gives. Needs no torch."""

from __future__ import annotations

from auditor.mechanisms._shared.nodes import Node
from auditor.mechanisms._shared.pair_rows import PairsPayload, PairsResult, Patched
from auditor.testing.rows import Row

Payload = PairsPayload


class Effects(Row):
    """What patching moves the margin by, in nats, by node in the order of :attr:`Result.nodes`."""

    exact: tuple[float, ...]


class Verified(Patched[Effects]):
    """A pair of the half that was patched; ``estimate``: to first order, by node, in nats.

    By other corruptions only the nodes screened in are patched.
    """

    estimate: tuple[float, ...]


class Result(PairsResult[Verified]):
    """The pairs of one half, with the nodes that the other half put first.

    Attributes
    ----------
    aligned
        Pairs of both halves.
    nodes
        Those that were patched: the ones screened in, the largest first, then those drawn at random from the others.
    top
        How many of them were screened in.
    screened
        Nodes of the model.
    """

    aligned: int = 0
    nodes: tuple[Node, ...] = ()
    top: int = 0
    screened: int = 0
