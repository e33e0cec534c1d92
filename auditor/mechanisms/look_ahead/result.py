"""What a chunk of the look-ahead test is given and gives, a type a part. Needs no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from auditor.language_models.noise_floor import NoiseFloor
from auditor.mechanisms.look_ahead.exchange_rows import PairExchanged
from auditor.mechanisms.look_ahead.rationale_rows import Exchanged
from auditor.mechanisms.look_ahead.reading_rows import Readings
from auditor.mechanisms.look_ahead.tracing_rows import Trace
from auditor.testing.rows import Row


class Asked(Row):
    """One application: its id, and the words of every field."""

    id: str
    words: dict[str, str]


class TracedCase(Asked):
    """One application to trace, the words of an ``other``, and whether all later text is cut off from its fields."""

    other: dict[str, str]
    deep: bool


class ExchangeCase(Asked):
    """One application, and the others that may be exchanged with it."""

    others: tuple[Asked, ...]


class RationaleCase(Row):
    """Two applications whose rationales change places."""

    sides: tuple[Asked, Asked]


class ReadingPayload(Row):
    """Applications to read; ``control`` names the field with the irrelevant fact, or ``control_reason`` says why not.

    ``left_out`` counts, here and in the other parts, the applications or pairs that cost too much.
    """

    part: Literal["reading"] = "reading"
    left_out: int
    control: str
    control_reason: str
    cases: tuple[Asked, ...]


class TracingPayload(Row):
    """Applications to trace."""

    part: Literal["tracing"] = "tracing"
    left_out: int
    cases: tuple[TracedCase, ...]


class ExchangePayload(Row):
    """Applications to exchange states of."""

    part: Literal["exchange"] = "exchange"
    left_out: int
    cases: tuple[ExchangeCase, ...]


class RationalePayload(Row):
    """Pairs of applications to write rationales for."""

    part: Literal["rationale"] = "rationale"
    left_out: int
    cases: tuple[RationaleCase, ...]


Payload = Annotated[ReadingPayload | TracingPayload | ExchangePayload | RationalePayload, Field(discriminator="part")]


class PartResult(Row):
    """What the result of every part says.

    Attributes
    ----------
    left_out
        Applications or pairs that cost too much.
    noise
        What rounding does to the margin of whole answers.
    reason
        Why the part cannot be done on this model; ``None`` where it can.
    note
        How the answers were read, where that needs saying.
    """

    left_out: int
    noise: NoiseFloor
    reason: str | None = None
    note: str = ""


class ReadingResult(PartResult):
    """What could be read, of which applications."""

    part: Literal["reading"] = "reading"
    cases: tuple[str, ...]
    found: Readings | None


class TracingResult(PartResult):
    """Applications traced; ``exact`` as in :class:`.decoder.Target`."""

    part: Literal["tracing"] = "tracing"
    exact: bool = True
    cases: tuple[Trace, ...] = ()


class ExchangeResult(PartResult):
    """Applications with states exchanged; ``layers`` are those of their parts of the prompt."""

    part: Literal["exchange"] = "exchange"
    layers: tuple[int, ...] = ()
    pairs: tuple[PairExchanged, ...] = ()


class RationaleResult(PartResult):
    """Pairs of applications with rationales exchanged."""

    part: Literal["rationale"] = "rationale"
    pairs: tuple[Exchanged, ...] = ()


Result = Annotated[ReadingResult | TracingResult | ExchangeResult | RationaleResult, Field(discriminator="part")]
