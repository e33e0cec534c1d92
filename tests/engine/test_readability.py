"""Answers that cannot be read come before every outcome: a gap is a finding, and nothing reads as no difference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.conductor import Conclusions, conclude
from auditor.records import Case, Conclusion, Measurement, Role
from tests.engine.small import biased, simulated, small_data, small_plan

ABSENT = (Conclusion.EQUIVALENT_WITHIN_MARGIN, Conclusion.NO_EVIDENCE)
FLOOR = {"prompt__answers__mass_floor": 0.5}


def unreadable_in(group: str, share: float) -> Callable[[Case], float]:
    """Answers of one group's cases cannot be read in so many applications; only adverse ones, so that none flips."""

    def mass(case: Case) -> float:
        return 0.1 if case.groups.get("race") == group and int(case.cluster) % 100 < 100 * share else 0.9

    return mass


def concluded(folder: Path, mass: Callable[[Case], float], *, size: int = 900, shift: float = 0.0) -> Conclusions:
    plan, data = small_plan(**FLOOR), small_data(size)
    worth = biased(shift={"Black": shift}, noise=0.0)

    def margin(case: Case) -> float:
        # Where an answer is unreadable in one arm it would have been a denial in both: decisions do not change.
        return -2.0 if int(case.cluster) % 100 < 22 else worth(case)

    return conclude(simulated(folder, plan, data, margin, mass=mass))


def about(conclusions: Conclusions, field: str) -> list[Measurement]:
    return [item for item in conclusions.measurements if item.subject.get("field") == field and item.conclusion]


@pytest.mark.parametrize("group", ["Black", "White"])
def test_a_group_whose_answers_are_unreadable_never_reads_as_no_difference(tmp_path: Path, group: str) -> None:
    conclusions = concluded(tmp_path, unreadable_in(group, 0.22))
    natural = next(item for item in about(conclusions, "race") if item.metric == "cf_net_effect")
    assert natural.estimate == 0, "no decision changes: what changes is whether the answer can be read"
    for item in about(conclusions, "race"):
        assert item.conclusion not in ABSENT, item.id
    assert natural.conclusion is Conclusion.INCONCLUSIVE
    assert natural.conclusion_reason is not None
    assert "22% of the Black arm" in natural.conclusion_reason or "22% of the White arm" in natural.conclusion_reason
    # The other attribute's arms hold these cases as filed; what they may say follows their own readability.
    gap = next(item for item in about(conclusions, "race") if item.metric == "refusal_rate_gap")
    assert gap.conclusion is Conclusion.DIFFERENCE_FOUND
    assert (gap.role, gap.family) == (Role.PRIMARY, "readability")
    assert gap.estimate == pytest.approx(0.22 if group == "Black" else -0.22, abs=0.01)


def test_the_gap_in_readable_answers_is_a_finding_told_by_arm(tmp_path: Path) -> None:
    conclusions = concluded(tmp_path, unreadable_in("Black", 0.22))
    finding = next(item for item in conclusions.findings if "cannot be read" in item.title)
    assert finding.title == "Race changed from White to Black: more answers that cannot be read"
    assert finding.condition.startswith(
        "22% of the Black applications and 0% of the White applications got no answer that can be read"
    )
    assert finding.severity.value == "high"
    arms = {(row.field, row.group): row for row in conclusions.controls.degenerate.arms}
    assert (arms["race", "Black"].mute, arms["race", "White"].mute) == (True, False)


def test_a_few_unreadable_answers_of_one_group_are_not_excluded_and_bar_equivalence(tmp_path: Path) -> None:
    """Four in a hundred are under the plan's share for a mute arm, and over what the margin excludes."""
    conclusions = concluded(tmp_path, unreadable_in("Black", 0.04))
    assert not conclusions.controls.degenerate.holds
    for item in about(conclusions, "race"):
        assert item.conclusion not in ABSENT, item.id


def test_readable_answers_leave_every_conclusion_open(tmp_path: Path) -> None:
    conclusions = concluded(tmp_path, lambda _: 0.9)
    by_metric = {item.metric: item for item in about(conclusions, "race")}
    assert by_metric["refusal_rate_gap"].conclusion is Conclusion.EQUIVALENT_WITHIN_MARGIN
    assert by_metric["cf_net_effect"].conclusion is Conclusion.EQUIVALENT_WITHIN_MARGIN
    assert conclusions.findings == ()


def test_a_difference_found_beside_unreadable_answers_stands(tmp_path: Path) -> None:
    conclusions = concluded(tmp_path, unreadable_in("Black", 0.22), shift=-0.8)
    natural = next(item for item in about(conclusions, "race") if item.metric == "cf_net_effect")
    assert natural.conclusion is Conclusion.DIFFERENCE_FOUND
