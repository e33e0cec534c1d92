"""What chunks of sparse features are given and give. Needs no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from auditor.language_models.noise_floor import NoiseFloor
from auditor.mechanisms._shared.concept_rows import Concept
from auditor.mechanisms.sae.rows import DictionaryPayload, NoDictionary, Provenance
from auditor.mechanisms.sae.settings import Kind
from auditor.mechanisms.sae.slopes import Slope
from auditor.mechanisms.sae.spliced import Spliced
from auditor.testing.rows import Row

Table = tuple[tuple[float, ...], ...]


class QualityPayload(Row):
    """The dictionary alone."""

    part: Literal["quality"] = "quality"
    dictionary: DictionaryPayload


class ContrastsPayload(Row):
    """The dictionary, and one attribute with the applications it is looked at in."""

    part: Literal["contrasts"] = "contrasts"
    dictionary: DictionaryPayload
    concept: Concept


Payload = Annotated[QualityPayload | ContrastsPayload, Field(discriminator="part")]


class DictionaryFound(Row):
    """How good the dictionary is on held-out applications.

    Attributes
    ----------
    layer, kind, latents
        The residual stream before which block, how latents are selected, and how many there are.
    provenance
        Where it comes from.
    shortfall
        Why nothing is said of its features; ``None`` where something may be.
    fvu, fvu_again, fvu_rounding
        Fraction of variance unexplained, the same by another way, and how far rounding may set both apart.
    l0, dead
        Mean number of active latents a token, and latents active on none.
    tokens
        Behind these.
    spliced
        What the model does with its states replaced.
    """

    part: Literal["quality"] = "quality"
    layer: int
    kind: Kind
    latents: int
    provenance: Provenance
    shortfall: str | None
    fvu: float
    fvu_again: float
    fvu_rounding: float
    l0: float
    dead: int
    tokens: int
    spliced: Spliced


class Changed(Row):
    """What one change of the states did.

    Attributes
    ----------
    margins
        By application, the reference's and the group's; of drawn features that were put in, the reference's alone.
    mass
        Mean probability on the answers.
    movement
        Mean length of the change.
    """

    margins: Table
    mass: float
    movement: float


class Ablated(Row):
    """The difference taken out, by what: chosen features, each kind of direction, and features at random."""

    features: Changed
    coordinates: Changed
    components: Changed
    means: Changed
    random: tuple[Changed, ...]


class Steered(Row):
    """The other group's values put in: of the chosen features, of the mean state, and as far along random features."""

    features: Changed
    means: Changed
    random: tuple[Changed, ...]


class FeatureFound(Row):
    """One chosen feature.

    Attributes
    ----------
    feature
        Its latent.
    change
        Of its activation, summed over positions, by application: the group's minus the reference's.
    acting, acting_reference
        Share of applications in which it acts, in the group's prompts and the reference's.
    ablated
        With it alone taken out.
    """

    feature: int
    change: tuple[float, ...]
    acting: float
    acting_reference: float
    ablated: Changed


class ContrastFound(Row):
    """One group against the reference.

    Attributes
    ----------
    group
        The group.
    slope
        The check of the gradient that features are chosen by; ``None`` where none could tell.
    tested, differing
        Features that act, and those whose activity differs between the groups.
    different
        Different sets among those drawn at random.
    features
        The chosen ones, the one with most of the margin's difference first.
    ablated, steered
        What taking out and putting in does.
    """

    group: str
    slope: Slope | None
    tested: int
    differing: int
    different: int
    features: tuple[FeatureFound, ...]
    ablated: Ablated
    steered: Steered


class Contrasts(Row):
    """One attribute.

    Attributes
    ----------
    field, groups, reference
        The attribute.
    cases
        Applications that features were measured on.
    chosen_on
        How many they were chosen on.
    layer
        The residual stream before which block.
    exact, note
        Whether the margin is the one decided by, and what a reader should know where it is not.
    noise
        What rounding does to it.
    clean
        Margins by application and group with nothing changed.
    mass
        Mean probability on the answers with nothing changed.
    contrasts
        One a group.
    """

    part: Literal["contrasts"] = "contrasts"
    field: str
    groups: tuple[str, ...]
    reference: str
    cases: tuple[str, ...]
    chosen_on: int
    layer: int
    exact: bool
    note: str
    noise: NoiseFloor
    clean: Table
    mass: float
    contrasts: tuple[ContrastFound, ...]


class NotContrasted(Row):
    """An attribute of which nothing can be said, and why."""

    part: Literal["not contrasted"] = "not contrasted"
    field: str
    groups: tuple[str, ...]
    reference: str
    reason: str


Result = Annotated[DictionaryFound | NoDictionary | Contrasts | NotContrasted, Field(discriminator="part")]
