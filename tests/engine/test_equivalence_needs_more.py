"""Few flips, few denials or few pairs are no equivalence; claims are adjusted over a family, the interval is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.conclusions import adjust_and_conclude
from auditor.conductor import Conclusions, conclude
from auditor.records import Case, Conclusion, Measurement, Role
from auditor.statistics.equivalence import tost_pairs
from auditor.statistics.pairs import PairCounts
from auditor.statistics.verdict import Evidence
from auditor.testing.families import FILED_FAMILY, SAME_APPLICANTS_FAMILY, inside_family
from auditor.testing.unadjusted import UnadjustedMeasurement
from tests.engine.small import biased, simulated, small_data, small_plan

ABSENT = (Conclusion.EQUIVALENT_WITHIN_MARGIN, Conclusion.NO_EVIDENCE)


def of(conclusions: Conclusions, metric: str, group: str = "Black") -> Measurement:
    [found] = [
        item for item in conclusions.measurements
        if item.metric == metric and item.subject.get("group") == group and item.test == "counterfactual"
    ]  # fmt: skip
    return found


def test_six_flips_all_one_way_from_fifteen_approvals_are_not_equivalent(tmp_path: Path) -> None:
    """600 pairs: 15 approvals as White, 9 as Black, nobody the other way."""

    def margin(case: Case) -> float:
        number = int(case.cluster)
        approved = number % 60 == 1  # 15 of 900, spread so that 10 stand in the race contrast
        if not approved:
            return -2.0 - number % 9 / 10
        lost = case.groups.get("race") == "Black" and number % 120 == 1 and number < 700
        return -1.0 if lost else 1.0

    conclusions = conclude(simulated(tmp_path, small_plan(), small_data(900), margin))
    effect = of(conclusions, "cf_net_effect")
    assert effect.n == 600
    assert effect.counts["favourable_reference"] == 15
    assert (effect.counts["b"], effect.counts["c"]) == (6, 0)
    assert effect.conclusion not in ABSENT


@pytest.mark.parametrize(("centre", "what"), [(3.2, "denials"), (-3.2, "approvals")])
def test_too_few_of_one_outcome_bar_equivalence(tmp_path: Path, centre: float, what: str) -> None:
    effect = of(
        conclude(
            simulated(tmp_path, small_plan(), small_data(900), biased(shift={}, centre=centre, spread=1.6, noise=0))
        ),
        "cf_net_effect",
    )
    assert effect.counts["flips"] == 0
    assert 0 < min(effect.counts["favourable_reference"] or 0, 600 - (effect.counts["favourable_reference"] or 0)) < 30
    assert effect.conclusion is not Conclusion.EQUIVALENT_WITHIN_MARGIN
    assert effect.conclusion_reason is not None
    assert f"too few {what} to say" in effect.conclusion_reason


def claim(name: str, counts: PairCounts, *, family: str = "primary") -> UnadjustedMeasurement:
    item = Measurement(
        id=name, test="t", metric="m", role=Role.PRIMARY, subject={}, unit="rate_difference",
        estimate=(counts.c - counts.b) / counts.n, p_value=1.0, family=family, n=counts.n,
    level=0.95)  # fmt: skip
    evidence = Evidence(
        estimate=item.estimate,
        p_adjusted=None,
        practical_threshold=0.02,
        pairs=counts.n,
        equivalence_alpha=0.05,
        alpha=0.05,
    )
    return UnadjustedMeasurement(item, evidence, equivalence=tost_pairs(counts=counts, margin=0.02, alpha=0.05))


def test_equivalence_claims_are_adjusted_over_their_family() -> None:
    """Alone 160 pairs without a flip prove the margin, (1 − .02)^160 = .039; among four alike they do not."""
    counts = PairCounts(100, 0, 0, 220)
    few = PairCounts(80, 0, 0, 80)
    alone = adjust_and_conclude([claim("a", few)])[0]
    assert alone.counts["equivalence_p"] == pytest.approx(0.98**160)
    assert alone.counts["equivalence_level"] == pytest.approx(0.90)
    four = adjust_and_conclude([claim(name, few) for name in "abcd"])
    assert [item.counts["equivalence_p"] for item in four] == pytest.approx([4 * 0.98**160] * 4)
    for item in four:
        assert item.conclusion is not Conclusion.EQUIVALENT_WITHIN_MARGIN
    # At n = 320 even the strictest step holds, and the interval that decides is the one at that step.
    held = adjust_and_conclude([claim(name, counts) for name in "abcd"])
    for item in held:
        assert item.conclusion is Conclusion.EQUIVALENT_WITHIN_MARGIN
        high = item.counts["equivalence_high"]
        assert high is not None
        assert high < 0.02
        assert f"{100 * (item.counts['equivalence_level'] or 0):.4g}% interval that decides" in str(
            item.conclusion_reason
        )
    assert min(item.counts["equivalence_level"] or 1 for item in held) == pytest.approx(0.90)
    assert max(item.counts["equivalence_level"] or 0 for item in held) == pytest.approx(1 - 2 * 0.05 / 4)


def test_a_gap_between_different_applicants_lends_its_significance_to_no_pair(tmp_path: Path) -> None:
    """As filed Black applications fare far worse, whichever group the prompt names: no pair may be found different."""

    def margin(case: Case) -> float:
        number = int(case.cluster)
        own_black = (number - 1) % 6 in (1, 3)
        # Asked again the same prompt answers alike; another version wobbles a little.
        version = 0 if case.role in ("actual", "reask") else sum(map(ord, case.id))
        wobble = ((number * 7919 + version * 31) % 1000 - 500) / 5000
        return (1.0 if number * 37 % 100 < (40 if own_black else 85) else -1.0) * (1 + number % 13 / 10) + wobble

    conclusions = conclude(simulated(tmp_path, small_plan(), small_data(900), margin))
    gap = next(
        item
        for item in conclusions.measurements
        if item.metric == "risk_difference" and item.subject["group"] == "Black"
    )
    assert gap.conclusion is Conclusion.DIFFERENCE_FOUND
    assert gap.family == FILED_FAMILY
    for metric in ("cf_net_effect_matched", "cf_mean_shift_sd"):
        assert of(conclusions, metric).family == SAME_APPLICANTS_FAMILY
    assert [item.title for item in conclusions.findings if not item.title.startswith("As filed")] == []


def test_as_filed_p_values_never_change_an_adjusted_p_of_pairs() -> None:
    def drafts(filed: float) -> list[UnadjustedMeasurement]:
        def one(name: str, p_value: float, family: str) -> UnadjustedMeasurement:
            return UnadjustedMeasurement(
                Measurement(id=name, test="t", metric="m", role=Role.EXPLORATORY, subject={}, unit="logit",
                            p_value=p_value, family=family, level=0.95)
            )  # fmt: skip

        pairs = [one(f"p{number}", 0.06, SAME_APPLICANTS_FAMILY) for number in range(3)]
        inside = [one(f"i{number}", 0.02, inside_family("erasure")) for number in range(3)]
        return [*pairs, *inside, *(one(f"f{number}", filed, FILED_FAMILY) for number in range(9))]

    def adjusted(filed: float) -> list[float | None]:
        return [item.p_adjusted for item in adjust_and_conclude(drafts(filed)) if not item.id.startswith("f")]

    assert adjusted(1e-9) == adjusted(0.9)
    assert adjusted(0.9)[3:] == pytest.approx([0.06] * 3), "tests on internals are Holm's"


def test_alpha_and_q_of_the_plan_set_every_level(tmp_path: Path) -> None:
    plan = small_plan(thresholds={"alpha": 0.01, "exploratory_q": 0.02})
    conclusions = conclude(simulated(tmp_path, plan, small_data(600), biased(shift={"Black": -0.1})))
    levels = {(item.metric, item.level) for item in conclusions.measurements if item.low is not None}
    assert {level for _, level in levels} == {0.99}
    for finding in conclusions.findings:
        assert "95%" not in finding.effect + finding.condition
    equivalence = [item.counts.get("equivalence_level") for item in conclusions.measurements]
    assert all(level is None or level >= 0.98 for level in equivalence)
