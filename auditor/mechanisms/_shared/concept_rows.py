"""An attribute and the applications that a test looks at it in, as a payload keeps them. Needs no torch."""

from __future__ import annotations

from typing import Any

from auditor.mechanisms._shared.float_rows import Numbers
from auditor.testing.rows import Row


class ConceptCase(Row):
    """One application.

    Attributes
    ----------
    id
        The application's.
    group
        Its own group.
    words
        Of every field of the prompt.
    numbers
        Numbers and flags of the fields that an underwriter may weigh, by field.
    """

    id: str
    group: str
    words: dict[str, str]
    numbers: dict[str, float]


class Concept(Row):
    """The attribute ``field``, its ``groups``, and the applications; ``proxies`` are the fields that stand for it."""

    field: str
    groups: tuple[str, ...]
    reference: str
    proxies: tuple[str, ...]
    cases: tuple[ConceptCase, ...]

    def variants(self) -> list[dict[str, str]]:
        """The words of every application with every group stated in turn."""
        return [self.stated(case, group) for case in self.cases for group in self.groups]

    def stated(self, case: ConceptCase, word: str) -> dict[str, str]:
        """An application's words with ``word`` in the attribute's place."""
        return {**case.words, self.field: word}

    @property
    def about(self) -> dict[str, Any]:
        """What an :class:`About` takes."""
        return {"field": self.field, "reference": self.reference, "groups": self.groups}

    @property
    def ids(self) -> tuple[str, ...]:
        """The applications'."""
        return tuple(case.id for case in self.cases)


class About(Row):
    """The attribute that a result is about."""

    field: str
    reference: str
    groups: tuple[str, ...]


class Untouched(Row):
    """Margins of a model that nothing was changed in: of every case, one a group, application by application."""

    cases: tuple[str, ...]
    margins: Numbers
