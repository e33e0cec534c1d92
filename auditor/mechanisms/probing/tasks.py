"""What probes are asked: rows of prompts, their labels, their folds, and labels without a meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auditor.mechanisms._shared.concept_rows import Concept
from auditor.mechanisms._shared.probe_fits import assign_folds
from auditor.mechanisms.probing.card import Settings
from auditor.mechanisms.probing.result import STATED, WITHHELD, Setting
from auditor.plan import Plan
from auditor.statistics.minimums import draws_needed
from auditor.statistics.results import IntArray

#: Draws of permuted labels at least, also where the level needs fewer.
LEAST_DRAWS = 99
Labels = np.ndarray[Any, np.dtype[np.bool_]]


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


@dataclass(frozen=True)
class Task:
    """What one probe is asked: which rows, their labels, their folds by every grouping, and their applications."""

    group: str
    setting: Setting
    rows: list[int]
    labels: Labels
    partitions: list[IntArray]
    clusters: list[str]

    @property
    def smaller(self) -> int:
        """Rows of the rarer label."""
        return int(min(self.labels.sum(), (~self.labels).sum()))


def tasks_of(concept: Concept, rows: Rows, settings: Settings) -> list[Task]:
    """One a group and setting that has enough applications."""
    asked = [
        _task(concept, rows, group, setting, settings)
        for group in concept.groups
        if group != concept.reference
        for setting in (STATED, WITHHELD)
    ]
    return [task for task in asked if task is not None]


def labels_of(plan: Plan, task: Task, *, contrasts: int) -> Labels:
    """A column of the true labels, then columns without a meaning: one where the attribute is stated, else a draw each.

    Withheld, they are permuted among the applications of a fold, so that every draw has as many of each label in every
    fold as the true labels have.
    """
    own = task.labels
    if task.setting == STATED:
        return np.stack([own, _permuted(own, task.clusters, plan.cases.seed)], axis=1)
    generator = np.random.default_rng(plan.cases.seed)
    needed = draws_needed(alpha=plan.thresholds.alpha, family_size=contrasts)
    columns = [own]
    for _ in range(max(needed, LEAST_DRAWS)):
        column = np.array(own)
        for fold in np.unique(task.partitions[0]):
            rows = np.flatnonzero(task.partitions[0] == fold)
            column[rows] = generator.permutation(column[rows])
        columns.append(column)
    return np.stack(columns, axis=1)


def _task(concept: Concept, rows: Rows, group: str, setting: Setting, settings: Settings) -> Task | None:
    """What one probe is asked; ``None`` where too few applications have a label."""
    if setting == STATED:
        chosen = rows.of(group, concept.reference)
        labels = np.array([rows.words[row] == group for row in chosen])
    else:
        pair = (group, concept.reference)
        chosen = [row for row in rows.of(settings.withheld_words) if concept.cases[rows.case[row]].group in pair]
        labels = np.array([concept.cases[rows.case[row]].group == group for row in chosen])
    smaller = int(min(labels.sum(), (~labels).sum())) if len(labels) else 0
    if smaller < settings.folds:
        return None
    cases = [concept.cases[rows.case[row]] for row in chosen]
    clusters = [case.id for case in cases]
    partitions = [assign_folds(groups=clusters, labels=labels, folds=settings.folds, seed=0)]
    values = [" | ".join(case.words[name] for name in concept.proxies) for case in cases]
    if setting == WITHHELD and len(set(values)) >= settings.folds:
        # A name or postcode that the probe was fitted on would be recognised, not read.
        # By value alone, so that labels permuted among applications have folds of the same kind.
        partitions.append(assign_folds(groups=values, labels=np.zeros(len(values)), folds=settings.folds, seed=1))
    return Task(group, setting, chosen, labels, partitions, clusters)


def _permuted(labels: Labels, clusters: Sequence[str], seed: int) -> Labels:
    """Labels without a meaning: where an application has both, they change places in half of the applications."""
    generator = np.random.default_rng(seed)
    names = sorted(set(clusters))
    if len(names) == len(clusters):
        return np.asarray(generator.permutation(labels))
    order = generator.permutation(len(names))
    turned = {names[number] for number in order[: len(names) // 2]}
    return np.array([bool(label) != (cluster in turned) for label, cluster in zip(labels, clusters, strict=True)])
