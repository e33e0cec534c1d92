"""Probes: can a linear reader tell the attribute from the model's states, where, and from what.

Stated: the attribute stands in the prompt, once as every group, so a reader needs nothing else. Withheld: the attribute
is replaced by a neutral word and the reader is asked for the group the application was filed with, which only the other
fields can give away.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from threadpoolctl import threadpool_limits

from auditor.behaviour.context import Card, Context, Draft, FloatArray
from auditor.exceptions import Interrupted
from auditor.language_models.activations import harvest
from auditor.language_models.decoder import read_decoder
from auditor.mechanisms.concepts import concept_payload, draw_clusters, place, suffix_tokens
from auditor.mechanisms.contract import Asked, Bench, Work
from auditor.mechanisms.probe_fits import assign_folds, basis_of, cross_validate
from auditor.mechanisms.probe_measures import measures
from auditor.mechanisms.probe_readings import balanced_accuracy, read
from auditor.plan import Section

CARD = Card(
    name="probes",
    purpose="Whether a protected attribute can be read from the model's internal states, at which layer and position.",
    method=(
        "L2-logistic probes of every layer, at the end of the attribute's field and at the last token, on applications "
        "(and proxy values) the probe was not fitted on. Stated: the attribute in the prompt, as each group in turn. "
        "Withheld: a neutral word in its place, read for the group as filed. Beside each: a control label that groups "
        "words without a meaning (Hewitt and Liang), labels permuted, the embedding layer, the same architecture with "
        "random weights, and, where the attribute is withheld, the application's numbers alone."
    ),
    worrying=(
        "The attribute can be read although it was withheld. Where it is stated, being readable is expected and says "
        "nothing of use."
    ),
    limitations=(
        "Readable is not used: only erasure and steering speak of use. A probe that finds nothing says that no linear "
        "reader of this kind, fitted on so many applications, did. Layers are looked at together, by Holm."
    ),
    references=(
        "Hewitt and Liang (2019), Designing and interpreting probes with control tasks, EMNLP",
        "Belinkov (2022), Probing classifiers: promises, shortcomings, and advances, doi:10.1162/coli_a_00422",
    ),
    needs_internals=True,
    question="encoded",
)

STATED, WITHHELD = "stated", "withheld"
TRAINED, UNTRAINED = "trained", "untrained"
SITES = ("field end", "last token")
#: Rows, their labels, their folds by every grouping, and their applications.
Task = tuple[list[int], np.ndarray[Any, Any], list[np.ndarray[Any, Any]], list[str]]


class Settings(Section):
    """What is probed, and at what cost.

    Attributes
    ----------
    attributes
        Attributes of the plan by field; empty: all of them.
    applications
        Applications an attribute; the groups as filed in turns.
    withheld_words
        What stands in the attribute's place where it is withheld.
    control_words
        Words without a meaning here, two of which stand in the attribute's place in every application.
    control_draws
        How many random groupings of them the control averages over.
    untrained
        Whether the same architecture with random weights is read as well; it doubles the cost.
    every
        Layers apart; the embedding and the stream after the last block are always read.
    penalty
        λ of the probes on standardised states.
    folds
        Folds of applications, and of proxy values.
    """

    attributes: tuple[str, ...] = ()
    applications: Annotated[int, Field(ge=8)] = 96
    withheld_words: Annotated[str, Field(min_length=1)] = "not provided"
    control_words: Annotated[tuple[str, ...], Field(min_length=4)] = (
        "Amber",
        "Birch",
        "Cedar",
        "Delta",
        "Flint",
        "Grove",
        "Haven",
        "Maple",
    )
    control_draws: Annotated[int, Field(ge=1, le=50)] = 5
    untrained: bool = True
    every: Annotated[int, Field(ge=1, le=100)] = 1
    penalty: Annotated[float, Field(gt=0)] = 1.0
    folds: Annotated[int, Field(ge=2, le=20)] = 5


@dataclass(frozen=True)
class Rows:
    """Prompts and their states: what stands in the attribute's place, and which application each is of.

    ``states`` has shape [rows, positions, layers, width], ``layers`` names the layers.
    """

    words: tuple[str, ...]
    case: tuple[int, ...]
    layers: tuple[int, ...]
    states: np.ndarray[Any, np.dtype[np.float32]]

    def of(self, *words: str) -> list[int]:
        """The rows with one of these words."""
        return [row for row, word in enumerate(self.words) if word in words]


def work(asked: Asked) -> Iterable[Work]:
    """One chunk an attribute, and one for the baseline with random weights."""
    settings: Settings = asked.settings
    for attribute in asked.plan.attributes:
        if settings.attributes and attribute.field not in settings.attributes:
            continue
        clusters = draw_clusters(asked, attribute, applications=settings.applications, test=CARD.name)
        payload = concept_payload(asked, attribute, clusters)
        for part in (TRAINED, UNTRAINED) if settings.untrained else (TRAINED,):
            # Stated as every group and withheld; words without a meaning for the model itself alone.
            variants = len(attribute.groups) + (3 if part == TRAINED else 1)
            tokens = 0
            for cluster in clusters:
                whole, suffix = suffix_tokens(asked, cluster, attribute.field)
                tokens += whole + (variants - 1) * suffix
            yield Work(prompts=variants * len(clusters), tokens=tokens, payload={**payload, "part": part})


def compute(bench: Bench, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Harvest the states of one attribute's rows and probe every layer.

    Returns
    -------
    dict
        ``probes``: one entry a layer, position, group and setting, with its reading and its baselines; of random
        weights the accuracy alone.
    """
    model = bench.loaded.model
    if payload["part"] == UNTRAINED:
        model = untrained(model, seed=bench.plan.cases.seed)
    # As many threads here as the model is given: a sum's last digits depend on them.
    with threadpool_limits(bench.plan.budget.threads):
        rows = _harvest(bench, payload, model)
        probes = list(_probes(bench, payload, rows))
    return {
        "field": payload["field"],
        "part": payload["part"],
        "reference": payload["reference"],
        "proxies": payload["proxies"],
        "withheld_words": bench.settings.withheld_words,
        "applications": len(payload["cases"]),
        "probes": probes,
    }


def run(context: Context) -> Iterable[Draft]:
    """One measurement a probe, Holm over the layers and positions of an attribute, and their summary."""
    return measures(context, context.results.get(CARD.name, ()), test=CARD.name)


def untrained(model: Any, *, seed: int) -> Any:
    """The same architecture with random weights, on the same device."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh = type(model)(model.config)
    return fresh.to(device=model.device, dtype=model.dtype).eval()


def _harvest(bench: Bench, payload: Mapping[str, Any], model: Any) -> Rows:
    settings: Settings = bench.settings
    decoder = read_decoder(model)
    layers = (*range(0, decoder.layers, settings.every), decoder.layers)
    field = payload["field"]
    words: list[str] = []
    case: list[int] = []
    states = []
    for number, item in enumerate(payload["cases"]):
        if bench.should_stop():
            raise Interrupted("stopped between two applications; nothing of this chunk is kept")
        controls = random.Random(f"{bench.plan.cases.seed}/{item['id']}").sample(list(settings.control_words), 2)
        mine = [*payload["groups"], settings.withheld_words, *(controls if payload["part"] == TRAINED else ())]
        placed = place(bench, [{**item["words"], field: word} for word in mine], field)
        positions = [[each.end, each.last] for each in placed]
        states.append(harvest(decoder, [each.tokens for each in placed], positions, layers=layers))
        words += mine
        case += [number] * len(mine)
    return Rows(tuple(words), tuple(case), layers, np.concatenate(states))


def _probes(bench: Bench, payload: Mapping[str, Any], rows: Rows) -> Iterable[dict[str, Any]]:
    settings: Settings = bench.settings
    trained = payload["part"] == TRAINED
    controls = _controls(bench, rows) if trained else None
    tasks = {
        (group, setting): task
        for group in payload["groups"]
        if group != payload["reference"]
        for setting in (STATED, WITHHELD)
        if (task := _task(payload, rows, group, setting, settings)) is not None
    }
    numbers = {key: _from_numbers(bench, payload, rows, task) for key, task in tasks.items() if key[1] == WITHHELD}
    for site, name in enumerate(SITES):
        for place_of, layer in enumerate(rows.layers):
            if bench.should_stop():
                raise Interrupted("stopped between two layers; nothing of this chunk is kept")
            states = rows.states[:, site, place_of]
            control = _control_accuracy(bench, states, controls) if controls is not None else None
            for (group, setting), task in tasks.items():
                chosen, labels, partitions, clusters = task
                both = np.stack([labels, _permuted(labels, clusters, bench.plan.cases.seed)], axis=1)
                logits, solved = cross_validate(
                    basis=basis_of(states[chosen]),
                    labels=both if trained else both[:, :1],
                    partitions=partitions,
                    penalty=settings.penalty,
                )
                if not np.isfinite(logits).all():
                    continue
                found: dict[str, Any] = {"group": group, "setting": setting, "site": name, "layer": layer}
                if not trained:
                    yield {**found, "accuracy": balanced_accuracy(logits=logits[:, 0], labels=labels)}
                    continue
                reading = read(
                    logits=logits[:, 0], labels=labels, clusters=clusters, level=1 - bench.plan.thresholds.alpha
                )
                yield {
                    **found,
                    **asdict(reading),
                    "smaller": int(min(labels.sum(), (~labels).sum())),
                    "solved": solved,
                    "permuted": balanced_accuracy(logits=logits[:, 1], labels=both[:, 1]),
                    "control": control,
                    "numbers": numbers.get((group, setting)),
                }


def _from_numbers(bench: Bench, payload: Mapping[str, Any], rows: Rows, task: Task) -> float | None:
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
        partitions.append(assign_folds(groups=values, labels=labels, folds=settings.folds, seed=1))
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


def _controls(bench: Bench, rows: Rows) -> tuple[list[int], FloatArray, np.ndarray[Any, Any]]:
    """The rows of the control words, a random even grouping of the words a column, and folds by application."""
    settings: Settings = bench.settings
    words = list(settings.control_words)
    chosen = rows.of(*words)
    generator = np.random.default_rng(bench.plan.cases.seed)
    columns = []
    for _ in range(settings.control_draws):
        ones = {words[number] for number in generator.permutation(len(words))[: len(words) // 2]}
        columns.append([rows.words[row] in ones for row in chosen])
    labels = np.array(columns, dtype=np.float64).T
    groups = [str(rows.case[row]) for row in chosen]
    return chosen, labels, assign_folds(groups=groups, labels=labels[:, 0], folds=settings.folds, seed=0)


def _control_accuracy(
    bench: Bench, states: np.ndarray[Any, Any], controls: tuple[list[int], FloatArray, np.ndarray[Any, Any]]
) -> float | None:
    chosen, labels, folds = controls
    logits, _ = cross_validate(
        basis=basis_of(states[chosen]), labels=labels, partitions=[folds], penalty=bench.settings.penalty
    )
    usable = [column for column in range(labels.shape[1]) if np.isfinite(logits[:, column]).all()]
    if not usable:
        return None
    return float(np.mean([balanced_accuracy(logits=logits[:, each], labels=labels[:, each]) for each in usable]))
