"""How each chart on outputs is read, and the numbers that it draws: what a page has under it."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.behaviour.metrics import (
    ANSWER_MASS,
    CF_CURVE_EFFECT,
    CF_MEAN_SHIFT,
    CF_NET_EFFECT,
    CF_NET_EFFECT_MATCHED,
    CF_RANGE_EFFECT,
    MARGIN_SD,
    NEAR_CUT_OFF,
    SELECTION_RATE,
)
from auditor.records import Measurement, Role
from reports.price_charts import NAME as PRICES
from reports.price_charts import is_price_gap

READING = {
    "effects": "One pair is one application, put to the model twice with only the field changed. Marker: estimate, its "
    "shape is the conclusion. Line: interval. Band: practical threshold. Plumb line: no difference.",
    "effects-range": "The same at the cut-off of the plan's range where it is largest; the interval holds for all "
    "cut-offs at once.",
    "effects-matched": "The same with one cut-off for all arms, set so that the reference arm's approval rate is the "
    "share of favourable outcomes in the data.",
    "cut-off-curve": "The effect at every cut-off of the range. Grey: simultaneous interval. Ring: the largest.",
    "readability": "How many more answers of the group cannot be read than of the reference.",
    "margin-shift": "Mean paired difference of the score, in standard deviations of the reference arm's scores.",
    "rates": "Wilson intervals. Square: reference group. The upper half compares different applicants, the lower "
    "half the same applications with one field changed.",
    PRICES: "What approved applicants were charged or granted, group minus reference, in standard "
    "deviations: plain, and at equal recorded factors. Of a price higher is worse for the group, of an amount lower.",
    "power": "The smallest difference each contrast could have seen at the plan's power; a bar beyond the grey band "
    "could have missed one of the practical threshold.",
    "margins": "Each row is the distribution of one arm's scores, the log-odds of the favourable answers. Line with "
    "the bob: the model's own cut-off. Dashed: the matched one.",
}
EFFECTS = (CF_NET_EFFECT, CF_NET_EFFECT_MATCHED, CF_RANGE_EFFECT)
RATES = ("group_rates", "arm_rates", "observed_rates")
BEHIND_SCORES = (CF_MEAN_SHIFT, ANSWER_MASS, MARGIN_SD, NEAR_CUT_OFF)


def drawn_by(name: str, measurements: Sequence[Measurement]) -> list[Measurement]:
    """The numbers of a chart whose section prints no table of them."""
    if name == "cut-off-curve":
        return [item for item in measurements if item.metric == CF_CURVE_EFFECT]
    if name == "rates":
        return [
            i
            for i in measurements
            if i.metric == SELECTION_RATE and i.test in ("group_rates", "arm_rates", "observed_rates")
        ]
    if name == PRICES:
        return [item for item in measurements if is_price_gap(item)]
    if name == "power":
        return [item for item in measurements if item.metric in EFFECTS and item.role is Role.PRIMARY]
    if name == "margins":
        return [item for item in measurements if item.metric in BEHIND_SCORES]
    return []
