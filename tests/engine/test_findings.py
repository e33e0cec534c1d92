"""A finding says what was measured where, under the clauses that ask for it, in words that claim no more than that."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.conductor import Conclusions, conclude
from auditor.findings import find
from auditor.policies.packs import load_packs
from auditor.records import Conclusion, Finding, Measurement, Role, Severity
from auditor.testing.context import State
from reports.lint import forbidden_phrases
from tests.engine.small import biased, simulated, small_data, small_plan

HEALTHY = State(False, (), 0.7, "favourable", 0.0)
MUTE = State(True, ("100.0% of the reference arms get one outcome, adverse",), 1.0, "adverse", 0.0)
PACKS = load_packs(["us-ecoa-regb", "us-fha"], where="p")


def measured(metric: str, estimate: float, low: float, high: float, **changes: object) -> Measurement:
    unit = "sd" if metric == "cf_mean_shift_sd" else "rate_difference"
    base: dict[str, object] = {
        "id": metric, "test": "counterfactual", "metric": metric, "role": Role.PRIMARY, "unit": unit,
        "subject": {"field": "race", "group": "Black"}, "reference": "White", "estimate": estimate, "low": low,
        "high": high, "p_adjusted": 0.001, "conclusion": Conclusion.DIFFERENCE_FOUND, "conclusion_reason": "Found.",
        "n": 600, "level": 0.95,
    }  # fmt: skip
    return Measurement(**{**base, **changes})  # type: ignore[arg-type]


def found(*measurements: Measurement, state: State = HEALTHY, **changes: object) -> list[Finding]:
    return list(find(measurements, plan=small_plan(**changes), packs=PACKS, state=state))


def test_the_effect_is_in_people_with_true_minus_signs() -> None:
    [finding] = found(measured("cf_net_effect", -0.0312, -0.045, -0.021))
    assert (
        finding.effect
        == "About 31 fewer approvals at the model's own cut-off in 1,000 such applications than as White "
        "(95% interval 21 to 45 fewer)."
    )
    assert finding.title == "Race changed from White to Black: fewer approvals at the model's own cut-off"
    assert finding.condition.startswith(
        "With race changed from White to Black, approvals fall by 3.1 percentage points at the model's own cut-off"
    )


def test_a_hyphen_in_a_group_is_no_minus_sign() -> None:
    [finding] = found(measured("cf_net_effect", 0.03, 0.01, 0.05, level=0.99, reference="non-Hispanic"))
    assert finding.effect == (
        "About 30 more approvals at the model's own cut-off in 1,000 such applications than as non-Hispanic "
        "(99% interval 10 to 50 more)."
    )


@pytest.mark.parametrize(("estimate", "way"), [(0.0004, "More"), (-0.0004, "Fewer")])
def test_a_small_real_effect_that_rounds_to_no_application_is_not_worded_as_none(estimate: float, way: str) -> None:
    bounds = sorted((estimate / 2, 2 * estimate))
    [finding] = found(measured("cf_net_effect", estimate, *bounds, conclusion=Conclusion.DIFFERENCE_BELOW_THRESHOLD))
    assert finding.effect.startswith(
        f"{way} approvals at the model's own cut-off, by less than one in 1,000 such applications, than as White"
    )
    assert finding.effect.endswith("Small, and real.")


def test_a_degenerate_models_effect_is_the_one_at_the_matched_point() -> None:
    undecided, pair = sorted(
        found(
            measured("cf_net_effect", 0.0, -0.001, 0.001, conclusion=Conclusion.INCONCLUSIVE, p_adjusted=1.0),
            measured("cf_net_effect_matched", -0.04, -0.06, -0.025),
            state=MUTE,
        ),
        key=lambda finding: finding.severity.rank,
    )
    assert undecided.title == "At its own cut-off the model hardly decides"
    assert undecided.conclusion is Conclusion.INCONCLUSIVE
    assert pair.effect == (
        "About 40 fewer approvals at the matched cut-off in 1,000 such applications than as White "
        "(95% interval 25 to 60 fewer)."
    )
    assert pair.title.endswith("fewer approvals at the matched cut-off")


def test_a_shift_of_the_margin_claims_no_approvals() -> None:
    [finding] = found(
        measured("cf_net_effect", 0.001, -0.01, 0.01, conclusion=Conclusion.NO_EVIDENCE, p_adjusted=0.8),
        measured("cf_mean_shift_sd", -0.214, -0.25, -0.18),
    )
    assert finding.effect == (
        "Seen in the score alone: 0.21 SD towards denial (95% interval 0.18 to 0.25 towards denial). "
        "No change in approvals is claimed."
    )
    assert finding.title == "Race changed from White to Black: the score moves towards denial"


@pytest.mark.parametrize(
    ("estimate", "bounds", "changes", "severity", "rule"),
    [
        (-0.08, (-0.10, -0.05), {"use__decision_role": "determinative"}, Severity.CRITICAL, "critical-net-effect"),
        (-0.08, (-0.10, -0.05), {}, Severity.HIGH, "high-interval"),
        (-0.03, (-0.05, -0.01), {}, Severity.MEDIUM, "medium-effect"),
        (0.03, (0.01, 0.05), {"use__decision_role": "determinative"}, Severity.HIGH, "medium-effect"),
        (0.004, (0.001, 0.007), {}, Severity.LOW, "low-below-threshold"),
    ],
)
def test_severity_follows_the_rules(
    estimate: float, bounds: tuple[float, float], changes: dict[str, object], severity: Severity, rule: str
) -> None:
    [finding] = found(measured("cf_net_effect", estimate, *bounds), **changes)
    assert finding.severity is severity
    assert finding.rule.startswith(f"{rule}: ")


def test_an_inconclusive_primary_test_of_a_top_tier_model_is_a_finding() -> None:
    item = measured("cf_net_effect", 0.01, -0.02, 0.04, conclusion=Conclusion.INCONCLUSIVE, p_adjusted=0.3)
    assert found(item) == []
    [finding] = found(item, use__model_tier=1)
    assert (finding.severity, finding.rule.split(":")[0]) == (Severity.MEDIUM, "medium-inconclusive")
    assert finding.title == "Race changed from White to Black: this run cannot say"


def test_findings_come_worst_first_and_numbered() -> None:
    mild = measured("cf_net_effect", 0.004, 0.001, 0.007, subject={"field": "sex", "group": "female"}, reference="male")
    findings = found(mild, measured("cf_net_effect", -0.08, -0.1, -0.05))
    assert [(item.id, item.severity) for item in findings] == [("F-001", Severity.HIGH), ("F-002", Severity.LOW)]


def test_the_criteria_are_the_clauses_that_ask_for_the_measure_and_protect_the_field() -> None:
    [finding] = found(measured("cf_net_effect_matched", -0.08, -0.1, -0.05))
    expected = {
        f"{clause['ref']} ({pack.id} {pack.version})"
        for pack in PACKS
        for clause in pack.content["clauses"]
        if "metric:cf_net_effect" in clause["evidence_refs"]
        and "race" in [attribute["id"] for attribute in pack.content["protected_attributes"]]
    }
    assert expected
    assert set(finding.criteria) == expected
    assert len(finding.criteria) == len(expected)


def all_texts(conclusions: Conclusions) -> str:
    texts = [
        " ".join((item.title, item.rule, item.condition, item.cause, item.effect, item.recommendation))
        for item in conclusions.findings
    ]
    reasons = [item.conclusion_reason or "" for item in conclusions.measurements]
    return " ".join(texts + reasons)


@pytest.mark.parametrize(("shift", "centre"), [(-0.6, 1.0), (0.6, 1.0), (0.0, 1.0), (-0.6, -8.0), (0.05, -8.0)])
def test_no_finding_uses_a_forbidden_phrase(tmp_path: Path, shift: float, centre: float) -> None:
    margin = biased(shift={"Black": shift, "female": -shift}, centre=centre)
    conclusions = conclude(simulated(tmp_path, small_plan(use__model_tier=1), small_data(600), margin))
    assert conclusions.findings or shift == 0
    said = all_texts(conclusions)
    assert said.strip()
    assert forbidden_phrases(said, [pack.content for pack in PACKS]) == []
