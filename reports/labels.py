"""What every name in a measurement is called where people read it: units, roles, families, subjects.

Metrics and tests are called as their cards say (`auditor.testing.card`); only what has no card has its words here.
"""

from __future__ import annotations

from functools import cache

#: Metrics that stand on no card: of what is read from other measurements, of comparisons, and those that packs name.
OTHER_METRICS = {
    "attribute_ladder": "Highest step that holds",
    "cf_invalid_gap": "Difference of unreadable answers",
    "not_tested": "The test as a whole",
    "overt_reference_rate": "Reasons that name a protected basis",
    "probe_untrained_accuracy": "Balanced accuracy with random weights",
    "quality_gap": "Difference of answer quality",
    "reason_consistency": "Reason consistency across matched pairs",
    "reason_fidelity": "Adverse-action reason fidelity",
    "version_effect_change": "Change of the effect on approvals",
    "version_flip_rate": "Outcomes that changed",
    "version_margin_change": "Change of the score",
    "version_net_change": "Change of the approval rate",
    "version_range_change": "Largest change of the effect over the cut-offs",
    "version_refusal_change": "Change of unreadable answers",
    "version_refusal_gap": "Gap in unreadable answers",
}
OTHER_TESTS = {"ladder": "Ladder", "version_comparison": "The same cases, two versions of the model"}


@cache
def metric_labels() -> dict[str, str]:
    """Every metric in words. Cards are read with the first: with them come the libraries that tests measure by."""
    from auditor.catalogue import TESTS

    return {metric.name: metric.label for test in TESTS.values() for metric in test.CARD.metrics} | OTHER_METRICS


@cache
def labels_of_tests() -> dict[str, str]:
    """Every test in words."""
    from auditor.catalogue import TESTS

    return {name: test.CARD.label for name, test in TESTS.items()} | OTHER_TESTS


#: What a number is counted in, as a column says it.
UNIT_LABELS = {
    "rate": "%",
    "rate_difference": "pp",
    "sd": "SD of scores",
    "ratio": "ratio",
    "logit": "logits",
    "share": "",
    "count": "",
    "people": "people",
    "cosine": "cosine",
    "activation": "activation",
    "chi_squared": "χ²",
}
ROLE_LABELS = {
    "primary": "primary",
    "secondary": "secondary",
    "exploratory": "exploratory",
    "supporting": "supporting",
}
#: Families without words here are named by their own, which are words: ``inside: erasure``.
FAMILY_LABELS = {
    "primary": "approvals at the model's own cut-off",
    "readability": "readability of answers",
    "cut-off range": "approvals over the range of cut-offs",
    "matched operating point": "approvals at the matched cut-off",
    "margin shift": "change of the score",
    "exploratory: same applicants": "exploratory, same applications",
    "exploratory: decisions turned": "exploratory, decisions that turn",
    "exploratory: as filed": "exploratory, different applicants as filed",
    "exploratory": "exploratory",
}
CONCLUSION_LABELS = {
    "DIFFERENCE_FOUND": "difference found",
    "DIFFERENCE_BELOW_THRESHOLD": "small difference below the threshold",
    "NO_EVIDENCE": "no evidence of a difference",
    "EQUIVALENT_WITHIN_MARGIN": "equivalent within the margin",
    "INCONCLUSIVE": "cannot say",
    "NOT_TESTED": "not tested",
}
#: What stands before the value of a key of a subject; nothing where the value says enough.
SUBJECT_LABELS = {
    "version": "version",
    "at": "",
    "attribute": "attribute",
    "by": "by",
    "change": "",
    "changed": "changed:",
    "compared_with": "against the",
    "circuit": "circuit:",
    "cut_off": "",
    "decoded": "decoded by",
    "describer": "described by",
    "dose": "dose",
    "feature": "feature",
    "field": "",
    "from": "from",
    "group": "",
    "head": "head",
    "labels": "labels:",
    "layer": "layer",
    "method": "",
    "node": "",
    "pairs": "pairs:",
    "path": "",
    "position": "at",
    "role": "",
    "setting": "",
    "share_of_edges": "share of edges",
    "states": "states",
    "to": "to",
    "what": "",
    "within": "within segments of",
    "segment": "segment",
    "reason": "reason:",
}
#: Values of subjects that do not say enough by themselves, by their key.
VALUE_LABELS = {
    ("method", "shapley"): "Shapley values",
    ("change", "reask"): "Asked again, nothing changed",
    ("change", "placebo"): "Placebo field changed",
    ("cut_off", "natural"): "the model's own cut-off",
    ("cut_off", "matched"): "the matched cut-off",
    ("cut_off", "largest"): "the cut-off of the largest difference",
    ("role", "actual"): "as filed",
    ("setting", "withheld"): "field withheld",
    ("setting", "stated"): "field stated",
}
#: Roles of cases in the evidence, and what a chunk of work is doing.
CASE_ROLE_LABELS = {
    "actual": "as filed",
    "counterfactual": "one field changed",
    "placebo": "placebo changed",
    "reask": "asked again",
    "record": "in the decision file",
}
#: Arms of the controls, and their values, beside those of groups.
CONTROL_ARM_LABELS = {"reask": "asked again", "placebo": "placebo"}
ARM_LABELS = {
    "reask=first": "the first time",
    "reask=second": "the second time",
    "placebo=filed": "as filed",
    "placebo=changed": "changed",
}
OUTCOME_LABELS = {"invalid": "cannot be read"}
CHUNK_LABELS = {"shared": "scoring", "unshared": "asking again"}
