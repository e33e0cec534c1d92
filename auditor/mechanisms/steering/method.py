"""Steering: could the attribute move decisions? Add the difference between two groups to the stream, read the margin.

The direction is the difference of class means at the last token of one layer, taken from half of the applications. It
is put into the same layer or another one (cross-layer re-injection) of the other half, at the last token: added to
prompts that state the reference group, taken from prompts that state the other. A dose of 1 is as long as the groups
are apart at the layer it is put into.

The control is the same with labels permuted within applications (randomisation.py): a difference of class means between
labels that mean nothing, at its own length. Put in at the length of the true difference it would be the true direction
again wherever an attribute is nearly all that tells an application's prompts apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from threadpoolctl import threadpool_limits

from auditor.language_models.noise import noise_floor
from auditor.language_models.not_applicable import NotApplicable
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.concept_rows import Untouched
from auditor.mechanisms._shared.concepts import concept_of, draw_clusters, family_of, place, suffix_tokens
from auditor.mechanisms._shared.controls import Strength
from auditor.mechanisms._shared.float_rows import numbers_of
from auditor.mechanisms.steering.card import CARD, Settings
from auditor.mechanisms.steering.measure import measures
from auditor.mechanisms.steering.result import Half, NotOpened, Payload, Result, SteeredResult
from auditor.mechanisms.steering.runs import Steerer
from auditor.statistics.minimums import draws_needed
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement


def plan_chunks(asked: PlanContext) -> Iterable[ChunkSpec]:
    """One chunk an attribute."""
    settings: Settings = asked.settings
    family = family_of(asked.plan, settings)
    alpha = asked.plan.thresholds.alpha
    for attribute in asked.plan.attributes:
        if settings.attributes and attribute.field not in settings.attributes:
            continue
        clusters = draw_clusters(asked, attribute, applications=settings.applications, test=CARD.name)
        variants = len(attribute.groups)
        full = attribute.field in family.fields
        draws = draws_needed(alpha=alpha, family_size=family.size) if full else settings.draws_elsewhere
        # One token through half the depth, for both prompts of every other group, target, dose, source and draw.
        ways = len(settings.depths) + draws
        runs = (variants - 1) * len(settings.depths) * len(settings.doses) * ways
        runs += (variants - 1) * draws_needed(alpha=alpha, family_size=1) if full else 0
        tokens = 0
        for cluster in clusters:
            whole, suffix = suffix_tokens(asked, cluster, attribute.field)
            tokens += whole + 2 * variants * suffix + runs // 2
        concept = concept_of(asked, attribute, clusters)
        payload = Payload(concept=concept, full=full, family=family.size, tested=family.fields)
        yield ChunkSpec(prompts=len(clusters) * (2 * variants + runs // 2), tokens=tokens, payload=payload)


def compute(context: ComputeContext, payload: Payload) -> Result:
    """Steer one attribute."""
    settings: Settings = context.settings
    concept = payload.concept
    groups, variants = concept.groups, concept.variants()
    target = context.target(context.render(variants[0]).text)
    if isinstance(target, NotApplicable):
        return NotOpened(**concept.about, full=payload.full, reason=target.reason)
    decoder = context.decoder()
    needed = draws_needed(alpha=context.plan.thresholds.alpha, family_size=max(1, payload.family))
    # As many threads here as the model is given: a sum's last digits depend on them.
    with torch.inference_mode(), threadpool_limits(context.plan.budget.threads):
        placed = place(context, variants, concept.field)
        steerer = Steerer(
            decoder,
            [placed[first : first + len(groups)] for first in range(0, len(placed), len(groups))],
            target=target,
            depths=settings.depths,
            doses=settings.doses,
            seed=context.plan.cases.seed,
            should_stop=context.should_stop,
        )
        reference = groups.index(concept.reference)
        pairs = [(number, reference) for number in range(len(groups)) if number != reference]
        steered = _half(steerer, pairs, draws=needed if payload.full else settings.draws_elsewhere)
        # The other half steered by the direction of this one.
        each = draws_needed(alpha=context.plan.thresholds.alpha, family_size=1)
        exchanged = _half(steerer.exchanged(), pairs if payload.full else (), draws=each)
    return SteeredResult(
        **concept.about,
        cases=tuple(concept.cases[number].id for number in steerer.steered),
        fitted=len(concept.cases) - len(steerer.steered),
        untouched=Untouched(cases=concept.ids, margins=numbers_of(steerer.clean.ravel())),
        mass=steerer.mass,
        middle=steerer.middle,
        strength=Strength(needed=needed, possible=steerer.possible(), full=payload.full, tested=payload.tested),
        steered=steered,
        exchanged=exchanged,
        noise=noise_floor(context.loaded.model, target),
        exact=target.exact,
        note=target.note,
    )


def measure(context: Context, results: Sequence[Result]) -> Iterable[UnadjustedMeasurement]:
    """The dose curve, and how far one dose in the middle of the model moves the margin."""
    return measures(context, results, test=CARD.name)


def _half(steerer: Steerer, pairs: Iterable[tuple[int, int]], *, draws: int) -> Half:
    return Half(
        clean=numbers_of(steerer.clean[list(steerer.steered)].ravel()),
        curve=tuple(point for pair in pairs for point in steerer.curve(pair, draws=draws)),
    )
