"""Probes: can a linear reader tell the attribute from the model's states, where, and from what.

Stated: the attribute stands in the prompt, once as every group, so a reader needs nothing else: the states hold it by
construction, and the question is whether it is read better than words without a meaning (probe_controls.py). Withheld:
the attribute is replaced by a neutral word and the reader is asked for the group the application was filed with, which
only the other fields can give away. Only this reading says that a model's states encode the attribute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from auditor.exceptions import Interrupted
from auditor.language_models.activations import harvest
from auditor.language_models.decoder_check import read_decoder
from auditor.mechanisms._shared.bench import ComputeContext
from auditor.mechanisms._shared.concepts import concept_payload, draw_clusters, place, suffix_tokens
from auditor.mechanisms._shared.probe_fits import assign_folds, basis_of, cross_validate
from auditor.mechanisms._shared.probe_readings import balanced_accuracy, read
from auditor.mechanisms.probing.card import CARD, Settings
from auditor.mechanisms.probing.controls import (
    DECLARED_SITE,
    control_words,
    declared_layer,
    harvest_controls,
    selectivities,
)
from auditor.mechanisms.probing.measure import measures
from auditor.mechanisms.probing.selectivity import SAME
from auditor.statistics.minimums import draws_needed
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context, FloatArray
from auditor.testing.unadjusted import UnadjustedMeasurement

STATED, WITHHELD = "stated", "withheld"
TRAINED, UNTRAINED = "trained", "untrained"
SITES = ("field end", "last token")
#: Draws of permuted labels at least, also where the level needs fewer.
LEAST_DRAWS = 99
#: Rows, their labels, their folds by every grouping, and their applications.
Task = tuple[list[int], np.ndarray[Any, Any], list[np.ndarray[Any, Any]], list[str]]


@dataclass(frozen=True)
class Rows:
    """Prompts and their states: what stands in the attribute's place, and which application each is of.

    ``states`` has shape [rows, positions, layers, width]; ``sites`` names the positions, ``layers`` the layers.
    """

    words: tuple[str, ...]
    case: tuple[int, ...]
    sites: tuple[str, ...]
    layers: tuple[int, ...]
    states: np.ndarray[Any, np.dtype[np.float32]]

    def of(self, *words: str) -> list[int]:
        """The rows with one of these words."""
        return [row for row, word in enumerate(self.words) if word in words]


def plan_chunks(asked: PlanContext) -> Iterable[ChunkSpec]:
    """One chunk an attribute, and one for the baseline with random weights."""
    settings: Settings = asked.settings
    chosen = [item for item in asked.plan.attributes if not settings.attributes or item.field in settings.attributes]
    contrasts = sum(len(attribute.groups) - 1 for attribute in chosen)
    for attribute in chosen:
        clusters = draw_clusters(asked, attribute, applications=settings.applications, test=CARD.name)
        payload = concept_payload(asked, attribute, clusters) | {"contrasts": contrasts}
        controls = control_words(asked, attribute, contrasts=contrasts)
        words = len({word for mine in controls.values() for word in mine})
        sizes = [suffix_tokens(asked, cluster, attribute.field) for cluster in clusters]
        for part in (TRAINED, UNTRAINED) if settings.untrained else (TRAINED,):
            variants = len(attribute.groups) + 1
            tokens = sum(whole + (variants - 1) * suffix for whole, suffix in sizes)
            more: dict[str, Any] = {"part": part}
            if part == TRAINED:
                # Words without a meaning run through the first half of the blocks alone.
                tokens += sum(whole + (words + variants) * suffix for whole, suffix in sizes) // 2
                variants += words + variants - 1
                more["controls"] = controls
            yield ChunkSpec(prompts=variants * len(clusters), tokens=tokens, payload={**payload, **more})


def compute(bench: ComputeContext, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Harvest the states of one attribute's rows and probe every layer.

    Returns
    -------
    dict
        ``probes``: one entry a layer, position, group and setting, with its reading and its baselines; of random
        weights the accuracy alone, at the declared place. ``selectivity``: one entry a group.
    """
    model = bench.loaded.model
    trained = payload["part"] == TRAINED
    if not trained:
        model = untrained(model, seed=bench.plan.cases.seed)
    # As many threads here as the model is given: a sum's last digits depend on them.
    with threadpool_limits(bench.plan.budget.threads):
        decoder = read_decoder(model, longest=bench.longest)
        layers = (*range(0, decoder.layers, bench.settings.every), decoder.layers)
        declared = declared_layer(layers)
        selective: list[dict[str, Any]] = []
        if trained:
            rows = _harvest(bench, payload, decoder, SITES, layers)
            states, controls = harvest_controls(bench, payload, decoder, layer=declared)
            selective = selectivities(bench, payload, states, controls)
        else:
            rows = _harvest(bench, payload, decoder, (DECLARED_SITE,), (declared,))
        probes = _probes(bench, payload, rows)
    return {
        "field": payload["field"],
        "part": payload["part"],
        "reference": payload["reference"],
        "proxies": payload["proxies"],
        "withheld_words": bench.settings.withheld_words,
        "applications": len(payload["cases"]),
        "contrasts": payload["contrasts"],
        "declared_layer": declared,
        "probes": probes,
        "selectivity": selective,
    }


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """One measurement a probe, Holm over the layers and positions of an attribute, and their summary."""
    return measures(context, context.results.get(CARD.name, ()), test=CARD.name)


def _harvest(
    bench: ComputeContext, payload: Mapping[str, Any], decoder: Any, sites: tuple[str, ...], layers: tuple[int, ...]
) -> Rows:
    field = payload["field"]
    words: list[str] = []
    case: list[int] = []
    states = []
    for number, item in enumerate(payload["cases"]):
        if bench.should_stop():
            raise Interrupted("stopped between two applications; nothing of this chunk is kept")
        mine = [*payload["groups"], bench.settings.withheld_words]
        placed = place(bench, [{**item["words"], field: word} for word in mine], field)
        positions = [[each.last if site == DECLARED_SITE else each.end for site in sites] for each in placed]
        states.append(harvest(decoder, [each.tokens for each in placed], positions, layers=layers))
        words += mine
        case += [number] * len(mine)
    return Rows(tuple(words), tuple(case), sites, layers, np.concatenate(states))


def _probes(bench: ComputeContext, payload: Mapping[str, Any], rows: Rows) -> list[dict[str, Any]]:
    settings: Settings = bench.settings
    trained = payload["part"] == TRAINED
    tasks = {
        (group, setting): task
        for group in payload["groups"]
        if group != payload["reference"]
        for setting in (STATED, WITHHELD)
        if (task := _task(payload, rows, group, setting, settings)) is not None
    }
    labels = {
        (group, setting): _labels(bench, payload, task, setting) if trained else task[1][:, None]
        for (group, setting), task in tasks.items()
    }
    numbers = {key: _from_numbers(bench, payload, rows, task) for key, task in tasks.items() if key[1] == WITHHELD}
    found: list[dict[str, Any]] = []
    meaningless: dict[tuple[str, str], list[FloatArray]] = {key: [] for key in tasks}
    for site, name in enumerate(rows.sites):
        for place_of, layer in enumerate(rows.layers):
            if bench.should_stop():
                raise Interrupted("stopped between two layers; nothing of this chunk is kept")
            states = rows.states[:, site, place_of]
            for key, (chosen, own, partitions, clusters) in tasks.items():
                logits, solved = cross_validate(
                    basis=basis_of(states[chosen]), labels=labels[key], partitions=partitions, penalty=settings.penalty
                )
                if not np.isfinite(logits[:, 0]).all():
                    continue
                where: dict[str, Any] = {"group": key[0], "setting": key[1], "site": name, "layer": layer}
                if not trained:
                    found.append({**where, "accuracy": balanced_accuracy(logits=logits[:, 0], labels=own)})
                    continue
                level = 1 - bench.plan.thresholds.alpha
                reading = read(logits=logits[:, 0], labels=own, clusters=clusters, level=level)
                drawn = _accuracies(logits[:, 1:], labels[key][:, 1:])
                meaningless[key].append(drawn)
                found.append(
                    {
                        **where,
                        **asdict(reading),
                        "smaller": int(min(own.sum(), (~own).sum())),
                        "solved": solved,
                        "permuted": float(drawn.mean()),
                        "numbers": numbers.get(key),
                    }
                )
    return [_with_draws(item, meaningless) for item in found] if trained else found


def _labels(
    bench: ComputeContext, payload: Mapping[str, Any], task: Task, setting: str
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """A column of the true labels, then columns without a meaning: one where the attribute is stated, else a draw each.

    Withheld, they are permuted among the applications of a fold, so that every draw has as many of each label in every
    fold as the true labels have.
    """
    _, own, partitions, clusters = task
    if setting == STATED:
        return np.stack([own, _permuted(own, clusters, bench.plan.cases.seed)], axis=1)
    generator = np.random.default_rng(bench.plan.cases.seed)
    needed = draws_needed(alpha=bench.plan.thresholds.alpha, family_size=payload["contrasts"])
    columns = [own]
    for _ in range(max(needed, LEAST_DRAWS)):
        column = np.array(own)
        for fold in np.unique(partitions[0]):
            rows = np.flatnonzero(partitions[0] == fold)
            column[rows] = generator.permutation(column[rows])
        columns.append(column)
    return np.stack(columns, axis=1)


def _accuracies(logits: FloatArray, labels: np.ndarray[Any, Any]) -> FloatArray:
    """Balanced accuracy by column; one that could not be read counts as read perfectly, against the attribute."""
    known = np.asarray(np.isfinite(logits).all(axis=0))
    return np.array(
        [
            balanced_accuracy(logits=logits[:, column], labels=labels[:, column]) if known[column] else 1.0
            for column in range(logits.shape[1])
        ]
    )


def _with_draws(item: dict[str, Any], meaningless: Mapping[tuple[str, str], Sequence[FloatArray]]) -> dict[str, Any]:
    """A withheld reading with its p-value over all layers and positions: against the best of every draw."""
    if item["setting"] != WITHHELD:
        return item
    best = np.max(np.stack(meaningless[item["group"], WITHHELD]), axis=0)
    above = int((best >= item["accuracy"] - SAME).sum())
    return {**item, "p_largest": (1 + above) / (1 + len(best)), "draws": len(best)}


def _from_numbers(bench: ComputeContext, payload: Mapping[str, Any], rows: Rows, task: Task) -> float | None:
    """How well the same probe reads the group from the application's numbers, without any model."""
    chosen, labels, partitions, _ = task
    cases = [payload["cases"][rows.case[row]]["numbers"] for row in chosen]
    names = sorted({name for case in cases for name in case})
    table = np.array([[case.get(name, np.nan) for name in names] for case in cases], dtype=np.float64)
    if not names:
        return None
    known = np.isfinite(table)
    means = np.where(known, table, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    logits, _ = cross_validate(
        basis=basis_of(np.where(known, table, means)),
        labels=labels[:, None],
        partitions=partitions,
        penalty=bench.settings.penalty,
    )
    return balanced_accuracy(logits=logits[:, 0], labels=labels) if np.isfinite(logits).all() else None


def _task(payload: Mapping[str, Any], rows: Rows, group: str, setting: str, settings: Settings) -> Task | None:
    """Rows, labels, folds and applications of one probe; ``None`` where too few applications have a label."""
    cases = payload["cases"]
    if setting == STATED:
        chosen = rows.of(group, payload["reference"])
        labels = np.array([rows.words[row] == group for row in chosen])
    else:
        pair = (group, payload["reference"])
        chosen = [row for row in rows.of(settings.withheld_words) if cases[rows.case[row]]["group"] in pair]
        labels = np.array([cases[rows.case[row]]["group"] == group for row in chosen])
    smaller = int(min(labels.sum(), (~labels).sum())) if len(labels) else 0
    if smaller < settings.folds:
        return None
    clusters = [cases[rows.case[row]]["id"] for row in chosen]
    partitions = [assign_folds(groups=clusters, labels=labels, folds=settings.folds, seed=0)]
    values = [" | ".join(cases[rows.case[row]]["words"][name] for name in payload["proxies"]) for row in chosen]
    if setting == WITHHELD and len(set(values)) >= settings.folds:
        # A name or postcode that the probe was fitted on would be recognised, not read.
        # By value alone, so that labels permuted among applications have folds of the same kind.
        partitions.append(assign_folds(groups=values, labels=np.zeros(len(values)), folds=settings.folds, seed=1))
    return chosen, labels, partitions, clusters


def _permuted(labels: np.ndarray[Any, Any], clusters: Sequence[str], seed: int) -> np.ndarray[Any, Any]:
    """Labels without a meaning: where an application has both, they change places in half of the applications."""
    generator = np.random.default_rng(seed)
    names = sorted(set(clusters))
    if len(names) == len(clusters):
        return np.asarray(generator.permutation(labels))
    order = generator.permutation(len(names))
    turned = {names[number] for number in order[: len(names) // 2]}
    return np.array([bool(label) != (cluster in turned) for label, cluster in zip(labels, clusters, strict=True)])


def untrained(model: Any, *, seed: int) -> Any:
    """The same architecture with random weights, on the same device."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh = type(model)(model.config)
    return fresh.to(device=model.device, dtype=model.dtype).eval()
