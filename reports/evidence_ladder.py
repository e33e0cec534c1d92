"""How far up an attribute stands inside the model, in words: the ladder, and outputs crossed with internals.

Read from the ladder's own measurements and from those it was read from; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from auditor.records import Measurement
from auditor.synthesis.ladder import METRIC, grade_of, said, summary_of
from auditor.synthesis.ladder_steps import Step
from reports import wording

EXPLAINED = (
    "Encoded: a linear probe finds the attribute in the model's states although the prompt withholds it; where the "
    "prompt states it, that is so by construction and says nothing. Selective: where it is stated, it is read better "
    "than words without a meaning in its place. Used: erasing it after its field moves the difference between groups, "
    "further than erasing labels without a meaning. Usable: adding its direction moves the score, further than "
    "directions of labels without a meaning. The first two are correlational evidence. The last two are called causal "
    "only where more decisions turned than under their controls; otherwise they move the score. Internals alone never "
    "make a finding above Low. A step that holds does not make the ones before it hold."
)


@dataclass(frozen=True)
class LadderRow:
    """One contrast on the ladder, and what its outputs and its internals say."""

    contrast: str
    field: str
    steps: tuple[Step, ...]
    outputs: bool | None
    inside: bool | None
    said: str
    measurement: Measurement

    @property
    def grade(self) -> str:
        """What kind of evidence carries it."""
        return grade_of(self.measurement)

    @property
    def by(self) -> str:
        """Which interventions moved the score or decisions."""
        return " and ".join(step.name for step in self.steps[2:] if step.held)


@dataclass(frozen=True)
class Corner:
    """One cell of outputs × internals: its name, what to make of it, and who stands in it."""

    outputs: bool
    inside: bool
    name: str
    advice: str
    members: tuple[LadderRow, ...]


ROWS = {True: "Outputs: a difference was found", False: "Outputs: none was found"}
COLUMNS = {
    False: "Internals: no intervention on the attribute moved the score beyond its controls",
    True: "Internals: an intervention on the attribute moved the score or decisions",
}
CORNERS = {
    (True, False): ("Difference, use not found", "Look for a proxy or another path through the model."),
    (True, True): ("Difference, and moved inside", "Treat the attribute as a cause until shown otherwise."),
    (False, False): ("No evidence in either", "Says nothing about other applicants or prompts."),
    (False, True): ("Moved inside, not seen in outputs", "May surface on other applicants or another prompt."),
}


def ladder_rows(measurements: Sequence[Measurement]) -> list[LadderRow]:
    """Where every contrast stands that the ladder speaks of, in its order."""
    return [_row(item) for item in measurements if item.metric == METRIC]


def corners(found: Sequence[LadderRow]) -> list[Corner]:
    """The four cells, row by row: with a difference in outputs first, moved inside last."""
    return [
        Corner(
            outputs,
            inside,
            *CORNERS[outputs, inside],
            tuple(item for item in found if (item.outputs, item.inside) == (outputs, inside)),
        )
        for outputs in (True, False)
        for inside in (False, True)
    ]


def outside(found: Sequence[LadderRow]) -> list[LadderRow]:
    """Those that stand in no cell, because outputs or internals cannot say."""
    return [item for item in found if item.outputs is None or item.inside is None]


def outside_words(found: Sequence[LadderRow]) -> list[str]:
    """Who stands in no cell and why, a sentence a reason; what kind of evidence there is stands in the ladder."""
    reasons: dict[str, list[str]] = {}
    for item in outside(found):
        why = item.said.partition(" Evidence:")[0].rstrip(".")
        reasons.setdefault(wording.lower_first(why), []).append(item.contrast)
    return [f"In no cell: {'; '.join(names)} ({why})." for why, names in reasons.items()]


def _row(item: Measurement) -> LadderRow:
    field = item.subject["field"]
    return LadderRow(
        contrast=f"{wording.sentence_case(wording.field_words(field))}: {wording.contrast(item)}",
        field=field,
        steps=tuple(replace(step, reason=wording.with_p_values(step.reason)) for step in said(item)),
        outputs=_held(item.counts.get("output_difference")),
        inside=_held(item.counts.get("moved_inside")),
        said=summary_of(item),
        measurement=item,
    )


def _held(value: float | None) -> bool | None:
    return None if value is None else bool(value)
