"""What a test says of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """What a test is: shown with its results, so that a reader knows what they can and cannot say.

    ``question`` says what a test on internals answers, and so where reports show it: ``fields`` (what drove a
    decision), ``encoded``, ``used``, ``usable``, ``where``, or ``parts`` (what the model's parts stand for).
    """

    name: str
    purpose: str
    method: str
    worrying: str
    limitations: str
    references: tuple[str, ...] = ()
    needs_internals: bool = False
    question: str = ""
