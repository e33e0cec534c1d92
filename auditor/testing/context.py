"""What a test on outputs may look at: the plan, the cases and their decisions. Not other tests' numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from auditor.counterfactuals import ACTUAL
from auditor.plan import Attribute, Plan
from auditor.policies.packs import PolicyPack, load_packs
from auditor.records import NO_DECISION, Case, Decision, Outcome
from auditor.replicates import application_of
from auditor.testing.state import State, judge_arm, state_of

if TYPE_CHECKING:
    from auditor.chunk_rows import TextRow
    from auditor.observed.columns import Observed
    from auditor.run_record import HowGenerated
    from auditor.testing.asked_system import Answered, AskedSystem

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Arm:
    """The decisions of one arm in cluster order.

    ``amounts`` (not a number where none was read) and ``reasons`` (``None`` where none were read) are what answers hold
    beside, or as, the decision.
    """

    clusters: tuple[str, ...]
    margins: FloatArray
    favourable: BoolArray
    invalid: BoolArray
    refused: BoolArray
    mass: FloatArray
    amounts: FloatArray
    reasons: tuple[frozenset[str] | None, ...]


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
    holds, by test, what its own chunks computed, in their order (see auditor/mechanisms/_shared/compute.py).
    ``not_done`` says of a test, by name, why there was nothing for its chunks to look into. ``several_rows`` says that
    rows of one id are kept apart (``A7``, ``A7#2``), so that they are one applicant's.
    ``generated`` says how texts were generated, where decisions are read from them, and ``texts`` holds these.
    ``decision_file`` holds decisions already taken, where a file of them is audited, or the answers to the applications
    as filed in the same form, where the plan has tests on decisions taken. ``system`` is the system that was asked, if
    no weights were.
    """

    plan: Plan
    cases: Sequence[Case]
    decisions: Mapping[str, Decision]
    observed: Mapping[str, bool | None]
    values: Mapping[str, Mapping[str, Any]]
    observed_rate: float | None
    results: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    not_done: Mapping[str, str] = field(default_factory=dict)
    several_rows: bool = False
    decision_file: Observed | None = None
    generated: HowGenerated | None = None
    texts: Sequence[TextRow] | None = None
    system: AskedSystem | None = None
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

    @cached_property
    def amounts(self) -> Mapping[str, float]:
        """The amount that was read of each case's answer; cases of which none was read are not in it."""
        return {answer.case_id: answer.amount for answer in self._read if answer.amount is not None}

    @cached_property
    def reasons(self) -> Mapping[str, frozenset[str]]:
        """The reasons against the application in each case's answer; cases of which none were read are not in it."""
        return {answer.case_id: frozenset(answer.reasons) for answer in self._read if answer.reasons is not None}

    @property
    def _read(self) -> Iterable[Answered | TextRow]:
        """Answers to the cases, without the re-asks of the control."""
        answers = () if self.system is None else self.system.answers
        return (*(answer for answer in answers if not answer.moment), *(self.texts or ()))

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
            invalid=np.array([decision.outcome in NO_DECISION for decision in decisions], dtype=bool),
            refused=np.array([decision.outcome is Outcome.REFUSED for decision in decisions], dtype=bool),
            mass=np.array([decision.mass for decision in decisions], dtype=np.float64),
            amounts=np.array([self.amounts.get(case.id, math.nan) for case in chosen], dtype=np.float64),
            reasons=tuple(self.reasons.get(case.id) for case in chosen),
        )

    def pairs(self, control: str, protected: str) -> Pairs:
        """The applications that stand in both arms, once in each, in cluster order of the control arm."""
        left, right = self.arm(control), self.arm(protected)
        where = {cluster: index for index, cluster in enumerate(right.clusters)}
        rows = [(index, where[cluster]) for index, cluster in enumerate(left.clusters) if cluster in where]
        clusters = tuple(left.clusters[index] for index, _ in rows)
        return Pairs(
            clusters=clusters,
            applicants=tuple(map(self.applicant, clusters)) if self.several_rows or self.replicates > 1 else (),
            control=_take(left, [index for index, _ in rows]),
            protected=_take(right, [index for _, index in rows]),
        )

    def repeats(self, clusters: Sequence[str]) -> bool:
        """Whether some of these applications are one applicant's, so that they are fewer people than rows."""
        return self.people(clusters) < len(clusters)

    @property
    def replicates(self) -> int:
        """How often every case was asked, each time as a cluster of its own."""
        how = self.generated or (None if self.system is None else self.system.how)
        return 1 if how is None else how.replicates

    @property
    def answers_in_words(self) -> bool:
        """Whether answers are texts, which may refuse: log-odds of planned answers cannot."""
        return self.generated is not None or self.system is not None

    def applicant(self, cluster: str) -> str:
        """Whose application a cluster is: every replicate is a cluster, and an applicant may have filed several."""
        application = application_of(cluster) if self.replicates > 1 else cluster
        return applicant_of(application) if self.several_rows else application

    def people(self, clusters: Sequence[str]) -> int:
        """How many applicants are behind some clusters."""
        if not self.several_rows and self.replicates == 1:
            return len(clusters)
        return len(set(map(self.applicant, clusters)))

    def contrasts(self) -> list[tuple[Attribute, str]]:
        """Every protected group against its reference, in the plan's order."""
        return [
            (attribute, group)
            for attribute in self.plan.attributes
            for group in attribute.groups
            if group != attribute.reference
        ]


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
        refused=arm.refused[index],
        mass=arm.mass[index],
        amounts=arm.amounts[index],
        reasons=tuple(arm.reasons[row] for row in rows),
    )


def pairs_where(pairs: Pairs, chosen: BoolArray) -> Pairs:
    """Some of the pairs, such as those in which both answers could be read."""
    rows = np.flatnonzero(chosen).tolist()
    return Pairs(
        clusters=tuple(pairs.clusters[row] for row in rows),
        applicants=tuple(pairs.applicants[row] for row in rows) if pairs.applicants else (),
        control=_take(pairs.control, rows),
        protected=_take(pairs.protected, rows),
    )
