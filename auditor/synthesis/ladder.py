"""The verdict ladder: how far up an attribute stands inside the model, and what the outputs say beside it.

    encoded     a linear probe finds it where the prompt withholds it
    selective   where it is stated, it is read better than words without a meaning in its place
    used        erasing it moves the difference between groups, further than erasing labels without a meaning
    usable      adding its direction moves the score, further than directions of labels without a meaning

A step says yes, no, or not known, each with its reason; a later step does not follow from an earlier one. It reads
measurements only, after they were concluded, and emits measurements. Their ``conclusion_reason`` holds the sentence of
every step: `said` takes them apart again, so that every place of a report prints the same words (docs/methods.md).
A readable attribute alone is an observation about the model: it never grades above Low.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.behaviour.metrics import CF_MEAN_SHIFT_SD, CF_NET_EFFECT, CF_NET_EFFECT_MATCHED, CF_RANGE_EFFECT
from auditor.mechanisms.erasure.card import GAP_REMOVED
from auditor.mechanisms.probing.card import LAYERS_READABLE, SELECTIVITY
from auditor.mechanisms.steering.card import POTENCY
from auditor.plan import Plan
from auditor.records import Conclusion, Measurement, Role, Severity
from auditor.synthesis.card import ATTRIBUTE_LADDER, CARD
from auditor.synthesis.ladder_steps import Step, encoded, selective, usable, used
from auditor.testing.context import Context
from auditor.testing.factory import made

TEST = CARD.name
METRIC = ATTRIBUTE_LADDER
STEPS = ("encoded", "selective", "used", "usable")
INSIDE = (LAYERS_READABLE, SELECTIVITY, GAP_REMOVED, POTENCY)
NATURAL, RANGE = CF_NET_EFFECT, CF_RANGE_EFFECT
RESCUED = (CF_NET_EFFECT_MATCHED, CF_MEAN_SHIFT_SD)
FOUND = (Conclusion.DIFFERENCE_FOUND, Conclusion.DIFFERENCE_BELOW_THRESHOLD)
CLEAN = (Conclusion.EQUIVALENT_WITHIN_MARGIN, Conclusion.NO_EVIDENCE)
MOST_WITHOUT_OUTPUT = Severity.LOW
OUTPUTS = {
    True: "a difference was found",
    False: "no difference was found",
    None: "this run cannot say",
}


@dataclass(frozen=True)
class Rung:
    """Where one contrast stands: a step each, and whether outputs differ (``None``: this run cannot say)."""

    field: str
    group: str
    reference: str
    found: tuple[Step, ...]
    outputs: bool | None
    sources: tuple[str, ...]

    @property
    def steps(self) -> dict[str, bool | None]:
        """Yes (True), no (False) or not known (``None``) for each step."""
        return {step.name: step.held for step in self.found}

    @property
    def height(self) -> int | None:
        """The highest step that holds, counted from 1; 0 for none; ``None`` where nothing is known."""
        known = [number for number, step in enumerate(self.found, 1) if step.held is not None]
        if not known:
            return None
        return max((number for number in known if self.found[number - 1].held), default=0)

    @property
    def inside(self) -> bool | None:
        """Whether an intervention on the attribute's representation moves the score, further than its controls."""
        causal = [self.steps[name] for name in ("used", "usable")]
        if any(causal):
            return True
        return False if all(step is False for step in causal) else None

    @property
    def decisions(self) -> bool | None:
        """Whether an intervention that holds turns more decisions than its controls do."""
        known = [step.decisions for step in self.found if step.held and step.decisions is not None]
        return any(known) if known else None

    @property
    def grade(self) -> str:
        """``causal`` where an intervention turned decisions beyond its controls; else what is left to say."""
        if self.decisions:
            return "causal"
        if self.inside:
            return "moves the score"
        return "correlational" if self.steps["encoded"] or self.steps["selective"] else "none"

    def cell(self) -> str:
        """The cell of outputs × internals, in a neutral sentence."""
        return f"outputs: {OUTPUTS[self.outputs]}; internals: {self._within()}"

    def _within(self) -> str:
        if self.inside is None:
            return "not known"
        if not self.inside:
            return "interventions on the attribute move the score no further than their controls"
        if self.decisions:
            return "an intervention on the attribute turns decisions, more than its controls do"
        turned = [step.turned for step in self.found if step.held and step.turned is not None]
        if turned and not any(turned):
            return "an intervention on the attribute moves the score; no decision turned"
        return "an intervention on the attribute moves the score; decisions are not shown to turn beyond its controls"

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
            if any(item.metric in INSIDE for item in mine):
                rungs.append(_rung(mine, attribute.field, group, attribute.reference, plan.thresholds.alpha))
    return tuple(rungs)


def ladder(measurements: Sequence[Measurement], *, plan: Plan) -> tuple[Measurement, ...]:
    """One measurement a contrast: the height on the ladder, its steps, grade and cell, and what it was read from."""
    return tuple(_measurement(rung, level=1 - plan.thresholds.alpha) for rung in climb(measurements, plan=plan))


def emit_ladder(measurements: Sequence[Measurement], *, context: Context) -> tuple[Measurement, ...]:
    """`ladder`, as every synthesis is called."""
    return ladder(measurements, plan=context.plan)


def said(item: Measurement) -> tuple[Step, ...]:
    """The steps of a ladder's measurement, with the reason each was given: the one wording of a report."""
    text = item.conclusion_reason or ""
    marks = [f"{name.capitalize()}: " for name in STEPS] + ["Evidence: "]
    starts, at = [], 0
    for mark in marks:
        found = text.find(mark, at)
        at = found + len(mark) if found >= 0 else at
        starts.append((found, at))
    steps = []
    for number, name in enumerate(STEPS):
        held = item.counts.get(name)
        start, end = starts[number][1], starts[number + 1][0]
        words = text[start:end].strip().rstrip(".") if starts[number][0] >= 0 else ""
        _, _, reason = words.partition("; ")
        steps.append(Step(name, None if held is None else bool(held), reason))
    return tuple(steps)


def summary_of(item: Measurement) -> str:
    """Outputs, internals and the kind of evidence of a ladder's measurement, without its steps."""
    text = item.conclusion_reason or ""
    cell, _, steps = text.partition(f" {STEPS[0].capitalize()}: ")
    return f"{cell} Evidence: {grade_of(item)}." if steps else text


def grade_of(item: Measurement) -> str:
    """What kind of evidence a ladder's measurement rests on: the words that follow ``Evidence:``."""
    return (item.conclusion_reason or "").rpartition("Evidence: ")[2].rstrip(".")


def _rung(mine: Sequence[Measurement], field: str, group: str, reference: str, alpha: float) -> Rung:
    of = {name: [item for item in mine if item.metric == name] for name in INSIDE}
    steps = (
        encoded(of[LAYERS_READABLE], alpha=alpha),
        selective(of[SELECTIVITY], alpha=alpha),
        used(of[GAP_REMOVED], alpha=alpha),
        usable(of[POTENCY], alpha=alpha),
    )
    outputs = [item for item in mine if item.metric in (NATURAL, RANGE, *RESCUED) and item.conclusion is not None]
    sources = [item.id for items in of.values() for item in items if item.estimate is not None]
    return Rung(field, group, reference, steps, _outputs(outputs), (*sources, *(item.id for item in outputs)))


def _outputs(items: Sequence[Measurement]) -> bool | None:
    """A difference wherever one was found; none only where every test that decides could have seen one."""
    if any(item.conclusion in FOUND for item in items):
        return True
    # Of a mute or degenerate model the matched cut-off and the margin carry the audit, and have the primary role.
    rescued = [item for item in items if item.metric in RESCUED and item.role is Role.PRIMARY]
    deciding = rescued or [item for item in items if item.metric in (NATURAL, RANGE)]
    return False if deciding and all(item.conclusion in CLEAN for item in deciding) else None


def _measurement(rung: Rung, *, level: float) -> Measurement:
    height = rung.height
    return made(
        test=TEST,
        metric=METRIC,
        role=Role.SUPPORTING,
        subject={"field": rung.field, "group": rung.group},
        reference=rung.reference,
        unit="count",
        level=level,
        estimate=None if height is None else float(height),
        n=len(rung.sources),
        missing_reason="no step is known" if height is None else None,
        conclusion_reason=" ".join(
            [
                f"{rung.cell()[0].upper()}{rung.cell()[1:]}.",
                *(f"{step.name.capitalize()}: {step.says}; {step.reason}." for step in rung.found),
                f"Evidence: {rung.grade}.",
            ]
        ),
        method="highest of encoded, selective, used, usable that holds; read from: " + ", ".join(rung.sources),
        counts={
            **{name: None if held is None else int(held) for name, held in rung.steps.items()},
            "moved_inside": None if rung.inside is None else int(rung.inside),
            "decisions_moved": None if rung.decisions is None else int(rung.decisions),
            "output_difference": None if rung.outputs is None else int(rung.outputs),
        },
        cases="role:actual",
    )
