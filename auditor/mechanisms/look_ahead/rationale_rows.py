"""Written reasons of two applications, as rows of a result keep them. Needs no torch."""

from __future__ import annotations

from typing import Literal

from auditor.records import Check
from auditor.testing.rows import Row

Side = Literal["favourable", "adverse"]
FAVOURABLE: Side = "favourable"
ADVERSE: Side = "adverse"
SIDES: tuple[Side, Side] = (FAVOURABLE, ADVERSE)

Two = tuple[float, float]


class Texts(Row):
    """What is written for one application: before the decision, and after either decision was forced."""

    free: str
    favourable: str
    adverse: str


class Likelihood(Row):
    """Mean log-likelihood a token of a rationale, in nats.

    Attributes
    ----------
    application
        Which of the two it was written for.
    decision
        Which was forced.
    own, turned, moved
        As it was written, under the other decision, and under the other application.
    """

    application: int
    decision: Side
    own: float
    turned: float
    moved: float


class Exchanged(Row):
    """Two applications whose rationales change places.

    Attributes
    ----------
    ids
        The applications.
    plain
        Their margins, in nats.
    swapped
        Margins with a rationale before the decision: [application, whose rationale].
    written
        The rationales.
    states_answer
        Whether the one before the decision names an answer.
    likelihoods
        Of the rationales after a decision whose tokens could be told apart.
    checks
        Self-checks.
    """

    ids: tuple[str, str]
    plain: Two
    swapped: tuple[Two, Two]
    written: tuple[Texts, Texts]
    states_answer: tuple[bool, bool]
    likelihoods: tuple[Likelihood, ...]
    checks: tuple[Check, ...]
