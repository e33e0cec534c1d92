"""What a test may look at to plan its work, and the pieces of work it plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.counterfactuals import Cluster
from auditor.plan import Plan
from auditor.testing.rows import Row


@dataclass(frozen=True)
class PlanContext:
    """What a test may look at to plan its work: the design, its settings, and what the run asks.

    ``words`` holds the words of every field of every application by application id, the placebo's included; ``fields``
    the fields of the template in their order of use; ``roles`` their roles (``predictor``, ``protected``, …);
    ``count_tokens`` the tokens of a prompt.
    """

    plan: Plan
    settings: Any
    clusters: Sequence[Cluster]
    words: Mapping[str, Mapping[str, str]]
    fields: tuple[str, ...]
    roles: Mapping[str, str]
    labels: Mapping[str, str]
    count_tokens: Callable[[str], int]


@dataclass(frozen=True)
class ChunkSpec:
    """One chunk of a test's own.

    ``prompts`` it stands for, the ``tokens`` it computes (an estimate), its input: a ``Payload`` of the test.
    """

    prompts: int
    tokens: int
    payload: Row
