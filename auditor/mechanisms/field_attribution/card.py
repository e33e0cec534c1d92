"""What the test says of itself, and its settings. Needs no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from auditor.mechanisms.field_attribution.shapley import (
    FIRST_PAIRS,
    MOST_EXACT,
)
from auditor.plan import Identifier, Share
from auditor.plan_section import Section
from auditor.testing.card import Card, Metric

#: Adverse decisions that were explained, for a share of them to be said.
ENOUGH_EXPLAINED = 30

CARD = Card(
    name="field_attribution",
    purpose="Which fields of an application moved the model's decision, and how much of that is protected attributes.",
    method=(
        "Occlusion: the margin of the application minus its margin with one field at the reference. Shapley values: "
        "every coalition of up to ten fields at once as filed or at the reference (2^10 prompts of one tree), beyond "
        "that antithetic permutations until the standard error is small. Interventional: a field changes alone, the "
        "others stay. Proxies count as one field."
    ),
    worrying=(
        "A protected attribute or proxy that holds a large share of the attribution, or stands among the four fields "
        "that lowered an adverse decision most."
    ),
    limitations=(
        "Fields that go together in life (income and ratios) are changed apart, which makes applications that nobody "
        "would file. Values are against one reference and say nothing of another. They describe the model, not the "
        "creditor's reasons."
    ),
    references=(
        "Shapley (1953), A value for n-person games",
        "Castro, Gómez and Tejada (2009), doi:10.1016/j.cor.2008.04.004",
        "Mitchell, Cooper, Frank and Holmes (2022), Sampling permutations for Shapley value estimation, JMLR 23",
    ),
    needs_internals=True,
    question="fields",
    label="Field attribution",
    metrics=(
        Metric("attribution_size", "Mean size of the effect on the margin", "logit"),
        Metric("attribution_signed", "Mean effect on the margin", "logit"),
        Metric(
            "attribution_sum_gap",
            "Gap between the values' sum and the margin's change",
            "logit",
            higher_is_better=False,
        ),
        Metric("attribution_error", "Largest standard error of a sampled value", "logit"),
        Metric("protected_share", "Share held by protected attributes and proxies", "rate", higher_is_better=False),
        Metric("reason_share", "Adverse decisions it was a main reason of", "rate", least_n=ENOUGH_EXPLAINED),
        Metric(
            "protected_reason_share",
            "Adverse decisions with a protected main reason",
            "rate",
            higher_is_better=False,
            least_n=ENOUGH_EXPLAINED,
        ),
        Metric(
            "reasons_turn_decision",
            "Adverse decisions that turn without the main reasons",
            "rate",
            higher_is_better=True,
            least_n=ENOUGH_EXPLAINED,
        ),
    ),
)


class Settings(Section):
    """What is explained, against what, and at what cost.

    Attributes
    ----------
    reference
        ``typical``, or the id of an application of the run whose values are taken.
    select
        ``balanced`` takes applications whose recorded outcome was adverse and favourable in turns, so that there are
        adverse decisions to explain; ``random`` takes them as they come. Both are seeded.
    cases
        Applications that are explained by occlusion.
    shapley_cases
        The first so many of them get Shapley values too.
    tokens
        Most tokens of the whole test by estimate; cases that no longer fit are left out and counted.
    fields
        Players of the game by name; empty: all protected ones and those of largest occlusion.
    players
        Most players of a game whose players are not named.
    exact_up_to
        Up to so many players every coalition is evaluated; above, permutations are sampled. Under six there are so few
        orders that a sample of them would understate its error.
    standard_error
        Where sampling stops: the largest standard error as a share of the margin's range.
    pairs
        Most antithetic pairs of permutations.
    groups
        Fields that play as one, by the name of the group.
    """

    reference: Annotated[str, Field(min_length=1)] = "typical"
    select: Literal["balanced", "random"] = "balanced"
    cases: Annotated[int, Field(ge=1)] = 20
    shapley_cases: Annotated[int, Field(ge=0)] = 4
    tokens: Annotated[int, Field(ge=1000)] = 150_000
    fields: tuple[Identifier, ...] = ()
    players: Annotated[int, Field(ge=1, le=100)] = 10
    exact_up_to: Annotated[int, Field(ge=6, le=MOST_EXACT)] = 10
    standard_error: Share = 0.02
    pairs: Annotated[int, Field(ge=FIRST_PAIRS, le=10_000)] = 64
    groups: dict[Identifier, Annotated[tuple[Identifier, ...], Field(min_length=1)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _once(self) -> Settings:
        fields = [field for group in self.groups.values() for field in group]
        if len(set(fields)) != len(fields):
            raise ValueError("groups: a field is in two groups")
        return self
