"""A plan is checked key by key, hashed without its binding, and documented in full."""

from __future__ import annotations

import json
import tomllib
import types
import typing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from auditor.canonical import sha256_json
from auditor.exceptions import PlanError
from auditor.plan import Plan, plan_from, read_plan
from auditor.plan_reading import AmountReading, ReasonsReading
from tests.engine.small import raw_plan, small_plan

ROOT = Path(__file__).parents[2]
PLANS = ROOT / "plans"
DEMO = PLANS / "mortgage-hmda.toml"


def sections_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [section for part in typing.get_args(annotation) for section in sections_in(part)]


def keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    found = []
    for name, info in model.model_fields.items():
        path = prefix + (info.alias or name)
        inner = sections_in(info.annotation)
        found += [key for section in inner for key in keys(section, path + ".")] if inner else [path]
    return found


def test_every_key_is_in_the_plan_reference_and_no_other() -> None:
    rows = [
        line.split("`")[1]
        for line in (ROOT / "docs/plan.md").read_text(encoding="utf-8").splitlines()
        if line[:3] == "| `"
    ]
    documented = [row for row in rows if not row.startswith("--")]
    assert "thresholds.alpha" in keys(Plan)
    assert sorted(documented) == sorted(keys(Plan))


def test_the_plan_reference_gives_the_defaults_of_the_code() -> None:
    text = (ROOT / "docs/plan.md").read_text(encoding="utf-8")
    rows = {
        cells[1].strip(" `"): cells[3].strip(" `")
        for line in text.splitlines()
        if line.startswith("| `") and len(cells := line.split("|")) > 4
    }
    minimal = {key: value for key, value in raw_plan().items() if key in ("schema", "name", "title")}
    minimal |= {"use": {"business_use": "Loans", "decision_role": "advisory"}}
    minimal |= {"prompt": {"template": "{a}", "answers": {"favourable": ["y"], "adverse": ["n"]}}}
    minimal |= {"attributes": raw_plan()["attributes"], "tests": {"run": ["counterfactual"]}}
    plan = plan_from(minimal, where="p").model_dump(mode="json", by_alias=True)
    plan["reading"]["amount"] = AmountReading(unit="USD").model_dump(mode="json")
    plan["reading"]["reasons"] = ReasonsReading(codes={"R01": "income"}).model_dump(mode="json")
    for key, default in rows.items():
        if default == "required" or key.startswith("placebo"):
            continue
        value: Any = plan
        for part in key.split("."):
            value = value[part]
        assert default == ("none" if value is None else json.dumps(value)), key


def test_the_design_is_all_but_the_binding_with_defaults_written_out() -> None:
    plan = small_plan()
    design = plan.design()
    assert "run" not in design
    assert design["thresholds"]["small_cell"] == 11
    assert design["schema"] == 1
    assert plan.design_sha256 == sha256_json(design)
    assert plan_from({**design, "run": {}}, where="run").design_sha256 == plan.design_sha256


def test_what_the_design_is_bound_to_does_not_change_its_hash_and_all_else_does() -> None:
    base = small_plan()
    assert small_plan(run={"model": "demo:smollm2", "data": "x.csv"}).design_sha256 == base.design_sha256
    assert small_plan(thresholds={"alpha": 0.05}).design_sha256 == base.design_sha256
    changed = [
        small_plan(thresholds={"alpha": 0.01}),
        small_plan(cases__seed=6),
        small_plan(title="Other"),
        small_plan(budget__pack_tokens=65),
        small_plan(prompt__template=base.prompt.template + " "),
    ]
    hashes = {plan.design_sha256 for plan in changed}
    assert len(hashes) == len(changed)
    assert base.design_sha256 not in hashes


def test_overrides_are_toml_values_and_text_where_they_are_none() -> None:
    plan = read_plan(
        DEMO,
        {"thresholds.alpha": "0.01", "cases.limit": "7", "run.model": "dir:/x", "use.products": '["a", "b"]'},
    )
    assert (plan.thresholds.alpha, plan.cases.limit, plan.run.model) == (0.01, 7, "dir:/x")
    assert plan.use.products == ("a", "b")


@pytest.mark.parametrize("value", ["nan", "-inf"])
def test_an_override_that_is_no_finite_number_is_named_with_its_key(value: str) -> None:
    with pytest.raises(PlanError) as refusal:
        read_plan(DEMO, {"thresholds.alpha": value})
    assert str(refusal.value) == (
        f"{DEMO}: thresholds.alpha: {value}: a plan cannot hold this; "
        "expected text, a finite number, true or false, a list or a table"
    )


@pytest.mark.parametrize("key", ["attributes.reference", "name.x", ""])
def test_an_override_that_names_no_key_is_refused(key: str) -> None:
    with pytest.raises(PlanError) as refusal:
        read_plan(DEMO, {key: "1"})
    assert str(refusal.value) == (
        f"--set {key}: names no plan key; expected section.key=value, as in thresholds.alpha=0.01"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tests__ran": 1}, "p: tests.ran: 1: unknown key; expected a key of docs/plan.md"),
        ({"thresholds": {"alpha": 2}}, "p: thresholds.alpha: 2: input should be less than 0.5"),
        (
            {"thresholds": {"bootstrap": 500}},
            "p: thresholds.bootstrap: 500: input should be greater than or equal to 2000",
        ),
        ({"cases__seed": "1"}, "p: cases.seed: '1': input should be a valid integer"),
        ({"cases__seed": 2**53}, "p: cases.seed: 9007199254740992: input should be less than 9007199254740992"),
        ({"schema": 3}, "p: schema: 3: input should be 1 or 2"),
        ({"reading": {"readout": "choice"}}, "p: plan: reading: is a section of schema 2"),
        ({"limits": {"requests": 9}}, "p: plan: limits: is a section of schema 2"),
        ({"prompt__form": "essay"}, "p: prompt.form: 'essay': input should be 'record' or 'chat'"),
        (
            {"operating_point": {"matched_rate": 2}},
            'p: operating_point.matched_rate: 2: input should be "observed" or a number above 0 and below 1',
        ),
        *(
            (
                {"operating_point": {"range": value}},
                f'p: operating_point.range: {value!r}: input should be "observed" or two approval rates [low, high] '
                "with 0 < low < high < 1",
            )
            for value in ([0.9, 0.2], [0.5, 0.5], [0.0, 0.9], [0.5], 0.5, "most", [0.2, 0.5, 0.9], [0.2, "0.9"])
        ),
        (
            {"thresholds": {"alpha": float("nan")}},
            "p: thresholds.alpha: nan: a plan cannot hold this; expected text, a finite number, true or false, a list",
        ),
        ({"use__products": ["home", float("-inf")]}, "p: use.products.1: -inf: a plan cannot hold this"),
        (
            {"settings": {"superposition": {"applications": 10**20}}},
            "p: settings.superposition.applications: a whole number of 67 bits: a plan cannot hold this",
        ),
        ({"title": date(2026, 1, 2)}, "p: title: 2026-01-02: a plan cannot hold this"),
        ({"placebo__high": 100}, "p: placebo: "),
        ({"placebo__field": "race"}, "p: plan: "),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_value_is_named_with_its_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError) as refusal:
        plan_from(raw_plan(**change), where="p")
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("value", [[0.8, 0.95], "0.8 to 0.95", "[0.8, 0.95]"])
def test_the_cut_off_range_may_be_typed_as_text(value: Any) -> None:
    plan = small_plan(operating_point={"range": value})
    assert plan.operating_point.range == (0.8, 0.95)
    assert plan.design()["operating_point"]["range"] == [0.8, 0.95]
    assert small_plan().operating_point.range == "observed"


def test_a_missing_key_is_named() -> None:
    raw = raw_plan()
    del raw["use"]["business_use"]
    with pytest.raises(PlanError) as refusal:
        plan_from(raw, where="p.toml")
    assert str(refusal.value) == "p.toml: use.business_use: field required; expected a value, see docs/plan.md"


def test_a_margin_above_the_practical_threshold_is_refused() -> None:
    # A difference of 5 points would be practical and equivalent at once.
    raw = tomllib.loads(DEMO.read_text(encoding="utf-8"))
    raw["thresholds"] |= {"practical_rate": 0.02, "equivalence_rate": 0.1}
    with pytest.raises(PlanError, match=r"thresholds: equivalence_rate 0\.1 is above practical_rate 0\.02"):
        plan_from(raw, where="p.toml")
    raw["thresholds"]["equivalence_rate"] = 0.02
    plan_from(raw, where="p.toml")


def flat(value: Any, key: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {name: item for part, inner in value.items() for name, item in flat(inner, f"{key}.{part}").items()}
    return {key[1:]: value}


@pytest.mark.parametrize(
    ("name", "differs"),
    [
        ("mortgage-hmda-full.toml", {"name", "title", "cases.limit"}),
        ("mortgage-hmda-base.toml", {"run.model"}),
        ("quick.toml", {"name", "title", "cases.limit", "noise.reask", "tests.run"}),
    ],
)
def test_the_other_ready_made_plans_differ_in_the_keys_meant_only(name: str, differs: set[str]) -> None:
    main, other = (flat(tomllib.loads((PLANS / file).read_text(encoding="utf-8"))) for file in (DEMO.name, name))
    different = {key for key in main.keys() | other.keys() if main.get(key) != other.get(key)}
    if "tests.run" in differs:  # the settings go with their tests
        different = {key for key in different if not key.startswith("settings.")}
    assert different == differs
    read_plan(PLANS / name)


def test_the_base_model_is_audited_under_the_same_design() -> None:
    assert read_plan(PLANS / "mortgage-hmda-base.toml").design_sha256 == read_plan(DEMO).design_sha256
