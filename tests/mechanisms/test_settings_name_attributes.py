"""A setting that names an attribute names one of the plan's; anything else is one line, not an attribute left out."""

from __future__ import annotations

import pytest

from auditor.catalogue import TESTS, looks_inside
from auditor.exceptions import PlanError
from auditor.testing.settings import NAMING_ATTRIBUTES, settings_of
from tests.engine.small import small_plan

NAMED = [
    (name, key)
    for name, test in TESTS.items()
    if looks_inside(test)
    for key in NAMING_ATTRIBUTES
    if key in test.Settings.model_fields
]


@pytest.mark.parametrize(("name", "key"), NAMED)
def test_an_attribute_the_plan_does_not_have_is_refused(name: str, key: str) -> None:
    plan = small_plan(tests__run=[name], settings={name: {key: ["height"]}})
    test = TESTS[name]
    assert looks_inside(test)
    with pytest.raises(PlanError) as told:
        settings_of(plan, test, where="plan.toml")
    assert str(told.value) == (
        f"plan.toml: settings.{name}.{key}: 'height' is not an attribute of the plan; expected one of: race, sex"
    )


@pytest.mark.parametrize(("name", "key"), NAMED)
def test_an_attribute_of_the_plan_is_taken(name: str, key: str) -> None:
    plan = small_plan(tests__run=[name], settings={name: {key: ["race"]}})
    test = TESTS[name]
    assert looks_inside(test)
    assert getattr(settings_of(plan, test, where="plan.toml"), key) == ("race",)
