"""Which question a finding answers, so that the same issue is known again in a later audit of the same design.

A finding speaks of a contrast from all its outcome measurements together, and which of them leads may change from one
version to the next. What asks the same of the same groups is therefore one question, whichever measurement leads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.behaviour.metrics import (
    CF_MEAN_SHIFT_SD,
    CF_NET_EFFECT,
    CF_NET_EFFECT_MATCHED,
    CF_RANGE_EFFECT,
    REFUSAL_RATE_GAP,
    REFUSED_GAP,
)
from auditor.records import AS_FILED_CASES, Conclusion

CUT_OFFS = (CF_NET_EFFECT, CF_RANGE_EFFECT, CF_NET_EFFECT_MATCHED, CF_MEAN_SHIFT_SD)
PLAIN = frozenset({"field", "group"})
"""What a subject names that is of all applications of a group, and not of a segment of them."""

#: Metrics that are one question, by what is asked; any other metric is a question of its own.
TOGETHER: Mapping[str, str] = {
    **dict.fromkeys(CUT_OFFS, "decisions where one field is changed"),
    **dict.fromkeys((REFUSAL_RATE_GAP, REFUSED_GAP), "answers that can be read"),
}
AS_FILED, TAKEN, DECIDES = "decisions as filed", "decisions taken", "whether the model decides"


def question_of(
    *, test: str, metric: str, subject: Mapping[str, str], reference: str | None, decides: bool = False
) -> dict[str, Any]:
    """What a finding asks, as plain data: the same for the same issue, whatever its numbers.

    Parameters
    ----------
    test, metric, subject, reference
        Of the measurement that the finding is graded by.
    decides
        Whether it speaks of the model as a whole, which hardly decides; see `speaks_of_the_model`.
    """
    if decides:
        return {"question": DECIDES, "subject": {}, "reference": None}
    asked = TOGETHER.get(metric)
    if asked is None:
        from auditor.catalogue import card_of  # which loads every test's card: processes that only wait need none

        card, plain = card_of(test), PLAIN.issuperset(subject)
        if test == "group_rates" and plain:
            asked = AS_FILED
        elif card is not None and card.needs_decision_file and plain:
            asked = TAKEN
        else:
            asked = f"{test}: {metric}"
    return {"question": asked, "subject": dict(sorted(subject.items())), "reference": reference}


def speaks_of_the_model(*, cases: str, conclusion: str | None) -> bool:
    """Whether a finding is the one on a model that hardly decides: it speaks of all cases as filed, and of no group."""
    return cases == AS_FILED_CASES and conclusion == Conclusion.INCONCLUSIVE


def settled(*, cases: str, conclusion: str | None) -> bool:
    """Whether a run could tell what a finding says; one that *cannot say* whether groups differ lacked the power."""
    return conclusion != Conclusion.INCONCLUSIVE or speaks_of_the_model(cases=cases, conclusion=conclusion)
