"""Every application is asked as filed, once more for each other group, and once with a placebo changed."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import polars as pl
import pytest

from auditor.applications import apply_mapping
from auditor.counterfactuals import Cluster, make_clusters, select
from auditor.exceptions import DataError, PlanError
from auditor.mapping_files import mapping_from
from auditor.plan import Plan
from auditor.records import Decision, Outcome
from auditor.testing.context import Context
from tests.engine.small import MAPPING, raw_plan, small_cases, small_data, small_plan


def clusters(plan: Plan) -> list[Cluster]:
    data = small_data()
    return make_clusters(plan, data, data.records, chat=None, where="small.toml")


def test_an_application_as_filed_stands_in_the_arms_of_its_own_groups() -> None:
    cluster = clusters(small_plan(noise__reask=0))[1]
    assert [(case.id, case.role, case.changed, case.arms) for case in cluster.cases] == [
        ("0002", "actual", None, ("race=Black", "sex=male", "placebo=filed")),
        ("0002/race=White", "counterfactual", "race", ("race=White",)),
        ("0002/sex=female", "counterfactual", "sex", ("sex=female",)),
        ("0002/placebo", "placebo", "form", ("placebo=changed",)),
    ]
    assert cluster.cases[1].groups == {"race": "White", "sex": "male"}
    assert cluster.reask is None


def test_a_counterfactual_differs_from_the_original_in_the_changed_field_only() -> None:
    for cluster in clusters(small_plan()):
        filed = cluster.cases[0]
        for case in cluster.cases[1:]:
            assert case.changed is not None
            first, last = filed.spans[case.changed]
            begin, end = case.spans[case.changed]
            assert case.prompt[:begin] == filed.prompt[:first]
            assert case.prompt[end:] == filed.prompt[last:]
            assert case.prompt[begin:end] != filed.prompt[first:last]


def test_every_arm_holds_every_application_of_the_contrast_once() -> None:
    plan, data = small_plan(), small_data()
    cases = small_cases(plan, data)
    decisions = {case.id: Decision(case.id, 0.0, 1.0, 0.0, 0.0, Outcome.FAVOURABLE) for case in cases}
    context = Context(plan, cases, decisions, {}, {}, None)
    whole = [record.id for record in data.records if record.values["race"] in ("White", "Black")]
    assert list(context.pairs("race=White", "race=Black").clusters) == whole
    assert context.arm("race=White").clusters == context.arm("race=Black").clusters
    assert len(context.pairs("sex=male", "sex=female").clusters) == len(data.records)
    assert len(context.pairs("placebo=filed", "placebo=changed").clusters) == len(data.records)
    assert len(context.pairs("reask=first", "reask=second").clusters) == 4


def test_an_application_of_no_planned_group_stays_out_of_that_contrast_only() -> None:
    cluster = clusters(small_plan(noise__reask=0))[4]
    assert cluster.application.values["race"] is None
    assert [case.id for case in cluster.cases] == ["0005", "0005/sex=female", "0005/placebo"]
    assert cluster.cases[0].arms == ("sex=male", "placebo=filed")
    assert "Race not stated" in cluster.cases[0].prompt


def test_the_placebo_always_changes_and_is_drawn_by_the_seed() -> None:
    narrow = {"field": "form", "label": "Form number", "low": 1, "high": 2}
    for cluster in clusters(small_plan(placebo=narrow)):
        values = {case.prompt[slice(*case.spans["form"])] for case in (cluster.cases[0], cluster.cases[-1])}
        assert values == {"1", "2"}
    one, other = (clusters(small_plan(cases__seed=seed)) for seed in (5, 6))
    assert one == clusters(small_plan())
    assert [cluster.cases for cluster in one] != [cluster.cases for cluster in other]


def test_a_re_ask_is_the_same_prompt_under_another_id() -> None:
    again = [cluster for cluster in clusters(small_plan(noise__reask=4)) if cluster.reask]
    assert len(again) == 4
    for cluster in again:
        assert cluster.reask is not None
        assert cluster.reask.prompt == cluster.cases[0].prompt
        assert (cluster.reask.id, cluster.reask.arms) == (f"{cluster.application.id}/reask", ("reask=second",))
        assert "reask=first" in cluster.cases[0].arms


def test_the_selection_is_stable_and_follows_the_seed() -> None:
    data = small_data(60)
    plan = small_plan(cases={"seed": 1, "limit": 20})
    chosen = select(plan, data, seen=frozenset(), where="p")
    assert chosen == select(plan, data, seen=frozenset(), where="p")
    ids = [record.id for record in chosen.records]
    assert len(ids) == 20
    assert ids == sorted(ids)
    assert chosen.left_out == {"beyond the plan's limit": 40}
    other = select(small_plan(cases={"seed": 2, "limit": 20}), data, seen=frozenset(), where="p")
    assert other.records != chosen.records


@pytest.mark.parametrize("seed", range(5))
def test_unseen_never_holds_a_training_or_reserved_row(seed: int) -> None:
    data = replace(small_data(60), reserved=frozenset({"0001", "0002"}))
    seen = frozenset({"0002", "0003", "9999"})
    plan = small_plan(cases={"seed": seed, "select": "unseen", "limit": 57})
    chosen = select(plan, data, seen=seen, where="p")
    assert {record.id for record in chosen.records}.isdisjoint({"0001", "0002", "0003"})
    assert chosen.left_out == {
        "in the training record or the reserved split": 3,
        "beyond the plan's limit": 0,
    }
    everyone = select(small_plan(cases={"seed": seed, "select": "all"}), data, seen=seen, where="p")
    assert len(everyone.records) == 60


def test_a_selection_that_leaves_nobody_is_refused() -> None:
    data = replace(small_data(3), reserved=frozenset({"0001", "0002", "0003"}))
    with pytest.raises(DataError) as refusal:
        select(small_plan(cases={"select": "unseen"}), data, seen=frozenset(), where="p.toml")
    assert str(refusal.value) == ("p.toml: cases: no application is left; expected a selection that keeps at least one")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"attributes": [{"field": "age", "groups": ["a", "b"], "reference": "a"}]},
            "small.toml: attributes[0].field: unknown field 'age'; expected a protected field: race, sex",
        ),
        (
            {"attributes": [{"field": "race", "groups": ["White", "Asian"], "reference": "White"}]},
            "small.toml: attributes[0].groups: group 'Asian' is in no application; "
            "expected one of: Black, Other, White",
        ),
        (
            {"prompt__template": "{income} {form} {sex}"},
            "small.toml: attributes[0]: 'race' is not in the prompt's template; expected {race} in it",
        ),
        (
            {"prompt__template": "{income} {sex} {race}"},
            "small.toml: placebo.field: 'form' is not in the prompt's template; expected {form} in it",
        ),
        (
            {"placebo__field": "income"},
            "small.toml: placebo.field: 'income' is a field of the data; expected a name of its own",
        ),
        (
            {"prompt__fields": ["incom"]},
            "small.toml: prompt.fields: unknown field 'incom'; expected one of: income, race, sex, form",
        ),
        (
            {"prompt__template": "{approved} {form} {sex} {race}"},
            "small.toml: prompt.template: the template names an unknown field 'approved'; "
            "expected one of: income, race, sex, form",
        ),
    ],
)
def test_a_plan_that_does_not_fit_the_data_gets_one_line(change: dict[str, object], message: str) -> None:
    with pytest.raises(PlanError) as refusal:
        clusters(small_plan(**change))
    assert str(refusal.value) == message


def test_a_reference_outside_the_groups_is_refused() -> None:
    attributes = [{"field": "race", "groups": ["White", "Black"], "reference": "Asian"}]
    with pytest.raises(PlanError, match=r"attributes\.0: .*reference 'Asian' is not one of the groups"):
        small_plan(attributes=attributes)
    assert raw_plan()["attributes"][0]["reference"] == "White"


def test_a_plan_against_data_without_a_protected_field_says_that_there_is_none() -> None:
    raw = deepcopy(MAPPING)
    raw["fields"] = [field for field in raw["fields"] if field["role"] != "protected"]
    table = pl.DataFrame({"income": [20, 30], "approved": [1, 0]})
    data = apply_mapping(table, mapping_from(raw, where="small"), source="small.csv", file_sha256="0" * 64)
    plan = small_plan(prompt__template="Income {income}\nForm {form}\nDecision:")
    records = select(plan, data, seen=frozenset(), where="small.toml").records
    said = r"unknown field 'race', and the data have no protected field; expected a mapping that gives a field role ="
    with pytest.raises(PlanError, match=said):
        make_clusters(plan, data, records, chat=None, where="small.toml")
