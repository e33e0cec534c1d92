"""What the test says of itself, and its settings. Needs no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from auditor.plan_section import Section
from auditor.testing.card import Card, Metric

CARD = Card(
    name="sparse_features",
    purpose="Which sparse features of the states differ between groups, and whether decisions move with them.",
    method=(
        "A sparse autoencoder of one layer, trained on the audit's own prompts or loaded. Features are chosen on half "
        "of the applications by their share of the margin's difference (integrated gradients); on the other half they "
        "are ablated (x − f·W, the reconstruction error kept) or patched with the other group's values. The effect is "
        "ranked among those of random features of matched frequency and norm that move the states as far, draw by "
        "draw. Beside them the same number of coordinates of the residual stream and of principal components, and the "
        "difference of the groups' means."
    ),
    worrying=(
        "The difference between groups shrinks when a few features are taken out, more than with random features; it "
        "says in which features the attribute reaches the decision."
    ),
    limitations=(
        "A dictionary is one way to cut up the states; another one finds other features. What it leaves unexplained "
        "is kept and not spoken of. Features need not beat coordinates or principal components, which stand beside "
        "them. They are looked for in the stream between blocks, in any family whose blocks can be hooked, and not in "
        "what attention or MLPs add to it."
    ),
    references=(
        "Gao et al. (2024), Scaling and evaluating sparse autoencoders, arXiv:2406.04093",
        "Bussmann et al. (2024), BatchTopK sparse autoencoders, arXiv:2412.06410",
        "Mueller et al. (2025), MIB: a mechanistic interpretability benchmark, arXiv:2504.13151",
    ),
    needs_internals=True,
    question="used",
    label="Sparse features: which differ, and what moves with them",
    metrics=(
        Metric("sparse_unexplained", "Variance the dictionary leaves unexplained", "share"),
        Metric("sparse_active_features", "Active features a token", "count"),
        Metric("sparse_dead_features", "Features active on no held-out token", "rate"),
        Metric("sparse_margin_recovered", "Margin recovered with states rebuilt (SAE substitution)", "share"),
        Metric("sparse_entropy_recovered", "Cross-entropy recovered with states rebuilt (SAE substitution)", "share"),
        Metric("sparse_features_differing", "Features that differ between the groups", "count"),
        Metric("sparse_feature_difference", "Difference of a feature's activity", "activation"),
        Metric("sparse_feature_effect", "Difference of margins that goes with a feature", "logit"),
        Metric("sparse_gap_removed", "Difference of margins removed", "logit"),
        Metric("sparse_flip_rate", "Flip rate with the features ablated", "rate"),
        Metric("sparse_steering_shift", "Shift of the margin with the group's values patched in", "logit"),
    ),
)


class Settings(Section):
    """What is looked at, and at what cost; the dictionary's own settings stand in ``[settings.dictionary]``.

    Attributes
    ----------
    attributes
        Attributes of the plan by field; empty: all of them.
    applications
        Applications an attribute; the groups as filed in turns. Half of them choose, half measure.
    features
        Features reported a contrast, and how many each baseline takes out.
    random_draws
        Draws of random features, taken out and put in; 0: as many as the plan's level needs, m/α − 1 for m contrasts. A
        test says so where there are fewer. Nulls end after a few.
    spliced
        Held-out applications whose states are replaced by their reconstruction.
    """

    attributes: tuple[str, ...] = ()
    applications: Annotated[int, Field(ge=8)] = 48
    features: Annotated[int, Field(ge=1, le=100)] = 8
    random_draws: Annotated[int, Field(ge=0, le=9999)] = 0
    spliced: Annotated[int, Field(ge=1)] = 6
