"""Whether a system is the same from the start of a run to its end: a fixed set of questions, asked three times.

The questions are cases of the run itself, asked again at the start, in the middle and at the end. A dated model
id or a fingerprint that is another, and answers that are others than replicates alone explain, are named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from auditor.systems.asking import Request, Response

Item = TypeVar("Item")


DRIFT_CASES = 10
"""Applications that are asked again at each moment."""


class Moment(StrEnum):
    """When the questions are asked."""

    START = "drift start"
    MIDDLE = "drift middle"
    END = "drift end"


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What changed between two moments.

    Attributes
    ----------
    asked
        Questions.
    changed
        Those whose answer (text, tool call, way of ending) is another.
    models, fingerprints
        Those named, in the order in which they came up; more than one: it changed.
    held
        Whether nothing that names the system changed. Answers may differ between two moments of a system that samples;
        ``changed`` is to be read against its replicates.
    """

    asked: int
    changed: int
    models: tuple[str, ...]
    fingerprints: tuple[str, ...]

    @property
    def held(self) -> bool:
        """See above."""
        return len(self.models) <= 1 and len(self.fingerprints) <= 1

    def sentence(self) -> str:
        """What to say of it, in one line."""
        parts = []
        if len(self.models) > 1:
            parts.append(f"the model named by its answers changed: {', then '.join(self.models)}")
        if len(self.fingerprints) > 1:
            parts.append(f"the fingerprint changed: {', then '.join(self.fingerprints)}")
        parts.append(f"{self.changed} of {self.asked} answers that were asked for again are others")
        return "; ".join(parts)


def fixed(items: Sequence[Item], *, count: int) -> list[Item]:
    """So many of these, spread evenly, always the same ones."""
    if count >= len(items):
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]


def again(requests: Sequence[Request], moment: Moment) -> list[Request]:
    """The same questions as requests of their own."""
    return [replace(request, occasion=str(moment)) for request in requests]


def compare(moments: Sequence[Sequence[Response]], *, between: Sequence[Response] = ()) -> Drift:
    """What changed.

    Parameters
    ----------
    moments
        The answers of each moment, in the order of the questions; at least one moment.
    between
        All other answers of the run: they name models and fingerprints too.
    """
    first = moments[0]
    changed = {
        index
        for later in moments[1:]
        for index, (one, other) in enumerate(zip(first, later, strict=True))
        if _said(one) != _said(other)
    }
    # First the start, then the run, then what came later: a change in the middle of a run shows as one.
    order = [*first, *between, *(answer for later in moments[1:] for answer in later)]
    return Drift(
        asked=len(first),
        changed=len(changed),
        models=tuple(dict.fromkeys(answer.model for answer in order if answer.model)),
        fingerprints=tuple(dict.fromkeys(answer.fingerprint for answer in order if answer.fingerprint)),
    )


def _said(answer: Response) -> tuple[str, str, str]:
    return answer.text, answer.tool, str(answer.finish)
