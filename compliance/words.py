"""Words of reports that pages say by themselves, so that they can be said in German.

Reports are kept in English, whoever reads them: what is hashed is one text. A page translates the few words of theirs
that it puts into its own lists and marks, and shows their sentences as they were written.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext

from auditor.records import Conclusion, Severity
from reports import wording
from reports.labels import ARM_LABELS, CASE_ROLE_LABELS, CONTROL_ARM_LABELS, OUTCOME_LABELS


def translated(text: str) -> str:
    """A word of a report in the reader's language; as it is where it is none of :func:`borrowed_words`."""
    return gettext(text) if text else text


def borrowed_words() -> Iterator[str]:
    """Every word that :func:`translated` may be given, for whoever gathers what is to be translated."""
    for labels in (ARM_LABELS, CASE_ROLE_LABELS, CONTROL_ARM_LABELS, OUTCOME_LABELS):
        yield from labels.values()
    for severity in Severity:
        yield from (severity.value, severity.value.capitalize())
    for conclusion in Conclusion:
        words = wording.conclusion_words(conclusion)
        yield from (words, wording.sentence_case(words))
