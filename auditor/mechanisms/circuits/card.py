"""What the test says of itself, and its settings. Needs no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from auditor.plan_section import Section
from auditor.statistics.minimums import FOR_A_SHARE
from auditor.testing.card import Card, Metric

CARD = Card(
    name="circuit",
    purpose="Which connections between heads and MLPs carry a change of group, and how few of them are enough.",
    method=(
        "Every connection (edge) is scored to first order with gradients averaged between the two prompts (EAP-IG). "
        "The highest-scoring edges make a circuit. It is judged on other applications by ablation: every other edge "
        "is patched with the prompt of the other group (an interchange intervention). Faithfulness is the share of "
        "the difference that is left, a ratio of sums over applications. Edges are ranked by size and, beside it, by "
        "what they add in the difference's own direction; random circuits of the same size and resampled applications "
        "stand beside both. Faithfulness is repeated by another sum and by probability, and from 48 judged pairs on "
        "in each half of them."
    ),
    worrying="A small circuit that carries most of the difference: the decision has a path of its own for the group.",
    question="where",
    limitations=(
        "Scores are first order and can miss edges; faithfulness is measured, whatever the scores missed. A circuit is "
        "one sufficient set for these applications and this prompt, not the only one and not the model's in general."
    ),
    references=(
        "Hanna, Pezzelle and Belinkov (2024), Have faith in faithfulness, arXiv:2403.17806",
        "Mueller et al. (2025), MIB: A mechanistic interpretability benchmark, arXiv:2504.13151",
    ),
    needs_internals=True,
    label="Circuit of a change of group",
    metrics=(
        Metric("circuit_faithfulness", "Difference left when only this circuit is kept", "ratio"),
        Metric("circuit_faithfulness_area", "Area under the faithfulness curve", "ratio"),
        Metric("circuit_faithfulness_distance", "Area between the faithfulness curve and 1", "ratio"),
        Metric("circuit_size", "Edges of the smallest circuit that is enough", "count"),
        Metric("circuit_stability", "Overlap with the circuits of resampled applications", "ratio"),
        Metric("circuit_edge", "Share of the difference through one edge, first order", "ratio"),
        Metric("patch_gap", "Difference of the margin over the pairs", "logit"),
    ),
)


class Settings(Section):
    """How many applications, and at what cost.

    Attributes
    ----------
    pairs
        Applications a contrast; the edges are scored on one half and judged on the other. How stable the circuit is
        takes at least 24 that are scored.
    steps
        Points between the two prompts at which gradients are taken.
    random
        Random circuits of every size.
    resamples
        Bootstrap samples of the scored applications.
    top
        Edges reported.
    memory_mib
        Memory that circuits of one batch may take. A model of which not one circuit fits is not tested.
    """

    pairs: Annotated[int, Field(ge=1, le=1000)] = 2 * FOR_A_SHARE
    steps: Annotated[int, Field(ge=1, le=64)] = 5
    random: Annotated[int, Field(ge=1, le=50)] = 3
    resamples: Annotated[int, Field(ge=20, le=10_000)] = 200
    top: Annotated[int, Field(ge=1, le=1000)] = 10
    memory_mib: Annotated[int, Field(ge=16)] = 512
