"""What the test says of itself, and its settings. Needs no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from auditor.plan import Share
from auditor.plan_section import Section
from auditor.statistics.minimums import FOR_A_SHARE
from auditor.testing.card import Card, Metric

CARD = Card(
    name="attribution_patching",
    purpose="Which heads and MLPs carry a change of group to the decision.",
    method=(
        "Every node's effect is estimated to first order (its change times the gradient of the margin), in one sweep "
        "forward and one backward. The largest by one half of the pairs, and a random share of the rest, are patched "
        "(interchange interventions) in the other half: the largest of many reads too large where it was picked. Only "
        "effects of interventions are reported, and repeated the other way round, with the mean of both states in "
        "both prompts, as a ratio of sums and by probability. The random share says how many of the others can be "
        "larger than those reported."
    ),
    worrying="A few heads or MLPs that carry most of the difference: the decision reads the group directly there.",
    limitations=(
        "The estimate can miss nodes behind a saturated softmax and nodes whose direct and indirect effects cancel; "
        "a sample says how many such nodes there can be, not how large they are. Effects of nodes need not add up. A "
        "plan has one template, so the template is not varied."
    ),
    references=("Kramár et al. (2024), AtP*: An efficient and scalable method for localizing LLM behaviour",),
    needs_internals=True,
    question="where",
    label="Attribution patching",
    metrics=(
        Metric("patch_gap", "Difference of the margin over the pairs", "logit"),
        Metric("patch_node", "Share of the difference carried", "ratio"),
        Metric("screening_rank_agreement", "Rank agreement of estimated and real effects", "ratio"),
        Metric("screening_sample_largest", "Largest share in a random sample of the nodes not screened in", "ratio"),
        Metric("screening_missed_at_most", "Nodes not screened in that may be larger, at most", "count"),
    ),
)


class Settings(Section):
    """What is verified.

    Attributes
    ----------
    attributes
        Attributes of the plan by field; empty: all of them.
    pairs
        Applications a contrast: nodes are picked on one half and patched in the other.
    top
        Nodes verified.
    sample
        Share of the others verified.
    """

    attributes: tuple[str, ...] = ()
    pairs: Annotated[int, Field(ge=1, le=1000)] = 2 * FOR_A_SHARE
    top: Annotated[int, Field(ge=1, le=1000)] = 10
    sample: Share = 0.05
