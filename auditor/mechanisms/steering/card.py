"""What the test says of itself, and its settings. Needs no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from auditor.plan_section import Section
from auditor.testing.card import Card, Metric

POTENCY = "steering_potency"

CARD = Card(
    name="steering",
    purpose="Whether a direction that tells two groups apart would move decisions if it were stronger or elsewhere.",
    method=(
        "Activation steering: the difference of class means of the residual stream at the last token of a layer is "
        "added to the same or another layer of held-out applications, at several doses (steering coefficients) and in "
        "both directions; beside it the same with control-task labels (shuffled within applications), as often as the "
        "level needs. It is repeated at other layers and doses, with the halves exchanged, and read as probabilities "
        "and decisions."
    ),
    worrying="Decisions move with the dose, both ways, more than with the direction of shuffled labels.",
    limitations=(
        "It shows what the representation could do, not what it does in an ordinary prompt. High doses leave the "
        "states a model ever has; the probability left on the answers says when. A plan has one template, so the "
        "template is not varied."
    ),
    references=("Turner et al. (2023), Steering language models with activation engineering, arXiv:2308.10248",),
    needs_internals=True,
    question="usable",
    label="Steering",
    metrics=(
        Metric(POTENCY, "Margin moved by one dose", "logit"),
        Metric("steering_shift", "Margin moved", "logit"),
    ),
)


class Settings(Section):
    """Where and how strongly is steered.

    Attributes
    ----------
    attributes
        Attributes of the plan by field; empty: all of them.
    full_strength
        Attributes that get as many draws as the level needs; empty: all. Their contrasts are the family; of the others
        the test says that draws are too few to say.
    applications
        Applications an attribute; the groups as filed in turns. Half of them give the direction, half are steered.
    depths
        Layers as shares of the depth; every one is a source and a target. The middle one is declared.
    doses
        Multiples of the distance between the groups: the declared range. The least is declared, the others repeat it.
    draws_elsewhere
        Draws for attributes that are not tested at full strength.
    """

    attributes: tuple[str, ...] = ()
    full_strength: tuple[str, ...] = ()
    applications: Annotated[int, Field(ge=8)] = 48
    depths: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(min_length=1)] = (0.25, 0.5, 0.75)
    doses: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (1.0, 2.0, 4.0)
    draws_elsewhere: Annotated[int, Field(ge=1, le=50)] = 3
