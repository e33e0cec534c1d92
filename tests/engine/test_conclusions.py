"""From decisions to conclusions: a known effect is found with its sign; silence is never read as equality."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.conclusions import adjust_and_conclude
from auditor.conductor import Conclusions, conclude
from auditor.exceptions import RunError
from auditor.plan import Plan
from auditor.records import Case, Check, Conclusion, Measurement, Outcome, Role
from auditor.statistics.multiplicity import benjamini_hochberg, holm
from auditor.statistics.verdict import Evidence
from auditor.testing.unadjusted import UnadjustedMeasurement
from tests.engine.small import Margin, biased, simulated, small_data, small_plan

SAID = (Conclusion.EQUIVALENT_WITHIN_MARGIN, Conclusion.NO_EVIDENCE)


def concluded(
    folder: Path, margin: Margin, *, size: int = 900, plan: Plan | None = None, mass: float = 0.9
) -> Conclusions:
    plan = plan or small_plan()
    return conclude(simulated(folder, plan, small_data(size), margin, mass=lambda _: mass))


def of(conclusions: Conclusions, metric: str, group: str = "Black") -> Measurement:
    [found] = [
        item for item in conclusions.measurements if item.metric == metric and item.subject.get("group") == group
        and item.test == "counterfactual"
    ]  # fmt: skip
    return found


@pytest.mark.parametrize(("shift", "sign"), [(-0.6, -1), (0.6, 1)])
def test_a_known_effect_is_found_with_its_sign_and_counts(tmp_path: Path, shift: float, sign: int) -> None:
    conclusions = concluded(tmp_path, biased(shift={"Black": shift}))
    effect = of(conclusions, "cf_net_effect")
    decisions = {decision.case_id: decision for decision in conclusions.decisions}
    yes = {
        (case.cluster, arm): decisions[case.id].outcome is Outcome.FAVOURABLE
        for case in conclusions.cases
        for arm in case.arms
    }
    pairs = [(yes[name, "race=White"], yes[name, "race=Black"]) for name, arm in yes if arm == "race=White"]
    b, c = pairs.count((True, False)), pairs.count((False, True))
    assert (effect.counts["b"], effect.counts["c"], effect.n) == (b, c, len(pairs)) == (b, c, 600)
    assert effect.estimate == pytest.approx((c - b) / len(pairs))
    assert effect.estimate is not None
    assert effect.estimate * sign > 0.02
    assert effect.role is Role.PRIMARY
    assert effect.conclusion is Conclusion.DIFFERENCE_FOUND
    assert of(conclusions, "cf_mean_shift").estimate == pytest.approx(shift, abs=0.02)


def test_no_effect_is_equivalence_or_no_evidence_never_a_difference(tmp_path: Path) -> None:
    conclusions = concluded(tmp_path, biased(shift={}, noise=0.01))
    assert of(conclusions, "cf_net_effect").conclusion in SAID
    assert of(conclusions, "cf_net_effect", "female").conclusion in SAID
    assert not [finding for finding in conclusions.findings if finding.severity.rank > 1]


def test_twenty_pairs_are_too_few_to_say_anything(tmp_path: Path) -> None:
    conclusions = concluded(tmp_path, biased(shift={}, noise=0.01), size=30)
    effect = of(conclusions, "cf_net_effect")
    assert effect.n == 20
    assert effect.conclusion is Conclusion.INCONCLUSIVE
    assert effect.conclusion_reason is not None
    assert "20 matched pairs, at least 50 needed" in effect.conclusion_reason
    assert (effect.low, effect.high) == (None, None), "twenty pairs do not say how far they speak"


def test_another_alpha_is_carried_into_every_interval(tmp_path: Path) -> None:
    conclusions = concluded(tmp_path, biased(shift={"Black": -0.6}), plan=small_plan(thresholds={"alpha": 0.01}))
    for metric in ("cf_net_effect", "cf_net_effect_matched", "cf_mean_shift_sd"):
        item = of(conclusions, metric)
        assert item.level == 0.99
        assert item.conclusion is not None


def test_two_applications_alone_are_concluded_without_a_crash(tmp_path: Path) -> None:
    plan = small_plan(cases={"seed": 5, "limit": 2})
    conclusions = conclude(simulated(tmp_path, plan, small_data(6), biased(shift={})))
    assert of(conclusions, "cf_net_effect", "female").n == 2
    assert of(conclusions, "cf_net_effect").conclusion is Conclusion.INCONCLUSIVE


@settings(max_examples=5)
@given(
    st.sampled_from([-5.0, 0.0, 3.0]),
    st.floats(0, 0.3),
    st.sampled_from(["constant", "one-sided", "mute"]),
    st.integers(0, 50),
)
def test_a_model_that_does_not_decide_is_never_called_equivalent(
    level: float, shift: float, kind: str, seed: int
) -> None:
    plan = small_plan(prompt__answers__mass_floor=0.5)
    spread = {"constant": 0.0, "one-sided": 0.1, "mute": 1.0}[kind]
    wander = biased(shift={"Black": shift}, centre=level, spread=spread, noise=0.001, seed=seed)

    def margin(case: Case) -> float:
        return level if kind == "constant" else wander(case) + (0 if level or kind == "mute" else 2)

    with tempfile.TemporaryDirectory() as folder:
        conclusions = concluded(Path(folder), margin, size=300, plan=plan, mass=0.01 if kind == "mute" else 0.9)
    assert conclusions.controls.degenerate.holds
    outcome = of(conclusions, "cf_net_effect")
    assert outcome.conclusion is Conclusion.INCONCLUSIVE
    assert of(conclusions, "cf_net_effect_matched").role is Role.PRIMARY
    assert "At its own cut-off the model hardly decides" in [item.title for item in conclusions.findings]
    if kind == "constant":
        for item in conclusions.measurements:
            # That the answers of both arms can be read alike is true of such a model, and says nothing of decisions.
            assert item.conclusion not in SAID or item.metric == "refusal_rate_gap", item.id


def test_the_matched_operating_point_carries_a_degenerate_model(tmp_path: Path) -> None:
    conclusions = concluded(tmp_path, biased(shift={"Black": -0.6}, centre=-8))
    natural, matched = of(conclusions, "cf_net_effect"), of(conclusions, "cf_net_effect_matched")
    assert (natural.estimate, natural.conclusion) == (0, Conclusion.INCONCLUSIVE)
    assert matched.role is Role.PRIMARY
    assert matched.family == "matched operating point"
    assert matched.conclusion is Conclusion.DIFFERENCE_FOUND
    healthy = concluded(tmp_path / "healthy", biased(shift={"Black": -0.6}))
    assert of(healthy, "cf_net_effect_matched").role is Role.EXPLORATORY


def test_a_matched_point_that_gives_one_outcome_says_nothing(tmp_path: Path) -> None:
    matched = of(concluded(tmp_path, lambda _: 1.5), "cf_net_effect_matched")
    assert matched.conclusion is Conclusion.INCONCLUSIVE
    assert matched.conclusion_reason is not None
    assert "100% of the reference arm get one outcome at the matched cut-off too" in matched.conclusion_reason


def draft(
    name: str, p_value: float | None, family: str | None, checks: tuple[Check, ...] = ()
) -> UnadjustedMeasurement:
    item = Measurement(
        id=name, test="t", metric="m", role=Role.PRIMARY, subject={}, unit="rate_difference", estimate=0.1, low=0.05,
        high=0.15, sd_units=3.0, p_value=p_value, family=family, checks=checks, n=1000,
    level=0.95)  # fmt: skip
    return UnadjustedMeasurement(
        item,
        Evidence(
            estimate=0.1, p_adjusted=None, practical_threshold=0.02, pairs=1000, alpha=0.05, equivalence_alpha=0.05
        ),
    )


P_VALUES = st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=6)


@given(P_VALUES, P_VALUES)
def test_declared_families_are_adjusted_apart_and_by_their_own_rule(
    confirmed: list[float | None], explored: list[float | None]
) -> None:
    drafts = [draft(f"c{number}", value, "primary") for number, value in enumerate(confirmed)]
    drafts += [draft(f"e{number}", value, "exploratory") for number, value in enumerate(explored)]
    drafts.append(draft("alone", 0.001, None))
    settled = {item.id: item.p_adjusted for item in adjust_and_conclude(drafts)}
    assert [settled[f"c{number}"] for number in range(len(confirmed))] == holm(confirmed, family_size=len(confirmed))
    assert [settled[f"e{number}"] for number in range(len(explored))] == benjamini_hochberg(
        explored, family_size=len(explored)
    )
    assert settled["alone"] is None


def test_a_failed_self_check_takes_the_number_away_and_says_why() -> None:
    failed = Check("packed equals alone", held=False, value=0.5, bound=1e-4)
    kept, gone = adjust_and_conclude([draft("kept", 0.01, "primary"), draft("gone", 0.01, "primary", (failed,))])
    assert kept.conclusion is Conclusion.DIFFERENCE_FOUND
    assert kept.p_adjusted == 0.02, "the family stays as it was declared"
    numbers = (gone.estimate, gone.low, gone.high, gone.sd_units, gone.p_value, gone.p_adjusted)
    assert numbers == (None,) * 6
    assert gone.missing_reason == "the self-check 'packed equals alone' did not hold: 0.5 against 0.0001"
    assert gone.conclusion is Conclusion.INCONCLUSIVE
    assert gone.row()["missing_reason"] == gone.missing_reason


def test_two_measurements_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two measurements are called 'a'"):
        adjust_and_conclude([draft("a", 0.1, None), draft("a", 0.2, None)])


def test_a_failed_check_of_how_the_run_was_scored_leaves_nothing_concluded() -> None:
    failed = Check("packed equals alone", held=False, value=0.5, bound=1e-4, covers_run=True)
    contrast, _ = adjust_and_conclude([draft("contrast", 0.0001, "primary"), draft("floor", None, None, (failed,))])
    assert contrast.conclusion is Conclusion.INCONCLUSIVE
    assert contrast.conclusion_reason is not None
    assert "packed equals alone" in contrast.conclusion_reason


def test_a_run_with_chunks_left_is_not_concluded(tmp_path: Path) -> None:
    ledger = simulated(tmp_path, small_plan(), small_data(30), biased(shift={}))
    next((tmp_path / "chunks").glob("*.decisions")).unlink()
    with pytest.raises(RunError, match="1 chunks left to score"):
        conclude(ledger)
