"""What a test says of itself, and of every number it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Metric:
    """One kind of number that a test gives, as pages and reports call it.

    Attributes
    ----------
    name
        As a measurement has it.
    label
        In words, for people.
    unit
        What it is counted in: ``rate``, ``rate_difference``, ``sd``, ``ratio``, ``logit``, ``share``, ``count``,
        ``people``, ``cosine``, ``activation``.
    higher_is_better
        Which way is good for the group; ``None`` where neither is.
    signed
        Whether it prints with its sign; a spread or a size has no direction.
    least_n
        A share of fewer decisions than this is not printed: it would read like a fact about the model.
    """

    name: str
    label: str
    unit: str = ""
    higher_is_better: bool | None = None
    signed: bool = True
    least_n: int = 0


@dataclass(frozen=True)
class Card:
    """What a test is: shown with its results, so that a reader knows what they can and cannot say.

    What it needs beside answers: ``needs_internals`` the model's weights, ``needs_decision_file`` decisions already
    taken. ``question`` says what a test on internals answers, and so where reports show it: ``fields`` (what drove a
    decision), ``encoded``, ``used``, ``usable``, ``where``, or ``parts`` (what the model's parts stand for). ``label``
    is its name in words, ``metrics`` every number it may give, ``subjects`` what stands before the value of each key of
    a subject that is its own (``dose``; empty where the value says enough): pages and reports read their words here, so
    that the test of a stranger looks like ours.
    """

    name: str
    purpose: str
    method: str
    worrying: str
    limitations: str
    references: tuple[str, ...] = ()
    needs_internals: bool = False
    needs_decision_file: bool = False
    question: str = ""
    label: str = ""
    metrics: tuple[Metric, ...] = ()
    subjects: Mapping[str, str] = field(default_factory=dict, hash=False)
