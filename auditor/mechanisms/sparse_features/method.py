"""Sparse features: which features of the states differ between groups, and do decisions move when they are taken away?

A sparse autoencoder writes every state at one layer as a sum of few features and an error. Features are chosen on one
half of the applications, by what they carry of the margin's difference; everything that is reported of them is measured
on the other half.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from threadpoolctl import threadpool_limits

from auditor.exceptions import ScoringError
from auditor.language_models.noise import noise_floor
from auditor.language_models.not_applicable import NotApplicable
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.concept_rows import Concept
from auditor.mechanisms._shared.concepts import concept_of, draw_clusters, place, suffix_tokens
from auditor.mechanisms.sae.choices import (
    choose,
)
from auditor.mechanisms.sae.dictionary import Dictionary, dictionary_for
from auditor.mechanisms.sae.planned import dictionary_payload, dictionary_tokens
from auditor.mechanisms.sae.rows import DictionaryPayload, NoDictionary
from auditor.mechanisms.sae.splices import splice
from auditor.mechanisms.sparse_features.card import CARD, Settings
from auditor.mechanisms.sparse_features.measure import measures
from auditor.mechanisms.sparse_features.result import (
    ContrastFound,
    Contrasts,
    ContrastsPayload,
    DictionaryFound,
    FeatureFound,
    NotContrasted,
    QualityPayload,
)
from auditor.mechanisms.sparse_features.runs import Halves
from auditor.plan import Plan
from auditor.statistics.minimums import draws_needed
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement


def draws_of(settings: Settings, plan: Plan) -> int:
    """Draws that are made: the settings', or as many as the level of the plan needs for all declared contrasts."""
    wanted = [item for item in plan.attributes if not settings.attributes or item.field in settings.attributes]
    contrasts = sum(len(item.groups) - 1 for item in wanted)
    return settings.random_draws or draws_needed(alpha=plan.thresholds.alpha, family_size=max(1, contrasts))


def plan_chunks(asked: PlanContext) -> Iterable[ChunkSpec]:
    """One chunk for the quality of the dictionary, then one an attribute."""
    settings: Settings = asked.settings
    wanted = dictionary_payload(asked)
    cost = dictionary_tokens(wanted, asked)
    whole = asked.count_tokens(asked.clusters[0].cases[0].prompt)
    yield ChunkSpec(
        prompts=len(wanted.applications),
        tokens=cost + 4 * settings.spliced * whole,
        payload=QualityPayload(dictionary=wanted),
    )
    for attribute in asked.plan.attributes:
        if settings.attributes and attribute.field not in settings.attributes:
            continue
        clusters = draw_clusters(asked, attribute, applications=settings.applications, test=CARD.name)
        runs = (len(attribute.groups) - 1) * (2 * (settings.features + 6) + 3 * draws_of(settings, asked.plan))
        tokens = 0
        for cluster in clusters:
            prefix, suffix = suffix_tokens(asked, cluster, attribute.field)
            tokens += prefix + (runs // 4 + len(attribute.groups)) * suffix
        payload = ContrastsPayload(dictionary=wanted, concept=concept_of(asked, attribute, clusters))
        yield ChunkSpec(prompts=len(clusters) * (len(attribute.groups) + runs // 2), tokens=tokens, payload=payload)


def compute(
    context: ComputeContext, payload: QualityPayload | ContrastsPayload
) -> DictionaryFound | NoDictionary | Contrasts | NotContrasted:
    """Measure the dictionary, or the features of one attribute."""
    with threadpool_limits(context.plan.budget.threads):
        dictionary = dictionary_for(context, payload.dictionary)
        if isinstance(payload, QualityPayload):
            return _quality(context, payload.dictionary, dictionary)
        if isinstance(dictionary, Dictionary) and dictionary.shortfall:
            dictionary = NotApplicable(dictionary.shortfall)
        return _contrasts(context, payload.concept, dictionary)


def measure(
    context: Context, results: Sequence[DictionaryFound | NoDictionary | Contrasts | NotContrasted]
) -> Iterable[UnadjustedMeasurement]:
    """The dictionary's quality, features that differ, and what taking them out or putting them in does."""
    return measures(context, results, test=CARD.name)


def _quality(
    context: ComputeContext, wanted: DictionaryPayload, dictionary: Dictionary | NotApplicable
) -> DictionaryFound | NoDictionary:
    if isinstance(dictionary, NotApplicable):
        return NoDictionary(reason=dictionary.reason)
    quality = dictionary.quality
    return DictionaryFound(
        layer=dictionary.layer,
        kind=dictionary.autoencoder.kind,
        latents=dictionary.autoencoder.latents,
        provenance=dictionary.provenance,
        shortfall=dictionary.shortfall,
        fvu=quality.fvu,
        fvu_again=dictionary.unexplained_again,
        fvu_rounding=dictionary.rounding,
        l0=quality.l0,
        dead=quality.dead,
        tokens=quality.tokens,
        spliced=splice(context, wanted, dictionary, applications=context.settings.spliced),
    )


def _contrasts(
    context: ComputeContext, concept: Concept, dictionary: Dictionary | NotApplicable
) -> Contrasts | NotContrasted:
    def nothing(reason: str) -> NotContrasted:
        return NotContrasted(field=concept.field, groups=concept.groups, reference=concept.reference, reason=reason)

    if isinstance(dictionary, NotApplicable):
        return nothing(dictionary.reason)
    variants = concept.variants()
    if len(concept.cases) < 2:
        return nothing("no applications are left to measure on")
    target = context.target(context.render(variants[0]).text)
    if isinstance(target, NotApplicable):
        return nothing(target.reason)
    placed = place(context, variants, concept.field)
    step = len(concept.groups)
    sets = [placed[first : first + step] for first in range(0, len(placed), step)]
    depth = max(each.last - each.first + 1 for each in placed)
    noise = noise_floor(context.loaded.model, target)
    halves = Halves(context, dictionary, context.decoder(), target, depth)
    reference = concept.groups.index(concept.reference)
    with torch.no_grad():
        try:
            seen, slopes = halves.look(sets[::2], reference, noise)
        except ScoringError as error:
            return nothing(str(error))
        chosen = [
            choose(
                seen,
                dictionary,
                pair=(number, reference),
                count=context.settings.features,
                draws=draws_of(context.settings, context.plan),
                seed=context.plan.cases.seed,
            )
            for number in range(step)
            if number != reference
        ]
        found = halves.measure(sets[1::2], chosen)
    return Contrasts(
        field=concept.field,
        groups=concept.groups,
        reference=concept.reference,
        cases=concept.ids[1::2],
        chosen_on=len(sets[::2]),
        layer=dictionary.layer,
        exact=target.exact,
        note=target.note,
        noise=noise,
        clean=found.clean,
        mass=found.mass,
        contrasts=tuple(
            ContrastFound(
                group=concept.groups[each.pair[0]],
                slope=slopes.get(each.pair[0]),
                tested=differ.tested,
                differing=differ.differing,
                different=len({frozenset(drawn) for drawn in each.random}),
                features=tuple(
                    FeatureFound(
                        feature=one.feature,
                        change=one.change,
                        acting=one.acting,
                        acting_reference=one.acting_reference,
                        ablated=taken.changed(f"feature {one.feature}"),
                    )
                    for one in differ.chosen
                ),
                ablated=taken.ablated(),
                steered=taken.steered(),
            )
            for each, taken, differ in zip(chosen, found.taken, found.differences, strict=True)
        ),
    )
