"""Replicates: a sampled system is asked about every case several times, each time as a cluster of its own name.

The first of three replicates of ``A7`` stands as ``A7~1``, its cases as ``A7~1``, ``A7~1/race=Black`` and so on. All
of them are one application: what is resampled, and what counts (docs/statistics.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from auditor.counterfactuals import REASK, Cluster, arm
from auditor.records import Case

MARK = "~"


def replicated(clusters: Sequence[Cluster], times: int) -> list[Cluster]:
    """Every cluster so many times, each under its own name; as they are where they are asked once.

    Only the first replicate is asked again: the others are so already.
    """
    if times < 2:
        return list(clusters)
    return [_named(cluster, number) for cluster in clusters for number in range(1, times + 1)]


def application_of(cluster: str) -> str:
    """The application whose replicate a cluster is."""
    return cluster.rpartition(MARK)[0]


def replicate_of(cluster: str) -> int:
    """Which of its application's replicates a cluster is, from 1 on."""
    return int(cluster.rpartition(MARK)[2])


def _named(cluster: Cluster, number: int) -> Cluster:
    own = cluster.application.id
    name = f"{own}{MARK}{number}"

    def case(one: Case) -> Case:
        arms = one.arms if number == 1 else tuple(item for item in one.arms if item != arm(REASK, "first"))
        return replace(one, id=name + one.id.removeprefix(own), cluster=name, arms=arms)

    return Cluster(
        application=replace(cluster.application, id=name),
        cases=tuple(case(one) for one in cluster.cases),
        reask=case(cluster.reask) if number == 1 and cluster.reask is not None else None,
    )
