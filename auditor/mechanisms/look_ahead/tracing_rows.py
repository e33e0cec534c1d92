"""Who writes a decision and what it attends to, as rows of a result keep it. Needs no torch."""

from __future__ import annotations

from auditor.mechanisms._shared.float_rows import Numbers
from auditor.records import Check
from auditor.testing.rows import Row


class CutWindow(Row):
    """Margins in nats with the last token cut off from each field and from all, in layers ``first`` to before ``stop``.

    In the order of :attr:`CutOff.fields`, and last from all of them.
    """

    first: int
    stop: int
    margins: Numbers


class CutOff(Row):
    """The last token cut off from each field and from all: in all layers, and in windows of layers.

    ``whole`` holds margins in nats as :class:`CutWindow` does; nothing is cut where nothing stands before the token.
    """

    fields: tuple[str, ...]
    whole: Numbers
    windows: tuple[CutWindow, ...]


class Trace(Row):
    """One application, traced.

    Attributes
    ----------
    id
        The application.
    margin
        Of its decision, in nats.
    embedding, constant
        Contributions to it that no layer makes.
    attention, mlps
        Contributions by layer.
    direction
        Length of the direction in the stream that the margin is linear in.
    probability
        By what is decoded, the decided answer's probability by layer.
    reciprocal
        By what is decoded, 1 / its rank by layer.
    without_all
        Margin with every field knocked out.
    twin
        Whether another application aligns with it, so that the knockout could be checked.
    to_last
        What cutting off the last token does.
    to_later
        Margins with all later text cut off from each field; ``None`` where that was not asked.
    checks
        Self-checks.
    """

    id: str
    margin: float
    embedding: float
    attention: Numbers
    mlps: Numbers
    constant: float
    direction: float
    probability: dict[str, Numbers]
    reciprocal: dict[str, Numbers]
    without_all: float
    twin: bool
    to_last: CutOff
    to_later: Numbers | None
    checks: tuple[Check, ...]
