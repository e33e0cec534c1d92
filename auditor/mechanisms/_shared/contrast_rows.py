"""Applications with one field changed at a time, as payloads keep them. Needs no torch."""

from __future__ import annotations

from auditor.mechanisms.sae.rows import DictionaryPayload
from auditor.testing.rows import Row

Value = bool | int | float | str | None
"""A field's number or words; ``None`` where nothing is stated."""


class Change(Row):
    """One field changed: to which words, and the value behind them."""

    field: str
    words: str
    value: Value


class ContrastCase(Row):
    """One application: its words and values by field as filed, and its changes, one at a time."""

    id: str
    words: dict[str, str]
    values: dict[str, Value]
    changes: tuple[Change, ...]


class ContrastCases(Row):
    """The applications, and the labels of their fields."""

    labels: dict[str, str]
    cases: tuple[ContrastCase, ...]

    @property
    def prompts(self) -> int:
        """How many prompts they stand for."""
        return sum(1 + len(case.changes) for case in self.cases)


class FeaturesPayload(Row):
    """What a chunk is given that reads contrasts through the run's dictionary.

    Attributes
    ----------
    contrasts
        The applications.
    attributes
        Protected fields of the plan; each is changed to every other group.
    placebo
        The field whose change means nothing, if the plan has one.
    dictionary
        What the dictionary follows from.
    """

    contrasts: ContrastCases
    attributes: tuple[str, ...]
    placebo: str | None
    dictionary: DictionaryPayload
