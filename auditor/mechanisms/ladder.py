"""The verdict ladder: how far up an attribute stands inside the model, and what the outputs say beside it.

    encoded     a linear reader finds it at some layer                                   correlational
    selective   better than words without a meaning, random weights and chance           correlational
    used        erasing it after its field moves the difference between groups, random directions do not  causal
    usable      adding its direction moves decisions, more than a random direction does   causal

A step says yes, no, or not tested; a later step does not follow from an earlier one. It reads measurements only, after
they were concluded, and emits measurements. A readable attribute alone is an observation about the model: it never
grades above Low.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.plan import Plan
from auditor.records import Conclusion, Measurement, Role, Severity

TEST = "ladder"
METRIC = "attribute_ladder"
STEPS = ("encoded", "selective", "used", "usable")
READABLE, SELECTIVITY = "probe_layers_readable", "probe_selectivity"
GAP_REMOVED, STEERED = "erasure_gap_removed", "steering_potency"
OUTPUT = ("cf_net_effect", "cf_net_effect_matched", "cf_mean_shift_sd")
MOST_WITHOUT_OUTPUT = Severity.LOW


@dataclass(frozen=True)
class Rung:
    """Where one contrast stands: yes (True), no (False) or not tested (``None``) for each step."""

    field: str
    group: str
    reference: str
    steps: dict[str, bool | None]
    outputs: bool | None
    sources: tuple[str, ...]

    @property
    def height(self) -> int | None:
        """The highest step that holds, counted from 1; 0 for none; ``None`` where nothing was tested."""
        known = [number for number, name in enumerate(STEPS, 1) if self.steps[name] is not None]
        if not known:
            return None
        return max((number for number in known if self.steps[STEPS[number - 1]]), default=0)

    @property
    def grade(self) -> str:
        """``causal`` where an intervention moved decisions, else ``correlational``."""
        return "causal" if self.steps["used"] or self.steps["usable"] else "correlational"

    @property
    def inside(self) -> bool | None:
        """Whether an intervention on the attribute's representation moves decisions."""
        causal = [self.steps[name] for name in ("used", "usable")]
        if any(causal):
            return True
        return False if all(step is False for step in causal) else None

    def cell(self) -> str:
        """The cell of outputs × internals, in a neutral sentence."""
        outside = {
            True: "outputs: a difference was found",
            False: "outputs: no difference was found",
            None: "outputs: this run cannot say",
        }[self.outputs]
        within = {
            True: "internals: interventions on the attribute move decisions",
            False: "internals: interventions on the attribute do not move decisions beyond the controls",
            None: "internals: not tested by intervention",
        }[self.inside]
        return f"{outside}; {within}"

    def highest_severity(self) -> Severity | None:
        """The most that internals alone may grade: Low, and only where something was seen."""
        return MOST_WITHOUT_OUTPUT if self.height else None


def climb(measurements: Sequence[Measurement], *, plan: Plan) -> tuple[Rung, ...]:
    """Where every contrast of the plan stands that any test on internals looked at."""
    rungs = []
    for attribute in plan.attributes:
        for group in attribute.groups:
            if group == attribute.reference:
                continue
            mine = [
                item
                for item in measurements
                if item.subject.get("field") == attribute.field and item.subject.get("group") == group
            ]
            if any(item.metric in (READABLE, GAP_REMOVED, STEERED) for item in mine):
                rungs.append(_rung(mine, attribute.field, group, attribute.reference, plan.thresholds.alpha))
    return tuple(rungs)


def ladder(measurements: Sequence[Measurement], *, plan: Plan) -> tuple[Measurement, ...]:
    """One measurement a contrast: the height on the ladder, its steps, grade and cell, and what it was read from."""
    return tuple(_measurement(rung) for rung in climb(measurements, plan=plan))


def _rung(mine: Sequence[Measurement], field: str, group: str, reference: str, alpha: float) -> Rung:
    by_metric: dict[str, list[Measurement]] = {}
    for item in mine:
        if item.estimate is not None:
            by_metric.setdefault(item.metric, []).append(item)
    steps: dict[str, bool | None] = {
        "encoded": _any(by_metric.get(READABLE, ()), lambda item: (item.estimate or 0) > 0),
        "selective": _any(by_metric.get(SELECTIVITY, ()), lambda item: item.low is not None and item.low > 0),
        "used": _any(by_metric.get(GAP_REMOVED, ()), lambda item: _beyond_random(item, alpha)),
        "usable": _any(by_metric.get(STEERED, ()), lambda item: _beyond_random(item, alpha)),
    }
    sources = [item.id for name in (READABLE, SELECTIVITY, GAP_REMOVED, STEERED) for item in by_metric.get(name, ())]
    outputs = [item for item in mine if item.metric in OUTPUT and item.conclusion is not None]
    return Rung(field, group, reference, steps, _outputs(outputs), (*sources, *(item.id for item in outputs)))


def _any(items: Iterable[Measurement], holds: Any) -> bool | None:
    answers = [bool(holds(item)) for item in items]
    return any(answers) if answers else None


def _beyond_random(item: Measurement, alpha: float) -> bool:
    """Significant after adjustment, and further than any control of the same rank or length."""
    control = item.counts.get("random_largest")
    return (
        item.p_adjusted is not None
        and item.p_adjusted < alpha
        and control is not None
        and abs(item.estimate or 0.0) > control
    )


def _outputs(items: Sequence[Measurement]) -> bool | None:
    """A difference wherever one was found; none only where a test could have seen one."""
    seen = {item.conclusion for item in items}
    if seen & {Conclusion.DIFFERENCE_FOUND, Conclusion.DIFFERENCE_BELOW_THRESHOLD}:
        return True
    if seen & {Conclusion.EQUIVALENT_WITHIN_MARGIN, Conclusion.NO_EVIDENCE}:
        return False
    return None


def _measurement(rung: Rung) -> Measurement:
    steps = {name: None if held is None else int(held) for name, held in rung.steps.items()}
    height = rung.height
    return Measurement(
        id=f"{TEST}/{METRIC}/field={rung.field}/group={rung.group}/vs={rung.reference}",
        test=TEST,
        metric=METRIC,
        role=Role.SUPPORTING,
        subject={"field": rung.field, "group": rung.group},
        reference=rung.reference,
        unit="count",
        estimate=None if height is None else float(height),
        n=len(rung.sources),
        missing_reason="no step could be tested" if height is None else None,
        conclusion_reason=f"{rung.cell()}. Evidence: {rung.grade}.",
        method="highest of encoded, selective, used, usable that holds; read from: " + ", ".join(rung.sources),
        counts={
            **steps,
            "moved_inside": None if rung.inside is None else int(rung.inside),
            "output_difference": None if rung.outputs is None else int(rung.outputs),
        },
        cases="role:actual",
    )
