"""How a test chooses applications and cuts its work into chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import TypeVar

from auditor.counterfactuals import Cluster

Item = TypeVar("Item")


def in_turns(*groups: Sequence[Item]) -> list[Item]:
    """One of each group after another, so that a rare group is there early too; one that runs out is passed over."""
    return [item for turn in zip_longest(*groups) for item in turn if item is not None]


def by_recorded_outcome(clusters: Iterable[Cluster]) -> tuple[list[Cluster], list[Cluster]]:
    """Applications with an adverse outcome on record, and all others, each in the order given."""
    adverse: list[Cluster] = []
    others: list[Cluster] = []
    for cluster in clusters:
        (adverse if cluster.application.favourable is False else others).append(cluster)
    return adverse, others


def batches(
    items: Iterable[Item], *, tokens: Callable[[Item], int], most: int, alone: Callable[[Item], bool] = lambda _: False
) -> Iterator[list[Item]]:
    """Items in order, cut where the next would take a batch over ``most`` tokens; never an empty batch.

    Parameters
    ----------
    tokens
        What an item costs. One that costs more than ``most`` is a batch by itself.
    alone
        Items that end their batch: nothing is computed in a chunk behind one of them.
    """
    batch: list[Item] = []
    spent = 0
    for item in items:
        if batch and (alone(batch[-1]) or spent + tokens(item) > most):
            yield batch
            batch, spent = [], 0
        batch.append(item)
        spent += tokens(item)
    if batch:
        yield batch
