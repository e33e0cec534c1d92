"""What the test says of itself, and its settings. Needs no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from auditor.mechanisms._shared.references import TYPICAL
from auditor.plan_section import Section
from auditor.testing.card import Card, Metric

FIRST_STEPS = 8
"""Steps of the first try along a path."""

CARD = Card(
    name="integrated_gradients",
    purpose="How far each field moved the decision away from that on a typical application, by the model's gradients.",
    method=(
        "Gradients of the margin are averaged along the straight line between the embeddings of two prompts and "
        "multiplied by their difference, so that the values sum to the difference of the margins; points are doubled "
        "until they do within 1%. The application is compared with a reference whose fields have as many tokens each, "
        "and with itself in another group. Gradient times input, at the prompt alone, stands beside it."
    ),
    worrying="A protected attribute or proxy holds a large share of what separates an application from a typical one.",
    question="fields",
    limitations=(
        "Points on the line are not prompts. Fields without another word of as many tokens stay as filed and are not "
        "compared; the count says how many. Between two groups only the changed field differs, so it holds the whole "
        "difference by construction. Gradient times input is first order and need not sum to anything."
    ),
    references=(
        "Sundararajan, Taly and Yan (2017), Axiomatic attribution for deep networks, arXiv:1703.01365",
        "Shrikumar, Greenside and Kundaje (2017), arXiv:1704.02685",
    ),
    needs_internals=True,
    label="Integrated gradients",
    metrics=(
        Metric("path_sum", "Sum of the attributions between two groups", "logit"),
        Metric("first_order_share", "Share that the gradient at the prompt alone accounts for", "ratio"),
        Metric("attribution_size", "Mean size of the effect on the margin", "logit"),
        Metric("attribution_signed", "Mean effect on the margin", "logit"),
        Metric("protected_share", "Share held by protected attributes and proxies", "rate", higher_is_better=False),
    ),
)


class Settings(Section):
    """How many applications, and at what cost.

    Attributes
    ----------
    cases
        Applications compared with the aligned reference.
    pairs
        Applications a contrast, compared with themselves in the reference group.
    reference
        ``typical``, or the id of an application of the run: the words that references are chosen nearest to.
    most_steps
        Points on the line at which doubling stops; what is not complete by then is not shown.
    """

    cases: Annotated[int, Field(ge=0, le=10_000)] = 4
    pairs: Annotated[int, Field(ge=0, le=1000)] = 4
    reference: Annotated[str, Field(min_length=1)] = TYPICAL
    most_steps: Annotated[int, Field(ge=FIRST_STEPS, le=512)] = 64
