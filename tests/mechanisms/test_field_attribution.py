"""Fields are credited with what they moved, exactly, and adverse decisions get the fields that lowered them most."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from auditor.canonical import canonical_json
from auditor.conclusions import adjust_and_conclude
from auditor.demo_data import load_loanapp
from auditor.exceptions import Interrupted, PlanError
from auditor.language_models.packed import TOLERANCE, plain_log_probabilities
from auditor.language_models.trie import distinct_tokens
from auditor.mechanisms._shared.attribution_rows import Reference
from auditor.mechanisms._shared.players import Player, choose
from auditor.mechanisms.field_attribution import method as field_attribution
from auditor.mechanisms.field_attribution.method import Settings, compute, measure, plan_chunks
from auditor.mechanisms.field_attribution.reasons import NOTICE, principal, sentence
from auditor.mechanisms.field_attribution.result import Payload, Result
from auditor.plan import Plan
from auditor.records import Decision, Measurement, Outcome, Role
from auditor.testing.chunks import PlanContext
from auditor.testing.context import Context
from tests.engine.small import small_data, small_plan
from tests.mechanisms.asking import Watched, asked, compute_context, through_a_ledger

FIELDS = ("income", "form", "sex", "race")
NUMBERS = "{total_income} {net_worth} {obligations_ratio} {price} {loan_amount} {liquid_assets} {housing_expense}"
WIDE = NUMBERS + "\nForm {form}\nSex {sex}\nRace {race}\nDecision:"


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def settings(**changes: Any) -> Settings:
    return Settings.model_validate({"cases": 3, "shapley_cases": 1, "select": "random", **changes}, strict=False)


def payloads(given: PlanContext) -> list[Payload]:
    return [Payload.read(through_a_ledger(piece.payload)) for piece in plan_chunks(given)]


def explained(*, wide: bool = False, **changes: Any) -> tuple[list[Result], Watched]:
    """Results of a tiny model; with ``wide``, on real applications with ten fields instead of four."""
    chosen = settings(**changes)
    given = {"plan": small_plan(prompt__template=WIDE, cases__limit=40), "data": load_loanapp()} if wide else {}
    at = compute_context(chosen, **given)
    return [Result.read(through_a_ledger(compute(at, payload))) for payload in payloads(asked(chosen, **given))], at


def additive(prompt: str) -> float:
    """Income counts a tenth a unit, a Black applicant loses 2, a woman gains 0.5, the form counts nothing."""
    income = float(re.search(r"Income \$(\d+)", prompt)[1])  # type: ignore[index]
    return income / 10 - 7 - 2 * ("Race Black" in prompt) + 0.5 * ("Sex female" in prompt)


def term(name: str, words: dict[str, str]) -> float:
    return {
        "income": float(words["income"][1:]) / 10,
        "race": -2.0 * (words["race"] == "Black"),
        "sex": 0.5 * (words["sex"] == "female"),
        "form": 0.0,
    }[name]


def test_in_an_additive_model_both_methods_give_each_field_its_term() -> None:
    chosen = settings(shapley_cases=3)
    for payload in payloads(asked(chosen)):
        [case] = compute(compute_context(chosen, toy=additive), payload).cases
        reference = payload.reference.words
        for method in ("occlusion", "shapley"):
            expected = {name: term(name, payload.cases[0].words) - term(name, reference) for name in FIELDS}
            assert case.values[method] == pytest.approx(expected, abs=1e-12)


def test_occlusion_is_the_difference_to_the_prompt_with_the_reference_read_alone() -> None:
    results, at = explained(cases=1, shapley_cases=0)
    [case] = results[0].cases
    [reading] = at.readings[:1]
    questions = at.questions(reading)
    alone = []
    for question in questions:
        logs = [
            plain_log_probabilities(at.loaded.model, list(sequence), read)
            for sequence, read in zip(question.sequences, question.reads, strict=True)
        ]
        yes = np.logaddexp.reduce([float(np.sum(log)) for log in _spelled(question.favourable, question, logs)])
        no = np.logaddexp.reduce([float(np.sum(log)) for log in _spelled(question.adverse, question, logs)])
        alone.append(yes - no)
    assert case.margin == pytest.approx(alone[0], abs=TOLERANCE)
    moved = [value for name in FIELDS if (value := case.values["occlusion"][name])]
    assert moved == pytest.approx([alone[0] - other for other in alone[1:]], abs=2 * TOLERANCE)


def _spelled(answers: Any, question: Any, logs: Any) -> list[list[float]]:
    """The log-probabilities of every token of these answers, as the question lays them out."""
    everything = question.favourable + question.adverse
    stems = list(dict.fromkeys(answer[:-1] for answer in everything))
    found = []
    for answer in answers:
        same = [other for other in everything if other[:-1] == answer[:-1]]
        before = sum(len(other) for other in same[: same.index(answer)])
        found.append(logs[stems.index(answer[:-1])][before : before + len(answer)])
    return found


def test_a_field_with_the_value_of_the_reference_gets_exactly_zero_and_no_prompt() -> None:
    chosen = settings(cases=1, reference="0002")
    [planned] = payloads(asked(chosen))
    reference, [case] = planned.reference, planned.cases
    same = ("income", "race")
    words = {**{name: reference.words[name] for name in same}, "sex": "male", "form": "555"}
    payload = planned.model_copy(
        update={
            "cases": (case.model_copy(update={"words": words}),),
            "reference": reference.model_copy(update={"words": {**reference.words, "sex": "female"}}),
        }
    )
    at = compute_context(chosen)
    [result] = compute(at, payload).cases
    for method in ("occlusion", "shapley"):
        assert [result.values[method][name] for name in same] == [0.0, 0.0]
        assert result.values[method]["sex"] != 0
    assert result.game.coalitions == 4
    assert [len(reading) for reading in at.readings[:2]] == [3, 4]


def test_the_order_of_the_fields_does_not_matter() -> None:
    chosen = settings(cases=1)
    [payload] = payloads(asked(chosen))
    straight = compute(compute_context(chosen), payload).cases[0].values
    reverse = payload.model_copy(update={"players": payload.players[::-1]})
    turned = compute(compute_context(chosen), reverse).cases[0].values
    for method in ("occlusion", "shapley"):
        assert turned[method] == pytest.approx(straight[method], abs=TOLERANCE)


def test_values_sum_to_the_change_of_the_margin_and_agree_with_sampling() -> None:
    exact, _ = explained(cases=1, wide=True)
    sampled, _ = explained(cases=1, wide=True, exact_up_to=6, standard_error=1e-9, pairs=32)
    [one], [other] = exact[0].cases, sampled[0].cases
    assert sum(one.game.values.values()) == pytest.approx(one.margin - one.game.empty, abs=TOLERANCE)
    errors = other.game.standard_errors
    assert one.game.standard_errors is None
    assert one.game.coalitions == 2 ** len(one.game.values) >= 256
    assert other.game.pairs == 32
    for name, value in other.game.values.items():
        assert abs(value - one.game.values[name]) <= 5 * errors[name] + 2 * TOLERANCE


def test_the_same_chunk_gives_the_same_bytes() -> None:
    once, _ = explained(wide=True, exact_up_to=6, pairs=8)
    again, _ = explained(wide=True, exact_up_to=6, pairs=8)
    assert once[0].cases[0].game.pairs == 8
    assert [canonical_json(result.row()) for result in once] == [canonical_json(result.row()) for result in again]


def test_every_value_is_a_row_of_attributions() -> None:
    results, _ = explained()
    rows = [row for result in results for row in result.attributions]
    assert {row.test for row in rows} == {"field_attribution/occlusion", "field_attribution/shapley"}
    assert {row.reference for row in rows} == {"typical"}
    cases = {case.id: case for result in results for case in result.cases}
    assert len(cases) == 3
    for row in rows:
        assert cases[row.case_id].values[row.test.split("/")[1]][row.field] == row.value
    assert len(rows) == 3 * len(FIELDS) + len(FIELDS)


def test_a_stopped_chunk_raises_and_names_nothing_done() -> None:
    chosen = settings(cases=1)
    at = compute_context(chosen)
    at.scorer.should_stop = lambda: True
    with pytest.raises(Interrupted):
        compute(at, payloads(asked(chosen))[0])


# What is planned


def test_the_typical_values_are_medians_modes_and_the_plans_reference_groups() -> None:
    given = asked(settings())
    words = payloads(given)[0].reference.words
    incomes = sorted(int(own["income"][1:]) for own in given.words.values())
    assert words["income"] == f"${incomes[(len(incomes) - 1) // 2]}"
    forms = sorted(int(own["form"]) for own in given.words.values())
    assert words["form"] == str(forms[(len(forms) - 1) // 2])
    assert (words["race"], words["sex"]) == ("White", "male")


def test_a_named_application_is_the_reference_and_is_not_explained() -> None:
    given = asked(settings(reference="0003", cases=24))
    pieces = payloads(given)
    assert pieces[0].reference == Reference(name="0003", words=dict(given.words["0003"]))
    names = [case.id for piece in pieces for case in piece.cases]
    assert "0003" not in names
    assert len(set(names)) == len(names) == 23


def test_applications_with_values_shapley_stand_alone_and_the_others_share_chunks() -> None:
    plan = small_plan(budget__chunk_tokens=100_000)
    pieces = payloads(asked(settings(cases=10, shapley_cases=2), plan=plan))
    assert [[case.shapley for case in piece.cases] for piece in pieces] == [[True], [True], [False] * 8]
    assert len(payloads(asked(settings(cases=10, shapley_cases=2), plan=small_plan(budget__chunk_tokens=64)))) == 10


def test_cases_beyond_the_token_budget_are_left_out_and_counted() -> None:
    given = asked(settings(cases=20, shapley_cases=0, tokens=1000))
    pieces = list(plan_chunks(given))
    kept = sum(len(piece.payload.cases) for piece in pieces)
    assert 1 <= kept < 20
    assert {piece.payload.left_out for piece in pieces} == {20 - kept}
    assert sum(piece.tokens for piece in pieces) <= 1000


@pytest.mark.parametrize("change", [{}, {"fields": ("race", "income")}, {"players": 2}])
def test_the_estimate_is_near_the_tokens_that_are_computed(change: dict[str, Any]) -> None:
    chosen = settings(cases=4, shapley_cases=4, **change)
    estimate, computed = 0, 0
    at = compute_context(chosen)
    for piece in plan_chunks(asked(chosen)):
        estimate += piece.tokens
        compute(at, piece.payload)
    for reading in at.readings:
        computed += distinct_tokens([sequence for question in at.questions(reading) for sequence in question.sequences])
    assert 0.7 * computed <= estimate <= 1.6 * computed


def test_balanced_selection_takes_adverse_and_favourable_records_in_turns() -> None:
    given = asked(settings(cases=8, select="balanced"))
    recorded = {cluster.application.id: cluster.application.favourable for cluster in given.clusters}
    names = [case.id for piece in payloads(given) for case in piece.cases]
    assert [recorded[name] for name in names] == [False, True] * 4


def test_groups_and_proxies_play_as_one() -> None:
    given = asked(settings(groups={"papers": ("form", "income")}))
    assert [player.fields for player in payloads(given)[0].players] == [("income", "form"), ("sex",), ("race",)]
    players = payloads(asked(settings(), income="proxy", form="protected_proxy"))[0].players
    assert players[0] == Player("proxies", "proxies (income, Form number)", ("income", "form"), True)
    assert len(payloads(asked(settings(), income="proxy"))[0].players) == 4


def test_the_game_is_played_by_what_is_protected_and_the_largest_others() -> None:
    players = [Player(name, name, (name,), name in "yz") for name in "abcyz"]
    effects = {"a": 0.1, "b": -3.0, "c": 2.0, "y": 0.0, "z": 0.0}
    assert [player.name for player in choose(players, effects, wanted=(), at_most=3)] == ["b", "y", "z"]
    assert [player.name for player in choose(players, effects, wanted=(), at_most=4)] == ["b", "c", "y", "z"]
    assert [player.name for player in choose(players, effects, wanted=(), at_most=1)] == ["y", "z"]
    assert [player.name for player in choose(players, effects, wanted=("a", "z"), at_most=1)] == ["a", "z"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"reference": "9999"},
            "plan: settings.field_attribution.reference: no application '9999' in this run; expected",
        ),
        (
            {"fields": ("age",)},
            "plan: settings.field_attribution.fields: 'age' is not in the prompt; expected one of: form, ",
        ),
        (
            {"groups": {"race": ("sex",)}},
            "plan: settings.field_attribution.groups: group 'race' has the name of a field",
        ),
        (
            {"groups": {"x": ("age",)}},
            "plan: settings.field_attribution.groups.x: 'age' is not in the prompt; expected one of",
        ),
    ],
)
def test_settings_that_do_not_fit_the_prompt_get_one_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError) as refusal:
        payloads(asked(settings(**change)))
    assert str(refusal.value).startswith(message)


def test_a_field_in_two_groups_is_refused() -> None:
    with pytest.raises(ValidationError, match="a field is in two groups"):
        settings(groups={"a": ("sex",), "b": ("sex",)})


# What is measured


def context(plan: Plan, results: Sequence[Result], *, apart: float = 0.0) -> Context:
    decisions = {}
    for result in results:
        for case in result.cases:
            outcome = Outcome.FAVOURABLE if case.margin >= 0 else Outcome.ADVERSE
            decisions[case.id] = Decision(case.id, case.margin + apart, 0.9, -1.0, -1.0, outcome)
    return Context(
        plan=plan,
        cases=[],
        decisions=decisions,
        observed={},
        values={},
        observed_rate=None,
    )


def measured(results: Sequence[Result], *, apart: float = 0.0) -> dict[str, Measurement]:
    about = context(small_plan(), results, apart=apart)
    return {item.id: item for item in adjust_and_conclude(list(measure(about, results)))}


def toy_results(*, size: int = 24, **changes: Any) -> list[Result]:
    chosen, data = settings(**changes), small_data(size)
    at = compute_context(chosen, toy=additive, data=data)
    return [compute(at, payload) for payload in payloads(asked(chosen, data=data))]


def test_measurements_are_means_over_the_explained_applications() -> None:
    results = toy_results(cases=24, shapley_cases=5)
    cases = [case for result in results for case in result.cases]
    found = measured(results)
    assert {item.role for item in found.values()} == {Role.SUPPORTING}
    race = np.array([case.values["occlusion"]["race"] for case in cases])
    size = found["field_attribution/attribution_size/field=race/method=occlusion/vs=White"]
    signed = found["field_attribution/attribution_signed/field=race/method=occlusion/vs=White"]
    assert size.estimate == pytest.approx(np.abs(race).mean())
    assert signed.estimate == pytest.approx(race.mean())
    assert signed.estimate < 0
    assert size.low is not None
    assert size.high is not None
    assert size.low <= size.estimate <= size.high
    assert (size.n, size.counts["cases_left_out"]) == (24, 0)
    assert "illustration" not in size.method
    deep = found["field_attribution/attribution_size/field=race/method=shapley/vs=White"]
    assert (deep.n, deep.low) == (5, None)
    assert "an illustration, 5 applications" in deep.method
    values = [case.values["occlusion"] for case in cases]
    share = found["field_attribution/protected_share/method=occlusion/vs=typical"]
    assert share.estimate == pytest.approx(
        sum(abs(row["race"]) + abs(row["sex"]) for row in values)
        / sum(abs(value) for row in values for value in row.values())
    )
    gap = found["field_attribution/attribution_sum_gap/method=shapley/vs=typical"]
    assert gap.estimate == pytest.approx(0, abs=1e-9)
    assert all(row.row()["missing_reason"] is None or row.estimate is None for row in found.values())


def test_adverse_decisions_are_counted_by_the_fields_that_lowered_them() -> None:
    results = toy_results(size=60, cases=60, shapley_cases=0)
    cases = [case for result in results for case in result.cases]
    adverse = [case for case in cases if case.margin < 0]
    assert 0 < len(adverse) < len(cases)
    assert all(not case.reasons for case in cases if case.margin >= 0)
    found = measured(results)
    share = found["field_attribution/reason_share/field=race/method=occlusion/vs=White"]
    black = [case for case in adverse if case.values["occlusion"]["race"] < 0]
    assert (share.estimate, share.n) == (len(black) / len(adverse), len(adverse))
    protected = found["field_attribution/protected_reason_share/method=occlusion/vs=typical"]
    assert protected.estimate == share.estimate
    turned = found["field_attribution/reasons_turn_decision/method=occlusion/vs=typical"]
    assert turned.estimate == np.mean([case.reasons["occlusion"].margin_without >= 0 for case in adverse])
    assert not [name for name in found if "reason_share/field=form" in name]


def test_a_share_of_few_adverse_decisions_is_no_main_reason() -> None:
    """One adverse case once read as "Race: a main reason of 100 %"."""
    for cases in (2, 24):
        results = toy_results(cases=cases, shapley_cases=1)
        found = {name: item for name, item in measured(results).items() if "reason" in name}
        assert len(found) >= 3
        for item in found.values():
            assert item.estimate is None
            assert "at least 30 needed" in str(item.missing_reason)
    shapley = measured(results)["field_attribution/protected_share/method=shapley/vs=typical"]
    assert shapley.estimate is None
    assert "one application gives no share" in str(shapley.missing_reason)


def test_without_an_adverse_decision_the_shares_have_a_reason_and_no_number() -> None:
    chosen = settings(shapley_cases=0)
    results = [compute(compute_context(chosen, toy=lambda _: 3.0), payload) for payload in payloads(asked(chosen))]
    found = measured(results)
    share = found["field_attribution/protected_reason_share/method=occlusion/vs=typical"]
    assert (share.estimate, share.missing_reason) == (None, "no explained application was decided adversely")
    assert found["field_attribution/protected_share/method=occlusion/vs=typical"].estimate is None


def test_a_margin_that_is_not_the_one_decided_on_takes_every_number_away() -> None:
    results = toy_results()
    assert all(item.estimate is None for item in measured(results, apart=0.01).values())
    reason = next(iter(measured(results, apart=0.01).values())).missing_reason
    assert reason is not None
    assert reason.startswith("the self-check 'margin as decided' did not hold")


def test_values_that_do_not_add_up_are_not_shown() -> None:
    rows = [result.row() for result in toy_results(shapley_cases=3)]
    rows[0]["cases"][0]["game"]["values"]["race"] += 0.01
    found = measured([Result.read(row) for row in rows])
    assert all(item.estimate is None for name, item in found.items() if "method=shapley" in name)
    assert found["field_attribution/attribution_size/field=race/method=occlusion/vs=White"].estimate is not None


def test_a_sampled_game_reports_its_largest_standard_error() -> None:
    results, _ = explained(wide=True, shapley_cases=2, cases=2, exact_up_to=6, pairs=8)
    error = measured(results)["field_attribution/attribution_error/method=shapley/vs=typical"]
    largest = max(max(case.game.standard_errors.values()) for result in results for case in result.cases)
    assert error.estimate == largest
    assert error.counts["pairs"] == 8


def test_nothing_explained_gives_no_measurements() -> None:
    assert list(measure(context(small_plan(), []), [])) == []


# Reasons


def test_reasons_are_the_four_strongest_that_lowered_the_margin() -> None:
    players = [Player(name, name, (name,), False) for name in "abcdefg"]
    effects = {"a": -0.1, "b": 2.0, "c": -0.5, "d": -0.5, "e": 0.0, "f": -3.0, "g": -0.2}
    assert [player.name for player in principal(effects, players)] == ["f", "c", "d", "g"]
    assert principal({"b": 1.0}, players) == ()


def test_a_reason_is_worded_with_the_label_and_claims_nothing_of_the_creditor() -> None:
    player = Player("obligations", "Total obligations ratio", ("obligations",), False)
    text = sentence(player, words={"obligations": "43%"}, reference={"obligations": "33%"}, effect=-1.204)
    assert text == "Total obligations ratio: 43%, where the reference has 33%, lowered the margin by 1.20 nats"
    assert "They are not the creditor's reasons" in NOTICE
    for word in ("principal reason", "because", "denied"):
        assert word not in text + NOTICE


def test_an_adverse_decision_carries_its_sentences_and_the_margin_without_them() -> None:
    results = toy_results(cases=24, shapley_cases=0)
    rows = [case for result in results for case in result.cases if case.reasons]
    words = {
        case.id: case.words for piece in payloads(asked(settings(cases=24, shapley_cases=0))) for case in piece.cases
    }
    reference = results[0].reference.words
    for case in rows:
        reasons = case.reasons["occlusion"]
        left = {**words[case.id], **{name: reference[name] for name in reasons.players}}
        assert reasons.margin_without == pytest.approx(sum(term(name, left) for name in FIELDS) - 7)
        assert len(reasons.sentences) == len(reasons.players)


def test_the_module_offers_what_the_contract_asks_for() -> None:
    assert {"CARD", "Settings", "plan_chunks", "compute", "measure"} <= set(vars(field_attribution))
    assert Settings() == Settings.model_validate_json("{}")


def test_every_setting_is_documented_with_its_default_and_no_other() -> None:
    text = (Path(__file__).parents[2] / "docs/methods.md").read_text(encoding="utf-8")
    table = text.split("`[settings.field_attribution]` in a plan")[1].split("\n    python")[0]
    rows = [[cell.strip(" `") for cell in line.split("|")] for line in table.splitlines() if line.startswith("| `")]
    assert {row[1]: json.loads(row[3]) for row in rows} == Settings().model_dump(mode="json")
