"""What the chunk of superposition is given and gives. Needs no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from auditor.mechanisms._shared.contrast_rows import FeaturesPayload
from auditor.mechanisms._shared.feature_responses import Overlap
from auditor.mechanisms.sae.rows import NoDictionary
from auditor.mechanisms.superposition.null import Chance
from auditor.testing.rows import Row


class Payload(Row):
    """The contrasts that are read, and the credit fields among what is changed."""

    reading: FeaturesPayload
    credit_fields: tuple[str, ...]


class Angles(Row):
    """Angles between the directions of the dictionary that act at all.

    Attributes
    ----------
    latents, features, width
        Latents of the dictionary, those that act, and dimensions of the residual stream.
    coherence, coherence_again, rounding
        The largest |cos|, from the products of all directions and from its two alone, and how far rounding may set
        both apart.
    rms, welch
        Root mean square of all cosines, and the least that so many directions can have.
    dimensions, dimensions_each
        Dimensions that features have to themselves, in all and on average.
    effective
        Features in use, by their energy.
    """

    latents: int
    features: int
    width: int
    coherence: float
    coherence_again: float
    rounding: float
    rms: float
    welch: float
    dimensions: float
    dimensions_each: float
    effective: float


class Beside(Row):
    """An attribute beside a credit field.

    Attributes
    ----------
    field
        The credit field; empty for all of them together.
    features
        Latents that carry it.
    shared
        How many of the attribute's own carry it as well.
    overlap
        Of both kinds, where they act.
    chance
        The same against features like the attribute's own; ``None`` where none acts beside the others.
    """

    field: str
    features: tuple[int, ...]
    shared: int
    overlap: Overlap
    chance: Chance | None


class Carried(Row):
    """An attribute: the latents that carry it, and it beside all credit fields and beside each."""

    attribute: str
    features: tuple[int, ...]
    together: Beside
    fields: tuple[Beside, ...]


class Shared(Row):
    """What was found in a dictionary.

    Attributes
    ----------
    layer, tokens
        The residual stream before which block, and its tokens that were read.
    participation, participation_again
        Dimensions the states use, by two ways.
    angles
        Of the dictionary.
    attributes
        One for each of the plan.
    unexplained
        Fraction of variance that the dictionary leaves unexplained.
    orthogonal
        The largest overlap of directions at right angles in place of the dictionary's; ``None`` where none was found.
    """

    part: Literal["shared"] = "shared"
    layer: int
    tokens: int
    participation: float
    participation_again: float
    angles: Angles
    attributes: tuple[Carried, ...]
    unexplained: float
    orthogonal: float | None


Result = Annotated[Shared | NoDictionary, Field(discriminator="part")]
