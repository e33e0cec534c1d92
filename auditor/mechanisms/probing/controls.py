"""Two-word controls of a probe: which words, their states at the one place where selectivity is declared, the readings.

One place is declared beforehand, the last token in the middle of the model: nothing is picked, and the blocks behind it
are not run for the control words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from auditor.exceptions import Interrupted
from auditor.language_models.activations import harvest
from auditor.language_models.decoder import Decoder
from auditor.language_models.residual_view import ResidualView
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.concepts import place
from auditor.mechanisms._shared.probe_fits import assign_folds
from auditor.mechanisms.probing.control_words import choose, known_class, words_needed
from auditor.mechanisms.probing.result import Compared, NotCompared, TrainedPayload
from auditor.mechanisms.probing.selectivity import ceiling, compare, pairs_between, read_pair
from auditor.plan import Attribute
from auditor.statistics.minimums import draws_needed
from auditor.testing.chunks import PlanContext
from auditor.testing.context import FloatArray

DECLARED_SITE = "last token"


def declared_layer(layers: Sequence[int]) -> int:
    """The first layer kept from the middle of the model on: fixed before any is looked at."""
    return next(layer for layer in layers if layer >= max(layers) // 2)


def control_words(asked: PlanContext, attribute: Attribute, *, contrasts: int) -> dict[str, tuple[str, ...]]:
    """For every group of an attribute the control words that are as long as its own.

    Parameters
    ----------
    asked
        Counts tokens; its settings name the pool.
    attribute
        The attribute.
    contrasts
        Contrasts of the run whose selectivity is tested: the size of the family.
    """
    settings = asked.settings
    draws = settings.control_draws or draws_needed(alpha=asked.plan.thresholds.alpha, family_size=contrasts)
    classes = known_class(attribute.groups, asked.count_tokens)
    own = classes[attribute.reference]
    wanted: dict[str, int] = {}
    for group in attribute.groups:
        if group != attribute.reference:
            count = words_needed(draws, alike=classes[group] == own)
            for name in (classes[group], own):
                wanted[name] = max(wanted.get(name, 0), count)
    seed = f"{asked.plan.cases.seed}/{attribute.field}/controls"
    chosen = choose(attribute.groups, wanted=wanted, pool=settings.control_words, tokens=asked.count_tokens, seed=seed)
    return {group: tuple(chosen.get(classes[group], ())) for group in attribute.groups}


def harvest_controls(
    context: ComputeContext, payload: TrainedPayload, decoder: Decoder | ResidualView, *, layer: int
) -> tuple[dict[str, FloatArray], dict[str, list[str]]]:
    """States with every group's and every control word, [applications, width] each, at the declared place.

    A control word that turns out longer or shorter than its group's in any application is left out everywhere.
    """
    concept, controls = payload.concept, payload.controls
    groups = concept.groups
    words = list(dict.fromkeys([*groups, *(word for group in groups for word in controls[group])]))
    states: dict[str, list[FloatArray]] = {word: [] for word in words}
    unlike: dict[str, set[str]] = {group: set() for group in groups}
    for case in concept.cases:
        if context.should_stop():
            raise Interrupted("stopped between two applications; nothing of this chunk is kept")
        placed = place(context, [concept.stated(case, word) for word in words], concept.field)
        length = {word: len(each.tokens) for word, each in zip(words, placed, strict=True)}
        for group in groups:
            unlike[group] |= {word for word in controls[group] if length[word] != length[group]}
        found = harvest(decoder, [each.tokens for each in placed], [[each.last] for each in placed], layers=[layer])
        for word, row in zip(words, found[:, 0, 0], strict=True):
            states[word].append(row)
    kept = {group: [word for word in controls[group] if word not in unlike[group]] for group in groups}
    return {word: np.stack(rows) for word, rows in states.items()}, kept


def selectivities(
    context: ComputeContext,
    payload: TrainedPayload,
    states: Mapping[str, FloatArray],
    controls: Mapping[str, Sequence[str]],
) -> tuple[Compared | NotCompared, ...]:
    """One comparison with control pairs a group, or the reason why there is none."""
    settings, alpha = context.settings, context.plan.thresholds.alpha
    reference, family = payload.concept.reference, payload.contrasts
    ids = payload.concept.ids
    folds = assign_folds(groups=ids, labels=np.zeros(len(ids)), folds=settings.folds, seed=0)
    read: dict[tuple[str, str], FloatArray] = {}
    found: list[Compared | NotCompared] = []
    for group in payload.concept.groups:
        if group == reference:
            continue
        own = (group, reference)
        pairs = pairs_between(own, (controls[group], controls[reference]))
        apart = [not {*own} & {*pair} for pair in pairs[1:]]
        if not any(apart):
            found.append(NotCompared(group=group, reason="no words without a meaning are as long as the group's own"))
            continue
        for pair in pairs:
            if context.should_stop():
                raise Interrupted("stopped between two probes; nothing of this chunk is kept")
            if pair not in read:
                read[pair] = read_pair(states[pair[0]], states[pair[1]], folds=folds, penalty=settings.penalty)
        result = compare([read[pair] for pair in pairs], apart=apart, alpha=alpha, family_size=family)
        found.append(
            Compared(
                group=group,
                found=result,
                ceiling=ceiling(result, alpha=alpha, family_size=family),
                words=len({word for pair in pairs for word in pair} - {*own}),
            )
        )
    return tuple(found)
