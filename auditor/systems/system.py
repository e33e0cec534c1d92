"""The contract of everything that answers: it says what it is, is probed once, and is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from auditor.systems.abilities import Abilities

Asked_contra = TypeVar("Asked_contra", contravariant=True)
Answered_co = TypeVar("Answered_co", covariant=True)


class AnsweringSystem(Protocol[Asked_contra, Answered_co]):
    """A system that answers.

    Attributes
    ----------
    source
        The line that names it: ``endpoint:NAME`` or ``service:NAME``.
    """

    source: str

    @property
    def identity(self) -> Mapping[str, Any]:
        """What it is, as plain data without a key: address, dialect, model. A run is bound to it."""
        ...

    def probe(self) -> Abilities:
        """Measure what it can do. Asks a few made-up questions, and each of them once for one store."""
        ...

    def ask(self, requests: Sequence[Asked_contra]) -> Sequence[Answered_co]:
        """Answers in the order of the requests. What the store holds is not asked again.

        Raises
        ------
        SystemStopped
            If the rest cannot be had now; what was answered is kept.
        """
        ...

    def close(self) -> None:
        """Let go of connections and of the store."""
        ...
