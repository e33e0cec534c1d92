"""What a comparison of two versions says of itself and of its numbers: no test of a plan, and worded like one."""

from __future__ import annotations

from auditor.testing.card import Card, Metric

FLIP_RATE = "version_flip_rate"
NET_CHANGE = "version_net_change"
MARGIN_CHANGE = "version_margin_change"
REFUSAL_CHANGE = "version_refusal_change"
REFUSAL_GAP = "version_refusal_gap"
EFFECT_CHANGE = "version_effect_change"
RANGE_CHANGE = "version_range_change"

CARD = Card(
    name="version_comparison",
    label="The same cases, two versions of the model",
    purpose="Whether two versions of a model decide the same cases differently, and whether groups differ in it.",
    method="Runs of one design on both versions are compared case by case; families are adjusted by Holm.",
    worrying="An effect that grew, or answers of one group that can no longer be read.",
    limitations="It says what changed between two versions, not which of them is the better one.",
    metrics=(
        Metric(FLIP_RATE, "Outcomes that changed", "rate"),
        Metric(NET_CHANGE, "Change of the approval rate", "rate_difference"),
        Metric(MARGIN_CHANGE, "Change of the score", "logit"),
        Metric(REFUSAL_CHANGE, "Change of unreadable answers", "rate_difference", higher_is_better=False),
        Metric(REFUSAL_GAP, "Gap in unreadable answers", "rate_difference", higher_is_better=False),
        Metric(EFFECT_CHANGE, "Change of the effect on approvals", "rate_difference", higher_is_better=True),
        Metric(
            RANGE_CHANGE, "Largest change of the effect over the cut-offs", "rate_difference", higher_is_better=True
        ),
    ),
    subjects={"version": "version"},
)
