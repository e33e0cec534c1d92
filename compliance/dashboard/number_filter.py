"""An audit's numbers, narrowed to a test, a group or a conclusion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.http import QueryDict
from django.utils.translation import gettext as _

from auditor.records import Measurement
from compliance.dashboard.asked import choice
from compliance.words import translated
from reports import wording
from reports.blocks import Numbers

NONE_DRAWN = "none"
"""The choice for numbers of which no conclusion is drawn."""


@dataclass(frozen=True, kw_only=True)
class NumberFilter:
    """What somebody asks to see; each is empty for everything."""

    test: str = ""
    group: str = ""
    conclusion: str = ""

    def lets_through(self, item: Measurement) -> bool:
        """Whether a number is shown."""
        return (
            self.test in ("", item.test)
            and self.group in ("", item.subject.get("group", ""))
            and self.conclusion in ("", item.conclusion or NONE_DRAWN)
        )

    def narrowed(self, numbers: Numbers) -> tuple[Measurement, ...]:
        """The numbers that it lets through, in their order."""
        return tuple(item for item in numbers.measurements if self.lets_through(item))


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What a table of numbers can be narrowed to: value and words of each."""

    tests: tuple[tuple[str, str], ...]
    groups: tuple[tuple[str, str], ...]
    conclusions: tuple[tuple[str, str], ...]

    @property
    def any(self) -> bool:
        """Whether there is anything to choose."""
        return any(len(items) > 1 for items in (self.tests, self.groups, self.conclusions))


def choices_of(numbers: Numbers) -> Choices:
    """The tests, groups and conclusions that stand in a table."""
    items = numbers.measurements
    tests = dict.fromkeys(item.test for item in items)
    groups = sorted({item.subject["group"] for item in items if item.subject.get("group")})
    said = {item.conclusion or NONE_DRAWN for item in items}
    codes = [code.value for code in wording.CONCLUSION_ORDER if code.value in said]
    words = [(code, translated(wording.sentence_case(wording.conclusion_words(code)))) for code in codes]
    return Choices(
        tests=_named(tuple(tests)),
        groups=tuple((group, group) for group in groups),
        conclusions=(*words, *(((NONE_DRAWN, _("None is drawn")),) if NONE_DRAWN in said else ())),
    )


def _named(tests: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Each test by the first part of its label, or by the whole where several begin alike."""
    labels = {test: wording.test_label(test) for test in tests}
    first = Counter(label.partition(":")[0] for label in labels.values())
    return tuple(
        (test, short if first[short := label.partition(":")[0]] == 1 else label) for test, label in labels.items()
    )


def filter_from(asked: QueryDict, choices: Choices) -> NumberFilter:
    """The filter of an address.

    Raises
    ------
    Http404
        For a test, group or conclusion of which no number stands in the table.
    """
    return NumberFilter(
        test=choice(asked, "test", [value for value, _ in choices.tests]),
        group=choice(asked, "group", [value for value, _ in choices.groups]),
        conclusion=choice(asked, "conclusion", [value for value, _ in choices.conclusions]),
    )
