"""What the test says of itself, and its settings. Needs no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from auditor.plan_section import Section
from auditor.statistics.minimums import FOR_A_SHARE
from auditor.testing.card import Card, Metric

CARD = Card(
    name="components",
    purpose="Which heads and MLPs write the difference between two groups straight into the answer, and from where on.",
    method=(
        "With the scale of the final norm frozen, the margin is a sum over the embedding, every head and every MLP "
        "(direct logit attribution). A component's share is the change of its term between the groups over the change "
        "of the margin. The largest are picked on one half of the pairs and their shares measured on the other: the "
        "largest of many reads too large where it was picked. The logit lens reads the margin from the residual "
        "stream of every layer. Shares are repeated as ratios of sums, and from 48 measured pairs on in each half of "
        "them."
    ),
    worrying="A few components that write most of the difference between groups.",
    limitations=(
        "Only what is written at the last token counts, not what earlier parts handed on. Reading early layers "
        "through the last norm is a convention."
    ),
    references=("Elhage et al. (2021), A mathematical framework for transformer circuits",),
    needs_internals=True,
    question="where",
    label="Components",
    metrics=(
        Metric("direct_share", "Share of the difference written into the answer", "ratio"),
        Metric("direct_norm", "Length of the answers' direction", "logit"),
        Metric("lens_share", "Share of the difference readable so far", "ratio"),
        Metric("patch_gap", "Difference of the margin over the pairs", "logit"),
    ),
)


class Settings(Section):
    """``attributes``: by field, empty for all; ``top``: components reported.

    ``pairs``: applications a contrast, half of which the components are picked on and half their shares measured on.
    """

    attributes: tuple[str, ...] = ()
    pairs: Annotated[int, Field(ge=1, le=1000)] = 2 * FOR_A_SHARE
    top: Annotated[int, Field(ge=1, le=1000)] = 10
