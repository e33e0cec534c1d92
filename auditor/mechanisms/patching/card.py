"""What the test says of itself, and its settings. Needs no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from auditor.plan_section import Section
from auditor.testing.card import Card, Metric

CARD = Card(
    name="patching",
    purpose="At which layers, and at which part of the prompt, a change of group is carried to the decision.",
    method=(
        "Interchange interventions (activation patching): the application in the reference group is run with states "
        "of the same application in another group in place of its own, in the residual stream before every layer at "
        "the changed field, at every field behind it, at the text between and at the last token, and in every MLP's "
        "output. An effect is a share of what the change itself does to the margin (Σ effect·gap / Σ gap² over "
        "pairs). It is repeated the other way round, with the mean of both states in both prompts, as a ratio of "
        "sums, by probability, and from 48 pairs on in each half of them."
    ),
    worrying="A share near 1 at the last token from a layer on: from there the group is part of the decision.",
    limitations=(
        "Pairs whose two values have different numbers of tokens are left out and counted. Shares of different parts "
        "need not add up to 1. A patch shows that a state carries the difference, not that nothing else could. A "
        "plan has one template, so the template is not varied."
    ),
    references=("Heimersheim and Nanda (2024), How to use and interpret activation patching",),
    needs_internals=True,
    question="where",
    label="Activation patching",
    metrics=(
        Metric("patch_gap", "Difference of the margin over the pairs", "logit"),
        Metric("patch_stream", "Share of the difference carried by the residual stream", "ratio"),
        Metric("patch_mlp", "Share of the difference carried by an MLP", "ratio"),
    ),
)


class Settings(Section):
    """``attributes``: of the plan by field, empty for all; ``pairs``: applications a contrast."""

    attributes: tuple[str, ...] = ()
    pairs: Annotated[int, Field(ge=1, le=1000)] = 24
