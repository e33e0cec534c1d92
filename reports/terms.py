"""What the words of a report mean, for somebody who reads one for the first time."""

from __future__ import annotations


def terms(noun: str) -> tuple[tuple[str, str], ...]:
    """Term and meaning; ``noun`` is what the plan's favourable answers are called."""
    return (
        (
            "Score",
            "The log-odds of the favourable against the adverse answers, in logits. Above the cut-off the model's "
            "answer is favourable.",
        ),
        (
            "Own cut-off",
            "The score at which the model itself changes its answer; the plan names it, usually 0.",
        ),
        (
            "Matched cut-off",
            "One cut-off for all arms, set so that the reference arm gets as many "
            f"{noun} as the data record, or as the plan names.",
        ),
        (
            "Range of cut-offs",
            "Every cut-off that approves a share of the reference arm within the plan's range. The largest difference "
            "among them is tested as one.",
        ),
        ("Arm", "All applications with one field set to one group, every other word as filed."),
        (
            "Cannot be read",
            "The answer was refused, named none of the planned answers, or had too little probability on them; such a "
            "case is not favourable.",
        ),
        (
            "Unadjusted, simultaneous",
            "An unadjusted interval speaks of one contrast alone. A simultaneous one holds for a whole curve at once. "
            "Adjusted p-values speak of all contrasts that were tested together, and decide; q is that of exploratory "
            "tests.",
        ),
        ("MDE", "The smallest difference that the test would have found with the plan's power."),
        (
            "z, SD of scores",
            "z counts standard errors of the test from no difference; SD of scores is how far the "
            "reference arm's scores spread.",
        ),
        (
            "Placebo (negative control)",
            "A field that should not matter, changed in every application: what moves with it is noise.",
        ),
        (
            "Asked again (test–retest)",
            "The same prompt once more, by itself: what changes then changes without any cause.",
        ),
    )
