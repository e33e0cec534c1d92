"""Erasure: is the attribute used? Take it out of the states and see whether decisions move.

Concept scrubbing: LEACE is fitted on states from which the concept was already erased at the layers before, so that no
later layer of the window can rebuild it. Erasers are fitted on half of the applications; what they do, and what they
leave, is measured on the other half. Two windows:

carried   positions after the attribute's field, layers of the middle half. The field stays legible and the last layers
          may read it once more, so an effect says that the decision goes through what is carried there.
whole     from the field's first token on, at every layer. It equals not stating the attribute: beside the
          counterfactual contrast it says nothing new, and shows only that the erasers work.

The control is the same erasure with labels permuted within applications, as often as the plan's level needs, with an
exact p-value (randomisation.py). docs/decisions/0005-what-counts-as-used.md tells why the ladder reads the first
window, docs/decisions/0010-shuffled-labels-are-the-control.md why labels are shuffled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from auditor.language_models.decoder import Decoder
from auditor.language_models.noise import noise_floor
from auditor.language_models.noise_floor import NoiseFloor
from auditor.language_models.not_applicable import NotApplicable
from auditor.language_models.residual_view import ResidualView
from auditor.language_models.targets import Target
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.concept_rows import Concept, ConceptCase, Untouched
from auditor.mechanisms._shared.concepts import concept_of, draw_clusters, family_of, place, suffix_tokens
from auditor.mechanisms._shared.controls import Strength
from auditor.mechanisms._shared.float_rows import numbers_of
from auditor.mechanisms._shared.residual_streams import HookedStreams, Streams, open_rows
from auditor.mechanisms._shared.scrubbing import Design, Window, carried, covariances, design_of, everywhere, scrub
from auditor.mechanisms._shared.specifications import Specification
from auditor.mechanisms.erasure.card import CARD, Settings
from auditor.mechanisms.erasure.measure import measures
from auditor.mechanisms.erasure.result import (
    AttributePayload,
    AttributeResult,
    Erasure,
    NotOpened,
    Payload,
    Relevant,
    RelevantPayload,
    RelevantResult,
    Result,
)
from auditor.mechanisms.erasure.runs import Eraser
from auditor.statistics.minimums import draws_needed
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context, FloatArray
from auditor.testing.unadjusted import UnadjustedMeasurement


def plan_chunks(asked: PlanContext) -> Iterable[ChunkSpec]:
    """One chunk an attribute, and one for the number that goes with the margin most."""
    settings: Settings = asked.settings
    relevant = settings.relevant
    family = family_of(asked.plan, settings)
    for attribute in asked.plan.attributes:
        if settings.attributes and attribute.field not in settings.attributes:
            continue
        clusters = draw_clusters(asked, attribute, applications=settings.applications, test=CARD.name)
        concept = concept_of(asked, attribute, clusters)
        full = attribute.field in family.fields
        variants = len(attribute.groups)
        # Untouched, erased, erased everywhere; then draws, and one erasure and its draws for every repeat.
        runs = 3 + settings.draws_elsewhere
        if full:
            each = 1 + draws_needed(alpha=asked.plan.thresholds.alpha, family_size=1)
            runs = 3 + draws_needed(alpha=asked.plan.thresholds.alpha, family_size=family.size)
            runs += (1 + len(settings.repeats)) * each
        sizes = [suffix_tokens(asked, cluster, attribute.field) for cluster in clusters]
        tokens = sum(whole + runs * variants * suffix for whole, suffix in sizes)
        payload = AttributePayload(concept=concept, full=full, family=family.size, tested=family.fields)
        yield ChunkSpec(len(clusters) * variants * runs, tokens, payload)
        if relevant:
            # The number has nothing to do with the attribute, which is at its reference: once is enough.
            tokens = 3 * sum(whole for whole, _ in sizes)
            yield ChunkSpec(3 * len(clusters), tokens, RelevantPayload(concept=concept))
            relevant = False


def compute(context: ComputeContext, payload: Payload) -> Result:
    """Erase one attribute, or the number that goes with the margin most."""
    concept = payload.concept
    first = concept.stated(concept.cases[0], concept.groups[0])
    target = context.target(context.render(first).text)
    if isinstance(target, NotApplicable):
        full = isinstance(payload, AttributePayload) and payload.full
        return NotOpened(**concept.about, part=payload.part, full=full, reason=target.reason)
    decoder = context.decoder()
    noise = noise_floor(context.loaded.model, target)
    # As many threads here as the model is given: a sum's last digits depend on them.
    with torch.inference_mode(), threadpool_limits(context.plan.budget.threads):
        if isinstance(payload, AttributePayload):
            return _attribute(context, payload, decoder, target, noise)
        relevant = _relevant(context, concept, decoder, target)
    return RelevantResult(**concept.about, cases=concept.ids, relevant=relevant, noise=noise)


def measure(context: Context, results: Sequence[Result]) -> Iterable[UnadjustedMeasurement]:
    """How far the group difference and the decisions move, against the same with shuffled labels."""
    return measures(context, results, test=CARD.name)


def _attribute(
    context: ComputeContext,
    payload: AttributePayload,
    decoder: Decoder | ResidualView,
    target: Target,
    noise: NoiseFloor,
) -> AttributeResult:
    settings: Settings = context.settings
    alpha = context.plan.thresholds.alpha
    concept = payload.concept
    cases, groups = concept.cases, concept.groups
    placed = place(context, concept.variants(), concept.field)
    sets = [placed[first : first + len(groups)] for first in range(0, len(placed), len(groups))]
    windows = [carried(decoder.layers, share) for share in (settings.layers, *settings.repeats)]
    eraser = Eraser(
        streams=open_rows(decoder, sets, should_stop=context.should_stop),
        target=target,
        groups=len(groups),
        reference=groups.index(concept.reference),
        noise=noise,
        seed=context.plan.cases.seed,
    )
    count = draws_needed(alpha=alpha, family_size=payload.family) if payload.full else settings.draws_elsewhere
    declared = eraser.run(windows[0], draws=count, stop=payload.full)
    whole = eraser.run(everywhere(decoder.layers), draws=0)
    measured = eraser.measured()
    return AttributeResult(
        **concept.about,
        cases=tuple(cases[number].id for number in measured),
        fitted=len(cases) - len(measured),
        untouched=Untouched(cases=concept.ids, margins=numbers_of(eraser.clean)),
        mass=eraser.mass,
        strength=Strength(
            needed=draws_needed(alpha=alpha, family_size=max(1, payload.family)),
            possible=eraser.possible(),
            full=payload.full,
            tested=payload.tested,
        ),
        declared=Erasure(specification=specification(windows[0]), ran=declared),
        whole=whole,
        repeats=_repeats(eraser, windows, draws=draws_needed(alpha=alpha, family_size=1)) if payload.full else (),
        noise=noise,
        exact=target.exact,
        note=target.note,
    )


def _repeats(eraser: Eraser, windows: Sequence[Window], *, draws: int) -> tuple[Erasure, ...]:
    """Every further window, and the declared one with the halves exchanged."""
    # Windows that a shallow model cannot tell apart are one specification.
    others = [window for window in dict.fromkeys(windows[1:]) if window != windows[0]]
    return tuple(
        Erasure(
            specification=specification(window, swap=swap),
            ran=eraser.run(window, draws=draws, swap=swap, stop=True, most=1),
        )
        for window, swap in [*((window, False) for window in others), (windows[0], True)]
    )


def specification(window: Window, *, swap: bool = False) -> Specification:
    """A window in words; the second draw fits on the half that the first one measures on."""
    place = "after the field" if window.after else "from the field on"
    return Specification(window=place, layers=window.ends, seed=2 if swap else 1)


def _relevant(
    context: ComputeContext, concept: Concept, decoder: Decoder | ResidualView, target: Target
) -> Relevant | None:
    """Erase the number that goes with the margin most: what the erasure of something that is used looks like."""
    cases = concept.cases
    words = [concept.stated(case, concept.reference) for case in cases]
    field = _strongest(cases, context.margins([context.render(each).text for each in words]))
    if field is None:
        return None
    values = np.array([case.numbers[field] for case in cases])
    streams = open_rows(decoder, [[each] for each in place(context, words, field)], should_stop=context.should_stop)
    window = carried(decoder.layers, context.settings.layers)
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(np.float64)
    design = design_of(applications=len(cases), groups=2).for_numbers(ranks)
    clean = _covariances(streams, target, window, design)
    margins, _ = streams.through(target, layers=(), visit=lambda _: None, draws=1, read=list(design.measured))
    erased = scrub(streams, target, design=design, marks=ranks[None, :, None], window=window, clean=clean)
    return Relevant(
        field=field,
        clean=numbers_of(margins[0]),
        margins=numbers_of(erased.margins[0]),
        leftover=erased.leftover,
        left=float(erased.left.max()),
        mass=float(erased.masses[0]),
        exact=target.exact,
        note=target.note,
    )


def _covariances(
    streams: Streams | HookedStreams, target: Target, window: Window, design: Design
) -> dict[int, FloatArray]:
    found: dict[int, FloatArray] = {}

    def look(layer: int) -> None:
        found[layer] = covariances(streams, window, design, layer)

    streams.through(target, layers=window.layers, visit=look, draws=1)
    return found


def _strongest(cases: Sequence[ConceptCase], margins: FloatArray) -> str | None:
    found: dict[str, float] = {}
    for name in cases[0].numbers:
        values = [case.numbers.get(name) for case in cases]
        if None in values or len(set(values)) < 2 or np.ptp(margins) == 0:
            continue
        found[name] = abs(float(np.corrcoef(np.array(values, dtype=np.float64), margins)[0, 1]))
    return max(found, key=lambda name: found[name]) if found else None
