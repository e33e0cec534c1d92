"""A plan whose readout is a choice is put to weights through the text they generate, from its cases to its evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import auditor
from auditor.door.results import Audited
from auditor.evidence import REPEATABLE
from auditor.exceptions import PlanError
from auditor.records import Conclusion, Outcome, Role
from tests.engine.small import small_data, small_plan
from tests.language_models.bigram import yes_or_no
from tests.language_models.tiny import save_tiny

READ = {"readout": "choice", "max_tokens": 6}
FLOOR = "noise_floor/cf_noise_floor/change="


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("yes_or_no"), model=yes_or_no(0.7))


def audited(folder: Path, weights: Path, *, size: int = 24, **changes: Any) -> Audited:
    plan = small_plan(**{"schema": 2, "reading": READ, **changes})
    store = weights.parent / "store"
    return auditor.audit(plan, folder=folder, model=f"dir:{weights}", data=small_data(size), store=store)


def test_greedy_text_is_read_and_its_decisions_are_measured(tmp_path: Path, weights: Path) -> None:
    found = audited(tmp_path, weights)
    assert found.run.generated is not None
    assert (found.run.generated.readout, found.run.generated.seed) == ("choice", 5)
    decisions = found.conclusions.decisions
    assert {(item.outcome, item.observation, item.margin) for item in decisions} == {(Outcome.FAVOURABLE, "read", None)}
    texts = pl.read_parquet(found.evidence / "texts.parquet")
    assert set(texts["text"]) == {" yes"}
    assert texts["case_id"].to_list() == [item.case_id for item in decisions]
    control = found.measurement("generated_text/texts_in_doubt")
    assert (control.estimate, control.n, control.counts["cut_off"]) == (0.0, len(decisions), 0)
    assert [check.held for check in control.checks] == [True]
    assert found.measurement(FLOOR + "reask").estimate == 0.0


def test_a_repeat_gives_the_same_bytes_and_the_bundle_is_measured_anew_to_the_same_numbers(
    tmp_path: Path, weights: Path
) -> None:
    reading = {**READ, "temperature": 1.0, "replicates": 2}
    first, second = (audited(tmp_path / name, weights, reading=reading) for name in ("one", "two"))
    assert first.run.digest() == second.run.digest()
    for name in (*REPEATABLE, "texts.parquet"):
        assert (first.evidence / name).read_bytes() == (second.evidence / name).read_bytes(), name


def test_a_sampled_model_is_asked_several_times_and_the_application_stays_the_unit(
    tmp_path: Path, weights: Path
) -> None:
    reading = {**READ, "temperature": 1.0, "seed": 3, "replicates": 3}
    race = [{"field": "race", "groups": ["White", "Black"], "reference": "White"}]
    run = ["counterfactual", "arm_rates", "noise_floor"]
    prompt = "Income {income}\nRace {race}\nDecision:"
    found = audited(
        tmp_path,
        weights,
        reading=reading,
        size=78,
        attributes=race,
        placebo=None,
        prompt__template=prompt,
        tests__run=run,
    )
    cases = found.conclusions.cases
    assert {case.cluster.rpartition("~")[2] for case in cases} == {"1", "2", "3"}
    share = sum(item.outcome is Outcome.FAVOURABLE for item in found.conclusions.decisions) / len(cases)
    assert share == pytest.approx(0.7, abs=0.08)
    floor = found.measurement(FLOOR + "replicate")
    assert floor.estimate == pytest.approx(2 * 0.7 * 0.3, abs=0.08)
    assert floor.low is not None
    effect = found.measurement("counterfactual/cf_net_effect/field=race/group=Black/vs=White")
    applications = {case.cluster.rpartition("~")[0] for case in cases if "race=Black" in case.arms}
    assert effect.n == 3 * len(applications)
    assert effect.method.partition(";")[0] == "mean difference of application means over replicates"
    assert effect.conclusion in (Conclusion.INCONCLUSIVE, Conclusion.NO_EVIDENCE)
    assert effect.low is not None
    assert effect.low < 0 < (effect.high or 0)
    beyond = found.measurement("noise_floor/beyond_replicates/field=race/group=Black/vs=White")
    assert beyond.n == len(applications)
    assert beyond.low is not None
    assert beyond.low < 0 < (beyond.high or 0)
    arm = found.measurement("arm_rates/selection_rate/field=race/group=Black")
    assert (arm.low, arm.missing_reason) == (None, None)


def test_a_greedy_model_is_asked_once_however_often_the_plan_would(tmp_path: Path, weights: Path) -> None:
    found = audited(tmp_path, weights, reading={**READ, "replicates": 5})
    assert found.run.generated is not None
    assert found.run.generated.replicates == 1
    assert not any("~" in case.id for case in found.conclusions.cases)


def test_a_text_that_is_cut_off_is_unreadable(tmp_path: Path, weights: Path) -> None:
    found = audited(tmp_path, weights, reading={**READ, "max_tokens": 2})
    assert {item.outcome for item in found.conclusions.decisions} == {Outcome.UNREADABLE}
    assert {text.reason for text in found.conclusions.texts} == {"the answer was cut off"}
    assert {text.text for text in found.conclusions.texts} == {" y"}


def test_a_failed_self_check_of_one_text_ends_every_conclusion(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from auditor.language_models.text_tree import TextTree

    grow = TextTree.grow

    def shifted(tree: Any, rows: Any, tokens: Any) -> Any:
        return grow(tree, rows, tokens) * 0.9

    monkeypatch.setattr(TextTree, "grow", shifted)
    found = audited(tmp_path, weights)
    control = found.measurement("generated_text/texts_in_doubt")
    assert not control.checks[0].held
    concluded = {item.conclusion for item in found.conclusions.measurements if item.conclusion is not None}
    assert concluded <= {Conclusion.INCONCLUSIVE, Conclusion.NOT_TESTED}


@pytest.mark.parametrize(
    ("reading", "line"),
    [
        ({"form": "tool"}, "reading.form: 'tool': weights are held to no form; expected 'text'"),
        (
            {"temperature": 1.0},
            "reading.temperature: log-odds are read off the weights, nothing is sampled; "
            "expected none, or readout = 'choice'",
        ),
        (
            {"replicates": 2},
            "reading.replicates: log-odds are read off the weights, nothing is sampled; "
            "expected none, or readout = 'choice'",
        ),
        (
            {"stop": ["."]},
            "reading.stop: log-odds are read off the weights, nothing is generated; "
            "expected none, or readout = 'choice'",
        ),
        (
            {"readout": "choice", "max_tokens": 190},
            "budget.max_prompt_tokens: the prompt of application 0001 with its answer has 241 tokens",
        ),
    ],
)
def test_what_weights_cannot_do_is_refused(tmp_path: Path, weights: Path, reading: dict[str, Any], line: str) -> None:
    with pytest.raises(PlanError) as refusal:
        audited(tmp_path, weights, reading=reading)
    assert line in str(refusal.value)


def test_a_run_of_log_odds_has_no_texts_and_says_so(tmp_path: Path, weights: Path) -> None:
    found = audited(tmp_path, weights, reading={}, tests__run=["arm_rates", "generated_text"])
    assert found.run.generated is None
    assert "generated" not in found.run.given()
    assert not (found.evidence / "texts.parquet").exists()
    [control] = [item for item in found.conclusions.measurements if item.test == "generated_text"]
    assert control.conclusion is Conclusion.NOT_TESTED


def test_refusals_are_told_apart_from_what_cannot_be_read(tmp_path: Path, weights: Path) -> None:
    found = audited(tmp_path, weights, tests__run=["counterfactual", "arm_rates"])
    gap = found.measurement("counterfactual/refused_gap/field=race/group=Black/vs=White")
    assert (gap.estimate, gap.family, gap.role) == (0.0, "exploratory: refusals", Role.EXPLORATORY)
    rate = found.measurement("arm_rates/refused_rate/field=race/group=Black")
    assert (rate.estimate, rate.n) == (0.0, found.measurement("arm_rates/invalid_rate/field=race/group=Black").n)
    scored = audited(tmp_path / "scored", weights, reading={}, tests__run=["counterfactual", "arm_rates"])
    assert not any("refused" in item.metric for item in scored.conclusions.measurements)
