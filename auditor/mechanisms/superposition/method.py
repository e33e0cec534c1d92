"""Superposition: do the directions that carry a protected attribute share space with those that carry credit fields?

One dictionary of the run (sae/dictionary.py). Which features carry what is found by intervention: a field is changed
alone, and the features that move at the closing words of the prompt, which are the same in every prompt, carry it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from threadpoolctl import threadpool_limits

from auditor.exceptions import PlanError
from auditor.language_models.not_applicable import NotApplicable
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.corpus import Corpus, Read
from auditor.mechanisms._shared.feature_contrasts import (
    States,
    activations_of,
    features_payload,
    features_work,
    read_states,
)
from auditor.mechanisms._shared.feature_responses import Tails, overlap, responding, tails
from auditor.mechanisms.sae.dictionary import Dictionary, speaking_dictionary
from auditor.mechanisms.sae.geometry import (
    effective_count,
    geometry,
    participation_by_values,
    participation_ratio,
    unit_rows,
)
from auditor.mechanisms.sae.rows import NoDictionary
from auditor.mechanisms.superposition.card import CARD, Settings
from auditor.mechanisms.superposition.measure import measures
from auditor.mechanisms.superposition.null import Chance, chance
from auditor.mechanisms.superposition.result import Angles, Beside, Carried, Payload, Shared
from auditor.statistics.results import BoolArray, FloatArray
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement


def plan_chunks(asked: PlanContext) -> Iterable[ChunkSpec]:
    """One chunk.

    Raises
    ------
    PlanError
        If a field of the settings is no field of the prompt, or is protected.
    """
    settings: Settings = asked.settings
    fields = settings.fields or tuple(name for name in asked.fields if asked.roles.get(name) == "predictor")
    protected = [attribute.field for attribute in asked.plan.attributes]
    for name in settings.fields:
        if name not in asked.fields or name in protected:
            expected = ", ".join(other for other in asked.fields if other not in protected)
            raise PlanError(f"settings.{CARD.name}.fields", f"{name!r} is not a credit field of the prompt", expected)
    reading = features_payload(asked, applications=settings.applications, fields=fields)
    yield features_work(asked, reading, Payload(reading=reading, credit_fields=tuple(dict.fromkeys(fields))))


def compute(context: ComputeContext, payload: Payload) -> Shared | NoDictionary:
    """Read the applications, find what carries what, and measure the overlap."""
    dictionary = speaking_dictionary(context, payload.reading.dictionary)
    if isinstance(dictionary, NotApplicable):
        return NoDictionary(reason=dictionary.reason)
    with threadpool_limits(context.plan.budget.threads):
        corpus, states = read_states(
            context, payload.reading.contrasts, decoder=context.decoder(), layer=dictionary.layer
        )
        alpha = context.plan.thresholds.alpha
        return measured(dictionary, corpus, states, payload, most=context.settings.features, level=1 - alpha)


def measured(
    dictionary: Dictionary, corpus: Corpus, states: States, payload: Payload, *, most: int, level: float
) -> Shared:
    """What ``compute`` returns, for a dictionary and states at hand.

    Parameters
    ----------
    dictionary
        The features.
    corpus, states
        The tokens of the payload's prompts, and the state of each.
    payload
        Names attributes, credit fields and the placebo.
    most
        Most features a field is carried by.
    level
        Of the range that matched features show.
    """
    activations = activations_of(dictionary, states)
    rows = dictionary.autoencoder.decoder.detach().cpu().float().numpy()
    norms = np.linalg.norm(rows, axis=1).astype(np.float64)
    found = tails(Read(corpus, activations), norms=norms)
    readable = np.linalg.norm(states, axis=1) <= dictionary.norm_limit
    energy = np.asarray(activations.power(2).mean(axis=0)).ravel() * norms**2
    return Shared(
        layer=dictionary.layer,
        tokens=len(corpus),
        participation=participation_ratio(states[readable]),
        participation_again=participation_by_values(states[readable]),
        angles=_angles(rows, energy),
        attributes=_attributes(found, payload, rows, most=most, level=level),
        unexplained=dictionary.quality.fvu,
        orthogonal=_orthogonal(found, payload, dictionary, most=most),
    )


def measure(context: Context, results: Sequence[Shared | NoDictionary]) -> Iterable[UnadjustedMeasurement]:
    """The dictionary's geometry, and how far attributes and credit fields overlap, against random features."""
    return measures(context, results, test=CARD.name)


def _angles(rows: FloatArray, energy: FloatArray) -> Angles:
    """Between the directions that act at all."""
    found = geometry(rows[energy > 0])
    return Angles(
        latents=len(rows),
        features=found.features,
        width=found.width,
        coherence=found.coherence,
        coherence_again=found.coherence_again,
        rounding=found.rounding,
        rms=found.rms,
        welch=found.welch,
        dimensions=float(found.dimensions.sum()),
        dimensions_each=float(found.dimensions.mean()) if found.features else 0.0,
        effective=effective_count(energy),
    )


@dataclass(frozen=True)
class Carriers:
    """Which features carry what, found on every other application, and what is needed to compare them on the rest.

    Attributes
    ----------
    carried
        Features of every attribute and changed field, numbered as in ``cosines``.
    cosines
        Between all directions that act at the closing words.
    second
        The applications on which features are compared.
    alike
        What features are matched on, shape (latents, properties).
    """

    carried: Mapping[str, list[int]]
    cosines: FloatArray
    second: Tails
    alike: FloatArray

    @classmethod
    def of(cls, found: Tails, payload: Payload, rows: FloatArray, *, most: int) -> Carriers:
        """Find them; ``rows`` are the dictionary's directions."""
        first, second = found.halves()
        placebo = payload.reading.placebo
        noise = first.response(placebo) if placebo else np.zeros(len(found.latents))
        responses = {name: first.response(name) for name in (*payload.reading.attributes, *payload.credit_fields)}
        carried = {name: responding(response, noise=noise, most=most) for name, response in responses.items()}
        directions = unit_rows(rows[found.latents].astype(np.float64))
        return cls(carried, directions @ directions.T, second, _alike(second, responses))

    @cached_property
    def active(self) -> BoolArray:
        """Which features act on which token, shape (tokens, latents)."""
        # Not -1: where no feature acts at the closing words there is nothing to tell the number of tokens from.
        applications, positions, latents = self.second.values.shape
        return np.asarray(self.second.values.reshape(applications * positions, latents) > 0)

    @cached_property
    def together(self) -> FloatArray:
        """On how many tokens every two act."""
        counts = self.active.astype(np.float64)
        return np.asarray(counts.T @ counts)

    @property
    def everything(self) -> list[int]:
        """Features that carry anything."""
        return sorted({latent for latents in self.carried.values() for latent in latents})

    def of_fields(self, names: Sequence[str]) -> list[int]:
        """Features that carry one of some fields."""
        return sorted({latent for name in names for latent in self.carried[name]})

    def chance(self, attribute: str, latents: Sequence[int], *, level: float, seed: int) -> Chance | None:
        """An attribute's features beside some others, against matched features in their place."""
        return chance(
            together=self.together,
            cosines=self.cosines,
            first=self.carried[attribute],
            second=latents,
            taken=self.everything,
            alike=self.alike,
            level=level,
            seed=seed,
        )


def _attributes(found: Tails, payload: Payload, rows: FloatArray, *, most: int, level: float) -> tuple[Carried, ...]:
    """Overlap of every attribute with all credit fields and with each."""
    carriers = Carriers.of(found, payload, rows, most=most)
    positions = carriers.second.values.shape[1]
    applications = np.repeat(carriers.second.applications, positions).tolist()

    def numbered(latents: Sequence[int]) -> tuple[int, ...]:
        return tuple(int(found.latents[latent]) for latent in latents)

    def beside(attribute: str, field: str, latents: Sequence[int], *, seed: int) -> Beside:
        own = carriers.carried[attribute]
        return Beside(
            field=field,
            features=numbered(latents),
            shared=len(set(own) & set(latents)),
            overlap=overlap(
                carriers.active,
                applications=applications,
                first=own,
                second=latents,
                apart=carriers.everything,
                cosines=carriers.cosines,
                seed=seed,
            ),
            chance=carriers.chance(attribute, latents, level=level, seed=seed),
        )

    fields = payload.credit_fields
    return tuple(
        Carried(
            attribute=attribute,
            features=numbered(carriers.carried[attribute]),
            together=beside(attribute, "", carriers.of_fields(fields), seed=0),
            fields=tuple(
                beside(attribute, name, carriers.carried[name], seed=number)
                for number, name in enumerate(fields, start=1)
            ),
        )
        for attribute in payload.reading.attributes
    )


def _alike(found: Tails, responses: Mapping[str, FloatArray]) -> FloatArray:
    """What features are matched on: how often they act, how strongly, and how much they respond to any change; logs."""
    often = (found.values > 0).sum(axis=(0, 1))
    strength = found.values.sum(axis=(0, 1)) / np.maximum(often, 1)
    response = np.max(list(responses.values()), axis=0)
    floor = 1e-6 * max(float(strength.max(initial=0.0)), 1e-30)
    return np.stack([np.log1p(often), np.log(strength + floor), np.log(response + floor)], axis=1)


def _orthogonal(found: Tails, payload: Payload, dictionary: Dictionary, *, most: int) -> float | None:
    """The same measure with directions at right angles in place of the dictionary's: 0, or the measure is wrong.

    There are only as many such directions as dimensions; the latents that act most get one each.
    """
    width = dictionary.autoencoder.width
    kept = np.argsort(-found.values.mean(axis=(0, 1)), kind="stable")[:width]
    fewer = Tails(np.arange(len(kept)), found.values[:, :, np.sort(kept)], found.applications, found.changed)
    square = np.random.default_rng(0).standard_normal((width, len(kept)))
    rows = np.linalg.qr(square)[0].T
    overlaps = [one.together.overlap for one in _attributes(fewer, payload, rows, most=most, level=0.95)]
    values = [value for one in overlaps for value in (*one.cosine, *one.random, *one.share, *one.random_share)]
    return float(np.max(values)) if values else None
