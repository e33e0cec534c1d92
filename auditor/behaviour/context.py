"""What a test on outputs may look at: the plan, the cases and their decisions. Not other tests' numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from auditor.behaviour.state import State, judge_arm, state_of
from auditor.counterfactuals import ACTUAL
from auditor.measures.equivalence import Equivalence
from auditor.measures.results import Interval
from auditor.measures.verdict import Evidence
from auditor.plan import Attribute, Plan
from auditor.policies.packs import PolicyPack, load_packs
from auditor.records import Case, Decision, Measurement, Outcome

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

# Families are adjusted apart: gaps between different applicants are nearly always real and would lend the others their
# significance (docs/statistics.md).
PRIMARY_FAMILY = "primary"
READABILITY_FAMILY = "readability"
RANGE_FAMILY = "cut-off range"
MATCHED_FAMILY = "matched operating point"
SHIFT_FAMILY = "margin shift"
EXPLORATORY_FAMILY = "exploratory"
SAME_APPLICANTS_FAMILY = f"{EXPLORATORY_FAMILY}: same applicants"
TURNED_FAMILY = f"{EXPLORATORY_FAMILY}: decisions turned"
FILED_FAMILY = f"{EXPLORATORY_FAMILY}: as filed"

NO_MARGINS = "sampled answers have no margin"
"""Why a number that is read from margins is missing: then cut-offs do not bear on the readout."""


NO_PROBABILITY = "sampled answers have no probability"


def inside_family(test: str) -> str:
    """The family of the declared contrasts of one test on internals, adjusted by Holm."""
    return f"inside: {test}"


@dataclass(frozen=True)
class Card:
    """What a test is: shown with its results, so that a reader knows what they can and cannot say.

    ``question`` says what a test on internals answers, and so where reports show it: ``fields`` (what drove a
    decision), ``encoded``, ``used``, ``usable``, ``where``, or ``parts`` (what the model's parts stand for).
    """

    name: str
    purpose: str
    method: str
    worrying: str
    limitations: str
    references: tuple[str, ...] = ()
    needs_internals: bool = False
    question: str = ""


@dataclass(frozen=True)
class Draft:
    """A measurement before its family is adjusted, with what its conclusion will be drawn from.

    Attributes
    ----------
    outcome
        Whether it speaks of outcomes or margins of one attribute: while answers of that attribute's arms are
        unreadable, its absence of a difference is no evidence.
    at_cut_off
        Whether it holds at one cut-off alone, so that a difference elsewhere in the plan's range bears on it.
    equivalence
        The equivalence claim, whose p-value is adjusted over its family like any other; the interval that decides is
        then read from it, or from ``deciding``, at the level the family leaves.
    family_size
        How many tests the plan declares in the measurement's family, those included that this run turned out not to
        carry. Without it the drafts of the family are all that was declared.
    """

    measurement: Measurement
    evidence: Evidence | None = None
    outcome: bool = False
    at_cut_off: bool = False
    equivalence: Equivalence | None = None
    deciding: Callable[[float], Interval | None] | None = None
    family_size: int | None = None


@dataclass(frozen=True)
class Arm:
    """The decisions of one arm in cluster order."""

    clusters: tuple[str, ...]
    margins: FloatArray
    favourable: BoolArray
    invalid: BoolArray
    mass: FloatArray


@dataclass(frozen=True)
class Pairs:
    """The same applications in two arms: row i of both is one application."""

    clusters: tuple[str, ...]
    control: Arm
    protected: Arm
    applicants: tuple[str, ...] = ()

    @property
    def profiles(self) -> tuple[str, ...]:
        """Whose row each pair is, the unit that resamples draw: its application's unless applicants have several."""
        return self.applicants or self.clusters


@dataclass(frozen=True)
class Context:
    """Everything a test on outputs reads.

    ``observed`` holds the recorded outcome of every asked application by id (``None`` where it has none), ``values``
    its typed field values, ``observed_rate`` the share of favourable outcomes in the whole data version. ``results``
    holds, by test, what its own chunks computed, in their order (see auditor/mechanisms/contract.py). ``several_rows``
    says that rows of one id are kept apart (``A7``, ``A7#2``), so that they are one applicant's.
    """

    plan: Plan
    cases: Sequence[Case]
    decisions: Mapping[str, Decision]
    observed: Mapping[str, bool | None]
    values: Mapping[str, Mapping[str, Any]]
    observed_rate: float | None
    results: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    several_rows: bool = False
    _arms: dict[str, Arm] = field(default_factory=dict, compare=False)

    @cached_property
    def state(self) -> State:
        """Apply the plan's rule for degenerate and mute models to every arm."""
        rule = self.plan.operating_point
        shares = {"mute_share": rule.mute_share, "degenerate_share": rule.degenerate_share}
        arms = []
        for attribute in self.plan.attributes:
            for group in attribute.groups:
                chosen = self.arm(f"{attribute.field}={group}")
                arms.append(
                    judge_arm(
                        field=attribute.field,
                        group=group,
                        n=len(chosen.clusters),
                        favourable=int(chosen.favourable.sum()),
                        unreadable=int(chosen.invalid.sum()),
                        **shares,
                    )
                )
        masses = [decision.mass for decision in self.decisions.values() if decision.mass is not None]
        low = sum(mass < self.plan.prompt.answers.mass_floor for mass in masses) / len(masses) if masses else 0.0
        reference = {(attribute.field, attribute.reference) for attribute in self.plan.attributes}
        return state_of(
            arms,
            contrasts=[(item.field, group, item.reference) for item, group in self.contrasts()],
            references=[arm for arm in arms if (arm.field, arm.group) in reference],
            low_mass_share=low,
            **shares,
        )

    @cached_property
    def packs(self) -> tuple[PolicyPack, ...]:
        """The policy packs of the plan, which say what a measure is for."""
        return load_packs(self.plan.use.policy_packs, where="run")

    @property
    def actual(self) -> list[Case]:
        """The applications as filed."""
        return [case for case in self.cases if case.role == ACTUAL]

    @cached_property
    def target_rate(self) -> float | None:
        """The rate the matched operating point aims at; ``None`` where the data records no outcome."""
        wanted = self.plan.operating_point.matched_rate
        return wanted if isinstance(wanted, float) else self.observed_rate

    def arm(self, name: str) -> Arm:
        """The decisions of the arm called ``name``, in the order of the cases."""
        if name not in self._arms:
            cases = [case for case in self.cases if name in case.arms]
            self._arms[name] = self.collect(cases)
        return self._arms[name]

    def collect(self, cases: Iterable[Case]) -> Arm:
        """Arrays of the decisions of ``cases``, in their order."""
        chosen = list(cases)
        decisions = [self.decisions[case.id] for case in chosen]
        return Arm(
            clusters=tuple(case.cluster for case in chosen),
            margins=np.array([decision.margin for decision in decisions], dtype=np.float64),
            favourable=np.array([decision.outcome is Outcome.FAVOURABLE for decision in decisions], dtype=bool),
            invalid=np.array([decision.outcome is Outcome.INVALID for decision in decisions], dtype=bool),
            mass=np.array([decision.mass for decision in decisions], dtype=np.float64),
        )

    def pairs(self, control: str, protected: str) -> Pairs:
        """The applications that stand in both arms, once in each, in cluster order of the control arm."""
        left, right = self.arm(control), self.arm(protected)
        where = {cluster: index for index, cluster in enumerate(right.clusters)}
        rows = [(index, where[cluster]) for index, cluster in enumerate(left.clusters) if cluster in where]
        clusters = tuple(left.clusters[index] for index, _ in rows)
        return Pairs(
            clusters=clusters,
            applicants=tuple(applicant_of(name) for name in clusters) if self.several_rows else (),
            control=_take(left, [index for index, _ in rows]),
            protected=_take(right, [index for _, index in rows]),
        )

    def repeats(self, clusters: Sequence[str]) -> bool:
        """Whether some of these applications are one applicant's, so that they are fewer people than rows."""
        return self.several_rows and len({applicant_of(name) for name in clusters}) < len(clusters)

    def contrasts(self) -> list[tuple[Attribute, str]]:
        """Every protected group against its reference, in the plan's order."""
        return [
            (attribute, group)
            for attribute in self.plan.attributes
            for group in attribute.groups
            if group != attribute.reference
        ]


def keeps_rows_apart(run: Mapping[str, Any]) -> bool:
    """Whether the mapping of a run keeps rows whose id repeats as records of their own."""
    fields = run["data"].get("mapping", {}).get("fields", ())
    return any(item.get("role") == "id" and item.get("repeats") == "separate" for item in fields)


def applicant_of(record: str) -> str:
    """The id that a record of a repeated id was read under: ``A7`` of ``A7#2`` (auditor/applications.py)."""
    found = LATER_ROW.fullmatch(record)
    return found[1] if found else record


LATER_ROW = re.compile(r"(.+)#(?:[2-9]|[1-9]\d+)", re.DOTALL)


def case_query(*arms: str) -> str:
    """The query that finds the cases of some arms."""
    return "arm:" + "|".join(arms)


def _take(arm: Arm, rows: Sequence[int]) -> Arm:
    index = np.array(rows, dtype=np.intp)
    return Arm(
        clusters=tuple(arm.clusters[row] for row in rows),
        margins=arm.margins[index],
        favourable=arm.favourable[index],
        invalid=arm.invalid[index],
        mass=arm.mass[index],
    )
