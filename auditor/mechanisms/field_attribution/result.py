"""What a chunk is given and gives. Needs no torch."""

from __future__ import annotations

from auditor.language_models.noise_floor import NoiseFloor
from auditor.mechanisms._shared.attribution_rows import Attributed, Reference
from auditor.mechanisms._shared.players import Player
from auditor.testing.attributions import Attribution
from auditor.testing.rows import Row


class Asked(Row):
    """An application to explain; ``shapley``: by Shapley values too."""

    id: str
    words: dict[str, str]
    shapley: bool


class Payload(Row):
    """Applications to explain against one reference; ``left_out`` more were too many for the test's tokens."""

    reference: Reference
    players: tuple[Player, ...]
    left_out: int
    cases: tuple[Asked, ...]


class Game(Row):
    """The game of one application, in nats.

    Attributes
    ----------
    values, standard_errors
        By player; no errors of an enumeration.
    empty, full
        Margin with all players at the reference, and with all as filed.
    spread
        The range of all margins of the game.
    coalitions, pairs
        Coalitions that were asked; antithetic pairs of orders that were drawn, 0 of an enumeration.
    """

    values: dict[str, float]
    standard_errors: dict[str, float] | None
    empty: float
    full: float
    spread: float
    coalitions: int
    pairs: int


class Reasons(Row):
    """What lowered an adverse decision most: players, a sentence each, and the margin with them at the reference."""

    players: tuple[str, ...]
    sentences: tuple[str, ...]
    margin_without: float


class Explained(Attributed):
    """An application explained; ``reasons`` by method, of an adverse decision."""

    game: Game | None
    reasons: dict[str, Reasons]


class Result(Row):
    """The applications of one chunk; ``noise``: what rounding does to the margin at the reference."""

    reference: Reference
    players: tuple[Player, ...]
    left_out: int
    noise: NoiseFloor
    cases: tuple[Explained, ...]
    attributions: tuple[Attribution, ...]
