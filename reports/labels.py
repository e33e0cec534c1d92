"""What every name in a measurement is called where people read it: units, roles, families, subjects.

Metrics and tests are called as their cards say (`auditor.testing.card`); only what has no card has its words here.
"""

from __future__ import annotations

from functools import cache

from auditor.testing.card import Card, Metric

#: Metrics that stand on no card: those that packs name and no test here gives, and those of earlier versions.
OTHER_METRICS = {
    "cf_invalid_gap": "Difference of unreadable answers",
    "not_tested": "The test as a whole",
    "overt_reference_rate": "Reasons that name a protected basis",
    "probe_untrained_accuracy": "Balanced accuracy with random weights",
    "quality_gap": "Difference of answer quality",
    "reason_consistency": "Reason consistency across matched pairs",
    "reason_fidelity": "Adverse-action reason fidelity",
}


@cache
def _cards() -> tuple[Card, ...]:
    """Every card, those of installed packages too. With the first go the libraries that tests measure by."""
    from auditor.catalogue import TESTS
    from auditor.comparison_card import CARD as COMPARISON
    from auditor.synthesis.card import CARD as LADDER

    return (*(test.CARD for test in TESTS.values()), LADDER, COMPARISON)


@cache
def metrics() -> dict[str, Metric]:
    """Every metric that stands on a card, by name."""
    return {metric.name: metric for card in _cards() for metric in card.metrics}


@cache
def metric_labels() -> dict[str, str]:
    """Every metric in words."""
    return {name: metric.label for name, metric in metrics().items()} | OTHER_METRICS


@cache
def labels_of_tests() -> dict[str, str]:
    """Every test in words."""
    return {card.name: card.label for card in _cards()}


@cache
def subject_labels() -> dict[str, str]:
    """What stands before the value of a key of a subject: shared by tests, or a card's own."""
    return {key: words for card in _cards() for key, words in card.subjects.items()} | SUBJECT_LABELS


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
    "exploratory: refusals": "exploratory, refusals",
    "exploratory: amounts": "exploratory, amounts",
    "exploratory: reasons": "exploratory, reasons given",
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
#: What stands before the value of a key of a subject that several tests share; nothing where the value says enough.
SUBJECT_LABELS = {
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
    ("change", "replicate"): "Asked again, another draw",
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
OUTCOME_LABELS = {"invalid": "neither answer", "refused": "refused", "unreadable": "cannot be read"}
CHUNK_LABELS = {"shared": "scoring", "unshared": "asking again", "asked": "asking", "drift": "asking again"}
