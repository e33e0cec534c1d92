"""How the prompts of a run were scored, as its chunks, its environment and its controls keep it."""

from __future__ import annotations

from auditor.hashed import Hashed


class Packing(Hashed):
    """How prompts were scored: whether together, how far that moves a margin at most (nats), and why not, if not.

    All of it is absent from a run in which no answer was scored.
    """

    packable: bool | None = None
    largest_difference: float | None = None
    reason: str = ""
