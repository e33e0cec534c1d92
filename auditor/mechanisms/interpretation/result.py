"""What the chunk of interpretation is given and gives. Needs no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from auditor.mechanisms._shared.contrast_rows import FeaturesPayload
from auditor.mechanisms.interpretation.answers import Answers
from auditor.mechanisms.sae.rows import NoDictionary
from auditor.testing.rows import Row

#: The contrasts that are read, and nothing else.
Payload = FeaturesPayload


class Exchanged(Row):
    """Mean detection and fuzzing with other features' descriptions."""

    detection: float
    fuzzing: float


class FeatureInWords(Row):
    """A feature, its description and how far that holds.

    Attributes
    ----------
    latent
        Its number in the dictionary.
    words, reason
        What it responds to, and why there is none, or why it was not tried; both where there are words for too little.
    active
        Tokens it is active on where it was described.
    example
        A piece of a prompt with the active words marked.
    answers
        What the description got right on other applications.
    recounted
        Of some: how far detection or fuzzing are from a count context by context.
    exchanged
        With other features' descriptions; ``None`` where there was none to exchange with.
    """

    latent: int
    words: str | None
    reason: str | None
    active: int = 0
    example: str = ""
    answers: Answers | None = None
    recounted: float | None = None
    exchanged: Exchanged | None = None


class Told(Row):
    """A feature that a model described, answers asked for of another model, and those that were neither yes nor no."""

    feature: FeatureInWords
    asked: int
    unparseable: int


class ToldByModels(Row):
    """Sentences of a model for the reported features, tried by another one.

    Attributes
    ----------
    describer, scorer
        The models as the plan names them.
    identities
        Which they were: of a model of the store its files and their hashes, of an endpoint its address.
    not_tried
        Reported features that are silent on either half of the applications.
    features
        The others.
    """

    part: Literal["told"] = "told"
    describer: str
    scorer: str
    identities: tuple[JsonValue, JsonValue]
    not_tried: int
    features: tuple[Told, ...]


class NoModels(Row):
    """Why no model described anything."""

    part: Literal["no models"] = "no models"
    describer: str
    scorer: str
    reason: str


class Interpreted(Row):
    """What the features of a dictionary stand for.

    Attributes
    ----------
    layer, latents, tokens
        The residual stream before which block, the size of the dictionary, and the tokens that were read.
    features
        All that act where they are described.
    reported
        Latents that are reported one by one.
    by_models
        The same by models, where the plan asks for it.
    """

    part: Literal["interpreted"] = "interpreted"
    layer: int
    latents: int
    tokens: int
    features: tuple[FeatureInWords, ...]
    reported: tuple[int, ...]
    by_models: Annotated[ToldByModels | NoModels, Field(discriminator="part")] | None = None

    @property
    def by_latent(self) -> dict[int, FeatureInWords]:
        """The features by their number."""
        return {one.latent: one for one in self.features}


Result = Annotated[Interpreted | NoDictionary, Field(discriminator="part")]
