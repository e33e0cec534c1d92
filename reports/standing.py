"""How far up an attribute stands inside the model, in words: the ladder, and outputs crossed with internals.

Read from the ladder's own measurements and from those it was read from; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.mechanisms.ladder import GAP_REMOVED, METRIC, READABLE, SELECTIVITY, STEERED, STEPS
from auditor.records import Measurement
from reports import numbers, wording

NOT_IN_RUN = "not part of this run"
#: Logits: smaller ones are printed with three decimals.
FINE_BELOW = 0.1
SAYS = {True: "yes", False: "no", None: "not tested"}
EXPLAINED = (
    "Encoded: a linear reader finds the attribute in the model's states. Selective: better than words without a "
    "meaning, random weights and chance. Used: erasing it after its field moves the difference between groups, "
    "further than erasing random directions. Usable: adding its direction moves the margin, further than random "
    "directions. The first two are correlational evidence, the last two causal; encoded and selective alone never make "
    "a finding above Low. A step that holds does not make the ones before it hold."
)


@dataclass(frozen=True)
class Step:
    """One rung: ``held`` is yes, no or not tested (``None``), ``figure`` what it was read from."""

    name: str
    held: bool | None
    figure: str

    @property
    def says(self) -> str:
        """``yes``, ``no`` or ``not tested``."""
        return SAYS[self.held]


@dataclass(frozen=True)
class Standing:
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
        return "causal" if self.inside else "correlational"

    @property
    def by(self) -> str:
        """Which interventions moved decisions."""
        return " and ".join(step.name for step in self.steps[2:] if step.held)


@dataclass(frozen=True)
class Corner:
    """One cell of outputs × internals: its name, what to make of it, and who stands in it."""

    outputs: bool
    inside: bool
    name: str
    advice: str
    members: tuple[Standing, ...]


ROWS = {True: "Outputs: a difference was found", False: "Outputs: none was found"}
COLUMNS = {
    False: "Internals: no intervention on the attribute moved decisions",
    True: "Internals: an intervention on the attribute moved decisions",
}
CORNERS = {
    (True, False): ("Difference, use not found", "Look for a proxy or another path through the model."),
    (True, True): ("Difference, and moved inside", "Treat the attribute as a cause until shown otherwise."),
    (False, False): ("No evidence in either", "Says nothing about other applicants or prompts."),
    (False, True): ("Moved inside, not seen in outputs", "May surface on other applicants or another prompt."),
}


def standings(measurements: Sequence[Measurement]) -> list[Standing]:
    """Where every contrast stands that the ladder speaks of, in its order."""
    return [_standing(item, measurements) for item in measurements if item.metric == METRIC]


def corners(found: Sequence[Standing]) -> list[Corner]:
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


def outside(found: Sequence[Standing]) -> list[Standing]:
    """Those that stand in no cell, because outputs or internals cannot say."""
    return [item for item in found if item.outputs is None or item.inside is None]


def _standing(item: Measurement, measurements: Sequence[Measurement]) -> Standing:
    field, group = item.subject["field"], item.subject["group"]
    mine = [one for one in measurements if (one.subject.get("field"), one.subject.get("group")) == (field, group)]
    figures = {
        "encoded": _encoded([one for one in mine if one.metric == READABLE]),
        "selective": _selective([one for one in mine if one.metric == SELECTIVITY]),
        "used": _used([one for one in mine if one.metric == GAP_REMOVED]),
        "usable": _usable([one for one in mine if one.metric == STEERED]),
    }
    return Standing(
        contrast=f"{wording.sentence_case(wording.field_words(field))}: {wording.contrast(item)}",
        field=field,
        steps=tuple(Step(name, _held(item.counts.get(name)), figures[name]) for name in STEPS),
        outputs=_held(item.counts.get("output_difference")),
        inside=_held(item.counts.get("moved_inside")),
        said=item.conclusion_reason or "",
        measurement=item,
    )


def _held(value: float | None) -> bool | None:
    return None if value is None else bool(value)


def _encoded(items: Sequence[Measurement]) -> str:
    parts = [
        f"{item.subject.get('setting', '')} {numbers.count(item.estimate)} of "
        f"{numbers.count(item.counts.get('probes'))}"
        for item in items
        if item.estimate is not None
    ]
    return f"readable places: {', '.join(parts)}" if parts else _why(items)


def _selective(items: Sequence[Measurement]) -> str:
    parts = [
        f"{item.subject.get('setting', '')} {numbers.estimate_and_interval(item)} {numbers.unit_name(item)}"
        for item in items
        if item.estimate is not None
    ]
    return f"above the baselines: {'; '.join(parts)}" if parts else _why(items)


def _used(items: Sequence[Measurement]) -> str:
    for item in items:
        if item.estimate is not None:
            share = item.counts.get("share")
            closed = f" ({numbers.rate(share)} of it)" if share is not None else ""
            return (
                f"erasing it takes {_logits(item)} off a gap of {_fine(item.counts.get('gap'))} logits{closed}; random "
                f"at most {_fine(item.counts.get('random_largest'), signed=False)}"
            )
    return _why(items)


def _usable(items: Sequence[Measurement]) -> str:
    for item in items:
        if item.estimate is not None:
            return (
                f"one dose moves the margin by {_logits(item)} logits and turns "
                f"{numbers.rate(item.counts.get('flip_rate'))} of decisions; random at most "
                f"{_fine(item.counts.get('random_largest'), signed=False)}"
            )
    return _why(items)


def _logits(item: Measurement) -> str:
    """Estimate and interval: what an attribute does inside a model may be too small for two decimals."""
    if item.low is None or item.high is None:
        return _fine(item.estimate)
    decimals = _decimals(item.estimate)
    bounds = (numbers.number(bound, decimals=decimals, signed=True) for bound in (item.low, item.high))
    return f"{_fine(item.estimate)} [{', '.join(bounds)}]"


def _fine(value: float | None, *, signed: bool = True) -> str:
    return numbers.number(value, decimals=_decimals(value), signed=signed)


def _decimals(value: float | None) -> int:
    return 2 if value is None or abs(value) >= FINE_BELOW else 3


def _why(items: Sequence[Measurement]) -> str:
    return next((item.missing_reason for item in items if item.missing_reason), NOT_IN_RUN)
