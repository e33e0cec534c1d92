"""Contexts from given margins: the answers of both arms of one attribute, everything behind them real."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from auditor.catalogue import find_tests
from auditor.conclusions import adjust_and_conclude
from auditor.counterfactuals import ACTUAL, COUNTERFACTUAL, arm
from auditor.plan import Plan
from auditor.records import Case, Conclusion, Decision, Measurement, Outcome
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement
from tests.engine.small import small_plan

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
REFERENCE, GROUP = "White", "Black"


@dataclass(frozen=True)
class Answers:
    """Margins of the same applications as reference and as group, whether each could be read, and who filed what."""

    reference: Floats
    group: Floats
    reference_readable: Flags
    group_readable: Flags
    filed_group: Flags

    @classmethod
    def of(cls, reference: Floats, group: Floats, **more: Any) -> Answers:
        n = len(reference)
        everything = np.ones(n, dtype=bool)
        given = {"reference_readable": everything, "group_readable": everything, "filed_group": np.arange(n) % 3 == 0}
        return cls(reference, group, **(given | more))

    def repeated(self, times: int) -> Answers:
        """The same pairs so many times over."""
        return Answers(*(np.tile(values, times) for values in vars(self).values()))

    def with_unreadable(self, rows: Any) -> Answers:
        """The same, the group's answers at ``rows`` unreadable."""
        readable = self.group_readable.copy()
        readable[rows] = False
        return replace(self, group_readable=readable)


def pair_plan(*, reference: str = REFERENCE, tests: tuple[str, ...] = ("counterfactual",), **changes: Any) -> Plan:
    attribute = {"field": "race", "groups": [REFERENCE, GROUP], "reference": reference}
    return small_plan(attributes=[attribute], tests__run=list(tests), prompt__answers__mass_floor=0.5, **changes)


def made_up(answers: Answers, *, plan: Plan | None = None, order: npt.NDArray[np.int64] | None = None) -> Context:
    """Every application as filed in the arm of its group, and once as the other group."""
    plan = plan or pair_plan()
    cases: list[Case] = []
    decisions: dict[str, Decision] = {}
    sides = {
        REFERENCE: (answers.reference, answers.reference_readable),
        GROUP: (answers.group, answers.group_readable),
    }
    for row, filed in enumerate(answers.filed_group):
        own = GROUP if filed else REFERENCE
        for group in sorted(sides, key=lambda name: name != own):
            name = f"{row:05d}"
            as_filed = group == own
            case = Case(
                id=name if as_filed else f"{name}/race={group}",
                cluster=name,
                role=ACTUAL if as_filed else COUNTERFACTUAL,
                changed=None if as_filed else "race",
                groups={"race": group},
                arms=(arm("race", group),),
                prompt="",
                spans={},
            )
            margin, readable = float(sides[group][0][row]), bool(sides[group][1][row])
            outcome = Outcome.FAVOURABLE if margin >= plan.operating_point.natural_margin else Outcome.ADVERSE
            decisions[case.id] = Decision(
                case.id, margin, 0.9 if readable else 0.1, None, None, outcome if readable else Outcome.INVALID
            )
            cases.append(case)
    if order is not None:
        cases = [cases[place] for place in order]
    clusters = sorted({case.cluster for case in cases})
    return Context(
        plan=plan,
        cases=cases,
        decisions=decisions,
        observed=dict.fromkeys(clusters),
        values={name: {} for name in clusters},
        observed_rate=None,
    )


def measured(context: Context) -> dict[str, Measurement]:
    """Concluded measurements by id."""
    tests = find_tests(context.plan.tests.run, where="test")
    drafts: list[UnadjustedMeasurement] = [draft for test in tests for draft in test.measure(context)]
    return {item.id: item for item in adjust_and_conclude(drafts)}


def conclusions(context: Context) -> dict[str, Conclusion | None]:
    """Conclusions of the counterfactual measurements by their metric."""
    return {item.metric: item.conclusion for item in measured(context).values() if item.test == "counterfactual"}
