"""What a chunk is given and gives: one application against its reference, or a contrast. Needs no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from auditor.language_models.noise_floor import NoiseFloor
from auditor.mechanisms._shared.attribution_rows import Attributed, Reference
from auditor.mechanisms._shared.pair_rows import LookedAt, PairsPayload, PairsResult
from auditor.mechanisms._shared.players import Player
from auditor.testing.attributions import Attribution
from auditor.testing.rows import Row


class Application(Row):
    """An application to explain; ``candidates``: words that each field may move to, the nearest to typical first."""

    kind: Literal["application"] = "application"
    id: str
    words: dict[str, str]
    candidates: dict[str, tuple[str, ...]]
    players: tuple[Player, ...]
    reference: Reference


class Groups(PairsPayload):
    """Applications to compare with themselves in another group."""

    kind: Literal["groups"] = "groups"


Payload = Annotated[Application | Groups, Field(discriminator="kind")]


class OfApplication(Row):
    """What is known of every application that was asked about."""

    id: str
    players: tuple[Player, ...]
    reference: Reference
    noise: NoiseFloor


class NotExplained(OfApplication):
    """An application without a number, and why."""

    kind: Literal["not explained"] = "not explained"
    reason: str


class Explained(OfApplication, Attributed):
    """An application whose attributions are complete.

    Attributes
    ----------
    gap
        Its margin minus that of its reference, in nats, at the ends of the path.
    own_gap
        The same by the model's own forward pass.
    sum
        Of the attributions, in nats.
    steps
        Points on the path, less one.
    moved
        Words of the reference, by field that was compared.
    note
        How the answers were read, where that needs saying.
    """

    kind: Literal["explained"] = "explained"
    gap: float
    own_gap: float
    sum: float
    steps: int
    moved: dict[str, str]
    note: str
    attributions: tuple[Attribution, ...]


class Summed(LookedAt):
    """A pair whose attributions are complete: their sum, that of the first order alone, both in nats, and the steps."""

    sum: float
    first_order: float
    steps: int


class Contrasted(PairsResult[Summed]):
    """The pairs of a contrast that are complete."""

    kind: Literal["contrasted"] = "contrasted"
    attributions: tuple[Attribution, ...] = ()


Result = Annotated[Explained | NotExplained | Contrasted, Field(discriminator="kind")]
