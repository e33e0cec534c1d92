"""Probes: can a linear reader tell the attribute from the model's states, where, and from what.

Stated: the attribute stands in the prompt, once as every group, so a reader needs nothing else: the states hold it by
construction, and the question is whether it is read better than words without a meaning (controls.py). Withheld:
the attribute is replaced by a neutral word and the reader is asked for the group the application was filed with, which
only the other fields can give away. Only this reading says that a model's states encode the attribute.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits

from auditor.exceptions import Interrupted
from auditor.language_models.activations import harvest
from auditor.language_models.decoder import Decoder
from auditor.language_models.decoder_check import read_decoder
from auditor.language_models.residual_view import ResidualView
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.concept_rows import Concept
from auditor.mechanisms._shared.concepts import concept_of, draw_clusters, place, suffix_tokens
from auditor.mechanisms._shared.probe_fits import basis_of, cross_validate
from auditor.mechanisms._shared.probe_readings import ProbeReading, balanced_accuracy, read
from auditor.mechanisms.probing.card import CARD, Settings
from auditor.mechanisms.probing.controls import (
    DECLARED_SITE,
    control_words,
    declared_layer,
    harvest_controls,
    selectivities,
)
from auditor.mechanisms.probing.measure import measures
from auditor.mechanisms.probing.result import (
    WITHHELD,
    At,
    Compared,
    LargestOfAll,
    NotCompared,
    Payload,
    Probe,
    Result,
    TrainedPayload,
    TrainedResult,
    UntrainedPayload,
    UntrainedProbe,
    UntrainedResult,
)
from auditor.mechanisms.probing.selectivity import SAME
from auditor.mechanisms.probing.tasks import Labels, Rows, Task, labels_of, tasks_of
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context, FloatArray
from auditor.testing.unadjusted import UnadjustedMeasurement

SITES = ("field end", "last token")


@dataclass(frozen=True)
class _Read:
    """A probe of the model as it is, before it is held against the draws at all other places.

    ``drawn`` holds the balanced accuracies on labels without a meaning, shape [draws].
    """

    task: Task
    at: At
    reading: ProbeReading
    solved: bool
    drawn: FloatArray


def plan_chunks(asked: PlanContext) -> Iterable[ChunkSpec]:
    """One chunk an attribute, and one for the baseline with random weights."""
    settings: Settings = asked.settings
    chosen = [item for item in asked.plan.attributes if not settings.attributes or item.field in settings.attributes]
    contrasts = sum(len(attribute.groups) - 1 for attribute in chosen)
    for attribute in chosen:
        clusters = draw_clusters(asked, attribute, applications=settings.applications, test=CARD.name)
        concept = concept_of(asked, attribute, clusters)
        controls = control_words(asked, attribute, contrasts=contrasts)
        words = len({word for mine in controls.values() for word in mine})
        sizes = [suffix_tokens(asked, cluster, attribute.field) for cluster in clusters]
        variants = len(attribute.groups) + 1
        tokens = sum(whole + (variants - 1) * suffix for whole, suffix in sizes)
        # Words without a meaning run through the first half of the blocks alone.
        half = sum(whole + (words + variants) * suffix for whole, suffix in sizes) // 2
        yield ChunkSpec(
            prompts=(variants + words + variants - 1) * len(clusters),
            tokens=tokens + half,
            payload=TrainedPayload(concept=concept, contrasts=contrasts, controls=controls),
        )
        if settings.untrained:
            yield ChunkSpec(
                prompts=variants * len(clusters),
                tokens=tokens,
                payload=UntrainedPayload(concept=concept, contrasts=contrasts),
            )


def compute(context: ComputeContext, payload: Payload) -> Result:
    """Harvest the states of one attribute's rows and probe every layer; of random weights the declared place alone."""
    concept = payload.concept
    model = context.loaded.model
    if isinstance(payload, UntrainedPayload):
        model = untrained(model, seed=context.plan.cases.seed)
    # As many threads here as the model is given: a sum's last digits depend on them.
    with threadpool_limits(context.plan.budget.threads):
        decoder = read_decoder(model, longest=context.longest)
        layers = (*range(0, decoder.layers, context.settings.every), decoder.layers)
        declared = declared_layer(layers)
        if isinstance(payload, UntrainedPayload):
            rows = _harvest(context, concept, decoder, (DECLARED_SITE,), (declared,))
            return UntrainedResult(field=concept.field, probes=_untrained_probes(context, concept, rows))
        rows = _harvest(context, concept, decoder, SITES, layers)
        states, controls = harvest_controls(context, payload, decoder, layer=declared)
        selective = selectivities(context, payload, states, controls)
        probes = _probes(context, payload, rows)
    return _result(context, payload, declared, probes, selective)


def measure(context: Context, results: Sequence[Result]) -> Iterable[UnadjustedMeasurement]:
    """One measurement a probe, Holm over the layers and positions of an attribute, and their summary."""
    return measures(context, results, test=CARD.name)


def _result(
    context: ComputeContext,
    payload: TrainedPayload,
    declared: int,
    probes: tuple[Probe, ...],
    selective: tuple[Compared | NotCompared, ...],
) -> TrainedResult:
    concept = payload.concept
    return TrainedResult(
        field=concept.field,
        reference=concept.reference,
        proxies=concept.proxies,
        withheld_words=context.settings.withheld_words,
        applications=len(concept.cases),
        contrasts=payload.contrasts,
        declared_layer=declared,
        probes=probes,
        selectivity=selective,
    )


def _harvest(
    context: ComputeContext,
    concept: Concept,
    decoder: Decoder | ResidualView,
    sites: tuple[str, ...],
    layers: tuple[int, ...],
) -> Rows:
    words: list[str] = []
    numbers: list[int] = []
    states = []
    for number, case in enumerate(concept.cases):
        if context.should_stop():
            raise Interrupted("stopped between two applications; nothing of this chunk is kept")
        mine = [*concept.groups, context.settings.withheld_words]
        placed = place(context, [concept.stated(case, word) for word in mine], concept.field)
        positions = [[each.last if site == DECLARED_SITE else each.end for site in sites] for each in placed]
        states.append(harvest(decoder, [each.tokens for each in placed], positions, layers=layers))
        words += mine
        numbers += [number] * len(mine)
    return Rows(tuple(words), tuple(numbers), sites, layers, np.concatenate(states))


def _places(context: ComputeContext, rows: Rows) -> Iterator[tuple[str, int, npt.NDArray[np.float32]]]:
    """Every position and layer with its states, [rows, width]."""
    for number, site in enumerate(rows.sites):
        for place_of, layer in enumerate(rows.layers):
            if context.should_stop():
                raise Interrupted("stopped between two layers; nothing of this chunk is kept")
            yield site, layer, rows.states[:, number, place_of]


def _untrained_probes(context: ComputeContext, concept: Concept, rows: Rows) -> tuple[UntrainedProbe, ...]:
    settings: Settings = context.settings
    tasks = tasks_of(concept, rows, settings)
    found = []
    for site, layer, states in _places(context, rows):
        for task in tasks:
            logits, _ = cross_validate(
                basis=basis_of(states[task.rows]),
                labels=task.labels[:, None],
                partitions=task.partitions,
                penalty=settings.penalty,
            )
            if np.isfinite(logits[:, 0]).all():
                at = At(group=task.group, setting=task.setting, site=site, layer=layer)
                accuracy = balanced_accuracy(logits=logits[:, 0], labels=task.labels)
                found.append(UntrainedProbe(at=at, accuracy=accuracy))
    return tuple(found)


def _probes(context: ComputeContext, payload: TrainedPayload, rows: Rows) -> tuple[Probe, ...]:
    settings: Settings = context.settings
    level = 1 - context.plan.thresholds.alpha
    tasks = [
        (task, labels_of(context.plan, task, contrasts=payload.contrasts))
        for task in tasks_of(payload.concept, rows, settings)
    ]
    numbers = {
        task.group: _from_numbers(context, payload.concept, rows, task) for task, _ in tasks if task.setting == WITHHELD
    }
    found: list[_Read] = []
    for site, layer, states in _places(context, rows):
        for task, labels in tasks:
            logits, solved = cross_validate(
                basis=basis_of(states[task.rows]), labels=labels, partitions=task.partitions, penalty=settings.penalty
            )
            if not np.isfinite(logits[:, 0]).all():
                continue
            found.append(
                _Read(
                    task=task,
                    at=At(group=task.group, setting=task.setting, site=site, layer=layer),
                    reading=read(logits=logits[:, 0], labels=task.labels, clusters=task.clusters, level=level),
                    solved=solved,
                    drawn=_accuracies(logits[:, 1:], labels[:, 1:]),
                )
            )
    return tuple(_probe(each, found, numbers) for each in found)


def _probe(each: _Read, found: Sequence[_Read], numbers: Mapping[str, float | None]) -> Probe:
    withheld = each.at.setting == WITHHELD
    return Probe(
        at=each.at,
        reading=each.reading,
        smaller=each.task.smaller,
        solved=each.solved,
        permuted=float(each.drawn.mean()),
        numbers=numbers[each.at.group] if withheld else None,
        largest=_largest(each, [other.drawn for other in found if other.task is each.task]) if withheld else None,
    )


def _accuracies(logits: FloatArray, labels: Labels) -> FloatArray:
    """Balanced accuracy by column; one that could not be read counts as read perfectly, against the attribute."""
    known = np.asarray(np.isfinite(logits).all(axis=0))
    return np.array(
        [
            balanced_accuracy(logits=logits[:, column], labels=labels[:, column]) if known[column] else 1.0
            for column in range(logits.shape[1])
        ]
    )


def _largest(each: _Read, drawn: Sequence[FloatArray]) -> LargestOfAll:
    """The p-value of a withheld reading over all layers and positions: against the best of every draw."""
    best = np.max(np.stack(drawn), axis=0)
    above = int((best >= each.reading.accuracy - SAME).sum())
    return LargestOfAll(p_value=(1 + above) / (1 + len(best)), draws=len(best))


def _from_numbers(context: ComputeContext, concept: Concept, rows: Rows, task: Task) -> float | None:
    """How well the same probe reads the group from the application's numbers, without any model."""
    cases = [concept.cases[rows.case[row]].numbers for row in task.rows]
    names = sorted({name for case in cases for name in case})
    table = np.array([[case.get(name, np.nan) for name in names] for case in cases], dtype=np.float64)
    if not names:
        return None
    known = np.isfinite(table)
    means = np.where(known, table, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    logits, _ = cross_validate(
        basis=basis_of(np.where(known, table, means)),
        labels=task.labels[:, None],
        partitions=task.partitions,
        penalty=context.settings.penalty,
    )
    return balanced_accuracy(logits=logits[:, 0], labels=task.labels) if np.isfinite(logits).all() else None


def untrained(model: Any, *, seed: int) -> Any:
    """The same architecture with random weights, on the same device."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh = type(model)(model.config)
    return fresh.to(device=model.device, dtype=model.dtype).eval()
