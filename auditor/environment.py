"""Where and how a run was computed: what a repeat need not reproduce, and so no part of any hash of the run."""

from __future__ import annotations

from pydantic import Field

from auditor.hashed import Hashed
from auditor.packing import Packing


class Scoring(Hashed):
    """How the prompts of a run were scored, and how many seconds of work that was on all workers together."""

    packing: Packing = Packing()
    seconds: float = 0.0


class Environment(Hashed):
    """``environment.json``: interpreter, machine, libraries, and how long it took.

    ``timings`` are seconds by step; ``scoring`` is ``None`` in runs from before it was kept.
    """

    python: str = ""
    platform: str = ""
    machine: str = ""
    cpus: int | None = None
    device: str = ""
    libraries: dict[str, str] = Field(default_factory=dict)
    timings: dict[str, float] = Field(default_factory=dict)
    scoring: Scoring | None = None
