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
REFUSED_GAP = "refused_gap"
NEAR_CUT_OFF = "near_cut_off"

# arm_rates.py
SELECTION_RATE = "selection_rate"
INVALID_RATE = "invalid_rate"
REFUSED_RATE = "refused_rate"
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
BEYOND_REPLICATES = "beyond_replicates"

# same_system.py
CHANGED_WHEN_ASKED_AGAIN = "changed_when_asked_again"

# amount_gaps.py
CF_AMOUNT_GAP = "cf_amount_gap"
CF_AMOUNT_GAP_SD = "cf_amount_gap_sd"

# reasons_given.py
CF_REASON_CHANGE = "cf_reason_change"
CF_REASON_GAP = "cf_reason_gap"

# generated_text.py
TEXTS_IN_DOUBT = "texts_in_doubt"

# observed/equal_factors.py
ADJUSTED_DIFFERENCE = "adjusted_difference"
CONDITIONAL_DENIAL_ODDS_RATIO = "conditional_denial_odds_ratio"

# observed/human_agreement.py
HUMAN_AGREEMENT = "human_agreement"
KAPPA = "kappa"
AGREEMENT_GAP = "agreement_gap"
RAISED_GAP = "raised_gap"
LOWERED_GAP = "lowered_gap"

# observed/later_outcomes.py
LATER_GAP = "later_gap"
EQUAL_OPPORTUNITY_DIFFERENCE = "equal_opportunity_difference"
EQUALIZED_ODDS_DIFFERENCE = "equalized_odds_difference"
EQUALIZED_ODDS_RATIO = "equalized_odds_ratio"
CALIBRATION_GAP = "calibration_gap"
RESIDUAL_SMD = "residual_smd"

# observed/likely_groups.py
WEIGHTED_DIFFERENCE = "weighted_difference"
WEIGHTED_RATIO = "weighted_ratio"
THRESHOLDED_DIFFERENCE = "thresholded_difference"
THRESHOLDED_RATIO = "thresholded_ratio"

# observed/marginal_applicants.py
NEAR_LINE_DIFFERENCE = "near_line_difference"
OVERLAP_GAP = "overlap_gap"
OUTRANKING_RATE = "outranking_rate"

# observed/prices.py
PRICE_GAP = "price_gap"
PRICE_GAP_SD = "price_gap_sd"
PRICE_GAP_ADJUSTED = "price_gap_adjusted"
PRICE_GAP_ADJUSTED_SD = "price_gap_adjusted_sd"
AMOUNT_GAP = "amount_gap"
AMOUNT_GAP_SD = "amount_gap_sd"
AMOUNT_GAP_ADJUSTED = "amount_gap_adjusted"
AMOUNT_GAP_ADJUSTED_SD = "amount_gap_adjusted_sd"

# observed/rates.py
NEITHER_RATE = "neither_rate"
NEITHER_GAP = "neither_gap"

# observed/reasons.py
REASON_GAP = "reason_gap"

# observed/scores.py
SCORING_RATE = "scoring_rate"
SCORING_RATE_IMPACT_RATIO = "scoring_rate_impact_ratio"

# observed/segments.py
SEGMENTED_DIFFERENCE = "segmented_difference"
SEGMENTED_RATIO = "segmented_ratio"
MANTEL_HAENSZEL_RATIO = "mantel_haenszel_ratio"
MANTEL_HAENSZEL_ODDS_RATIO = "mantel_haenszel_odds_ratio"
SEGMENTS_DIFFER = "segments_differ"
