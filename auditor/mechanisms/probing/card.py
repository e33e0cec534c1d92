"""What the test says of itself, and its settings. Needs no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from auditor.mechanisms.probing.control_words import WORDS
from auditor.plan_section import Section
from auditor.testing.card import Card, Metric

SELECTIVITY = "probe_selectivity"
LAYERS_READABLE = "probe_layers_readable"

CARD = Card(
    name="probes",
    purpose="Whether a protected attribute can be read from the model's internal states, at which layer and position.",
    method=(
        "Linear probes (L2-regularised logistic regression) of the residual stream at every layer, at the end of the "
        "attribute's field and at the last token, on applications (and proxy values) the probe was not fitted on. "
        "Withheld: a neutral word in the attribute's place, read for the group as filed, against control labels "
        "(permuted among applications), over all layers at once; beside it the application's numbers alone. Stated: "
        "the attribute in the prompt, as each group in turn; at one declared place, the last token in the middle of "
        "the model, against a control task: pairs of words without a meaning, as long as the groups' own, in the same "
        "applications; beside it the same architecture with random weights."
    ),
    worrying=(
        "The attribute can be read although it was withheld. Where it is stated, being readable is expected and says "
        "nothing of use."
    ),
    limitations=(
        "Readable is not used: only erasure and steering speak of use. A probe that finds nothing says that no linear "
        "reader of this kind, fitted on so many applications, did. Where words without a meaning are read perfectly "
        "too, selectivity cannot be said."
    ),
    references=(
        "Hewitt and Liang (2019), Designing and interpreting probes with control tasks, EMNLP",
        "Westfall and Young (1993), Resampling-based multiple testing (the largest over all layers)",
        "Belinkov (2022), Probing classifiers: promises, shortcomings, and advances, doi:10.1162/coli_a_00422",
    ),
    needs_internals=True,
    question="encoded",
    label="Probes",
    metrics=(
        Metric("probe_balanced_accuracy", "Balanced accuracy of a probe", "rate"),
        Metric("probe_control_accuracy", "Balanced accuracy on control labels", "rate"),
        Metric(SELECTIVITY, "Accuracy above the baselines", "rate_difference"),
        Metric(LAYERS_READABLE, "Places where it can be read", "count"),
    ),
)


class Settings(Section):
    """What is probed, and at what cost.

    Attributes
    ----------
    attributes
        Attributes of the plan by field; empty: all of them.
    applications
        Applications an attribute; the groups as filed in turns.
    withheld_words
        What stands in the attribute's place where it is withheld.
    control_words
        Words without a meaning here; those, and phrases of them, that are as long in tokens as a group's word stand in
        the attribute's place.
    control_draws
        Pairs of them at least; 0: as many as the plan's level needs over all contrasts. Fewer than that and the test
        says that it has too few.
    untrained
        Whether the same architecture with random weights is read as well, where selectivity is declared.
    every
        Layers apart; the embedding and the stream after the last block are always read.
    penalty
        λ of the probes on standardised states.
    folds
        Folds of applications, and of proxy values.
    """

    attributes: tuple[str, ...] = ()
    applications: Annotated[int, Field(ge=8)] = 96
    withheld_words: Annotated[str, Field(min_length=1)] = "not provided"
    control_words: Annotated[tuple[str, ...], Field(min_length=4)] = WORDS
    control_draws: Annotated[int, Field(ge=0, le=2000)] = 0
    untrained: bool = True
    every: Annotated[int, Field(ge=1, le=100)] = 1
    penalty: Annotated[float, Field(gt=0)] = 1.0
    folds: Annotated[int, Field(ge=2, le=20)] = 5
