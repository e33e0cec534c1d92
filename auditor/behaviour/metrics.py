"""Names of the metrics of tests on outputs, once: cards give them words, whoever reads measurements compares them."""

from __future__ import annotations

# counterfactual.py
CF_NET_EFFECT = "cf_net_effect"
CF_NET_EFFECT_MATCHED = "cf_net_effect_matched"
CF_RANGE_EFFECT = "cf_range_effect"
CF_CURVE_EFFECT = "cf_curve_effect"
CF_FLIP_RATE = "cf_flip_rate"
CF_FLIP_RATE_AGAINST = "cf_flip_rate_against"
CF_FLIP_RATE_TOWARDS = "cf_flip_rate_towards"
CF_MEAN_SHIFT = "cf_mean_shift"
CF_MEAN_SHIFT_SD = "cf_mean_shift_sd"
CF_MARGIN_FELL_SHARE = "cf_margin_fell_share"
REFUSAL_RATE_GAP = "refusal_rate_gap"
NEAR_CUT_OFF = "near_cut_off"

# arm_rates.py
SELECTION_RATE = "selection_rate"
INVALID_RATE = "invalid_rate"
ANSWER_MASS = "answer_mass"

# group_rates.py
IMPACT_RATIO = "impact_ratio"
RISK_DIFFERENCE = "risk_difference"
SMD = "smd"
DENIAL_ODDS_RATIO = "denial_odds_ratio"
SHORTFALL = "shortfall"

# model_quality.py
OBSERVED_RATE = "observed_rate"
LOW_MASS_SHARE = "low_mass_share"
COMMONEST_OUTCOME_SHARE = "commonest_outcome_share"
MARGIN_SD = "margin_sd"
AUC = "auc"

# noise_floor.py
CF_NOISE_FLOOR = "cf_noise_floor"
CF_EXCESS_FLIP = "cf_excess_flip"
NOISE_MARGIN = "noise_margin"
