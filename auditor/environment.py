"""Where and how a run was computed: what a repeat need not reproduce, and so no part of any hash of the run."""

from __future__ import annotations

from pydantic import Field

from auditor.hashed import Hashed
from auditor.packing import Packing


class Scoring(Hashed):
    """How the prompts of a run were scored, and how many seconds of work that was on all workers together."""

    packing: Packing = Packing()
    seconds: float = 0.0


class Sent(Hashed):
    """What was sent in a run, by all its processes: to a system that is audited, or to one that describes features.

    Attributes
    ----------
    requests, answers
        How many went out, and how many answers are kept.
    unended
        Sent, and nobody noted how it ended: answers may exist that nobody kept.
    failures
        Requests that got no answer, by what was noted.
    money
        What was set aside or spent, in millionths of the currency.
    prompt_tokens, answer_tokens
        As the server counted them; 0 where it does not.
    addresses
        Those that gave an answer.
    """

    requests: int = 0
    answers: int = 0
    unended: int = 0
    failures: dict[str, int] = Field(default_factory=dict)
    money: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    addresses: tuple[str, ...] = ()


class Environment(Hashed):
    """``environment.json``: interpreter, machine, libraries, and how long it took.

    ``timings`` are seconds by step; ``scoring`` is ``None`` in runs from before it was kept, ``sent`` in those that ask
    nobody.
    """

    python: str = ""
    platform: str = ""
    machine: str = ""
    cpus: int | None = None
    device: str = ""
    libraries: dict[str, str] = Field(default_factory=dict)
    timings: dict[str, float] = Field(default_factory=dict)
    scoring: Scoring | None = None
    sent: Sent | None = None
