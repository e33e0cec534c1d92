"""Two applications with states exchanged, as rows of a result keep them. Needs no torch."""

from __future__ import annotations

from auditor.mechanisms._shared.pair_rows import Patched
from auditor.testing.rows import Row


class LastToken(Row):
    """What the last token's state moves the margin by, before every layer and after the last, in nats."""

    last: tuple[float, ...]


class AtLast(Patched[LastToken]):
    """The last token's state of the ``other`` application put into the first one's prompt."""

    base: float
    other: str


class Regions(Row):
    """What the states of a part of the prompt move the margin by, by part and layer, in nats."""

    regions: dict[str, tuple[float, ...]]


class Aligned(Patched[Regions]):
    """Two prompts that align token by token, the second with the ``other``'s words in so many ``changed`` fields.

    ``order`` names the parts in the order of the prompt, which a ledger's sorted keys do not keep.
    """

    other: str
    changed: int
    order: tuple[str, ...]


class PairExchanged(Row):
    """One application in which states of others were put in: of the last token, and where two prompts align.

    ``aligned`` is ``None`` where no counterpart's tokens keep their places.
    """

    id: str
    whole: AtLast
    aligned: Aligned | None
