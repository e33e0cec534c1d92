"""A draft as form and TOML: either is edited, both come out alike, and comments stay where they are."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from auditor.plan import Plan, plan_from, plan_problems
from compliance.plans.checks import check_text
from compliance.plans.editor import differences, form_of
from compliance.plans.fields import TOML_ONLY, boxes
from compliance.plans.merge import Values, form_values, merged, plain
from compliance.plans.shelf import ready_made

QUICK = ready_made()["quick"].text


def edited(text: str = QUICK, *, agreed: str | None = None, **changes: Any):
    """A form that was filled from ``agreed`` and changed, beside a TOML text; ``__`` in a name is a dot."""
    agreed = text if agreed is None else agreed
    values: Values = {**form_values(plain(agreed) or {}), **{k.replace("__", "."): v for k, v in changes.items()}}
    return merged(text=text, agreed=agreed, posted=values)


def engine_keys(kind: type[BaseModel], prefix: str = "") -> set[str]:
    found = set()
    for name, item in kind.model_fields.items():
        key = f"{prefix}{item.alias or name}"
        inner = [
            option
            for option in [item.annotation, *getattr(item.annotation, "__args__", ())]
            if isinstance(option, type) and issubclass(option, BaseModel)
        ]
        found |= engine_keys(inner[0], f"{key}.0." if key == "attributes" else f"{key}.") if inner else {key}
    return found


def test_every_key_of_the_engine_is_on_the_form_or_named_as_toml_only() -> None:
    keys = {key.replace("attributes.0.0.", "attributes.0.") for key in engine_keys(Plan)}
    typed = tuple(f"{key}." for key in TOML_ONLY)
    assert {key for key in keys if not f"{key}.".startswith(typed)} == {box.key for box in boxes(1)}


@pytest.mark.parametrize("key", ready_made())
def test_a_form_nobody_changed_leaves_every_ready_made_plan_byte_for_byte(key: str) -> None:
    text = ready_made()[key].text
    same = edited(text)
    assert (same.text, same.agreed, same.changes, same.refused) == (text, text, {}, {})
    assert check_text(text).problems == ()


def test_a_changed_box_changes_its_line_and_no_other() -> None:
    after = edited(operating_point__matched_rate="0.8", cases__limit="90").text.splitlines()
    before = QUICK.splitlines()
    assert [(a, b) for a, b in zip(before, after, strict=True) if a != b] == [
        ("limit = 120", "limit = 90"),
        (
            "matched_rate = \"observed\"  # the reference arm's rate is set to the data's share of favourable outcomes",
            "matched_rate = 0.8  # the reference arm's rate is set to the data's share of favourable outcomes",
        ),
    ]


def test_what_was_typed_as_toml_and_what_was_changed_in_the_form_meet() -> None:
    typed = QUICK.replace("alpha = 0.05", "alpha = 0.01  # stricter")
    both = edited(typed, agreed=QUICK, title="Ours")
    assert "alpha = 0.01  # stricter" in both.text
    assert 'title = "Ours"' in both.text
    assert both.agreed == both.text


def test_what_is_no_number_is_kept_as_it_was_typed_and_refused_by_the_engine() -> None:
    wrong = edited(thresholds__alpha="0,05")
    assert wrong.values()["thresholds.alpha"] == "0,05"
    problem = check_text(wrong.text).problems[0]
    assert (problem.key, problem.line) == (
        "thresholds.alpha",
        "plan: thresholds.alpha: '0,05': input should be a valid number",
    )


def test_every_wrong_box_has_its_own_line() -> None:
    wrong = edited(thresholds__alpha="2", cases__seed="-1", attributes__0__reference="Green", name="Not A Name")
    form = form_of(wrong, check_text(wrong.text).problems)
    told = {box.box.key: box.errors for box in form.boxes if box.errors}
    assert set(told) == {"thresholds.alpha", "cases.seed", "name"}
    assert told["cases.seed"] == ("plan: cases.seed: -1: input should be greater than or equal to 0",)
    # A rule over an attribute's keys stands at the section.
    assert next(part.errors for part in form.parts if part.part.key == "attributes") == (
        "plan: attributes.0: reference 'Green' is not one of the groups ['White', 'Black', 'Hispanic']",
    )


def test_a_section_without_its_keys_and_an_unknown_key_are_told_where_they_can_be_mended() -> None:
    text = QUICK.replace("[noise]\nreask", "[noise]\nreasks").replace('business_use = "', 'business = "')
    form = form_of(edited(text), check_text(text).problems)
    told = {box.box.key: box.errors for box in form.boxes if box.errors}
    assert told["use.business_use"] == ("plan: use.business_use: field required; expected a value, see docs/plan.md",)
    assert any("noise.reasks: 20: unknown key" in line for line in form.text_errors)


def test_packs_tests_and_settings_that_are_not_there_are_told_together() -> None:
    text = QUICK.replace('"us-fha"', '"us-fhb"').replace('"arm_rates"', '"probes"')
    text += "\n[settings.probes]\napplication = 5\n"
    assert [problem.key for problem in check_text(text).problems] == [
        "use.policy_packs",
        "settings.probes.application",
    ]
    lines = [problem.line for problem in check_text(QUICK.replace('"arm_rates"', '"arm"')).problems]
    assert lines[0].startswith("plan: tests.run: unknown test 'arm'; expected one of:")


def test_changes_of_the_form_wait_for_a_toml_that_can_be_read() -> None:
    broken = QUICK.replace("alpha = 0.05", "alpha = ")
    waiting = edited(broken, agreed=QUICK, title="Ours")
    assert (waiting.text, waiting.agreed, waiting.changes) == (broken, QUICK, {"title": "Ours"})
    assert not check_text(broken).readable
    assert waiting.values()["title"] == "Ours"
    mended = merged(text=QUICK, agreed=waiting.agreed, posted=waiting.values())
    assert 'title = "Ours"' in mended.text
    assert mended.changes == {}


def test_an_attribute_is_added_in_the_empty_row_and_taken_out_by_emptying_it() -> None:
    count = len(tomllib.loads(QUICK)["attributes"])
    more = edited(
        **{
            f"attributes__{count}__field": "age", f"attributes__{count}__groups": ["young", "old"],
            f"attributes__{count}__reference": "young", "attributes__0__field": "", "attributes__0__groups": [],
            "attributes__0__reference": "",
        }
    )  # fmt: skip
    assert [item["field"] for item in tomllib.loads(more.text)["attributes"]] == ["sex", "marital_status", "age"]
    assert check_text(more.text).problems == ()


def test_an_emptied_placebo_is_none() -> None:
    gone = edited(placebo__field="", placebo__label="", placebo__low="", placebo__high="")
    assert "placebo" not in tomllib.loads(gone.text)


def test_checked_boxes_keep_the_order_that_the_text_gave_them() -> None:
    run = ["noise_floor", "counterfactual", "model_quality", "probes"]
    text = edited(tests__run=run).text
    assert tomllib.loads(text)["tests"]["run"] == ["counterfactual", "model_quality", "noise_floor", "probes"]


def test_a_leading_space_of_an_answer_and_every_line_of_a_template_stay() -> None:
    template = 'Say "why" \\ {race}\n\n  {sex}\nDecision:'
    text = edited(prompt__template=template, prompt__answers__favourable=[" Yes", "yes"]).text
    assert tomllib.loads(text)["prompt"]["template"] == template
    assert tomllib.loads(text)["prompt"]["answers"]["favourable"] == [" Yes", "yes"]


def test_what_the_form_cannot_put_in_its_place_is_said_and_not_lost() -> None:
    text = 'schema = 1\nuse = "loans"\n'
    both = merged(text=text, agreed=text, posted={"use.business_use": "Loans"})
    assert both.text == text
    assert both.changes == {"use.business_use": "Loans"}
    assert "the form cannot put this into the TOML" in both.refused["use.business_use"]


@given(
    title=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30),
    lines=st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12), max_size=4),
    template=st.text(st.sampled_from("ab \n\"'\\{}#=[]"), min_size=1, max_size=40),
)
def test_whatever_is_put_into_a_box_is_what_the_toml_then_says(title: str, lines: list[str], template: str) -> None:
    both = edited(title=title, use__products=lines, prompt__template=template)
    raw = tomllib.loads(both.text)
    assert both.refused == {}
    assert raw["title"] == title
    assert raw["use"].get("products", []) == lines
    assert raw["prompt"]["template"] == template
    assert [line for line in both.text.splitlines() if line.startswith("# A two-minute look")]
    assert form_values(raw)["title"] == title


def test_all_problems_of_a_plan_come_at_once_and_the_first_is_the_one_that_is_raised() -> None:
    raw = {**tomllib.loads(QUICK), "name": "No Name", "schema": 3}
    problems = plan_problems(raw, where="p")
    assert [problem.where for problem in problems] == ["p: schema", "p: name"]
    with pytest.raises(type(problems[0]), match=str(problems[0])):
        plan_from(raw, where="p")
    assert plan_problems(tomllib.loads(QUICK), where="p") == ()
    assert len(plan_problems({**tomllib.loads(QUICK), "title": float("nan")}, where="p")) == 1


def test_what_differs_from_the_original_is_said_key_by_key() -> None:
    after = edited(thresholds__alpha="0.01", cases__limit="").text
    told = [(item.key, item.before, item.after) for item in differences(QUICK, after) or []]
    assert told == [("thresholds.alpha", "0.05", "0.01"), ("cases.limit", "120", None)]
    assert differences(QUICK, "= ") is None
