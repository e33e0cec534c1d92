"""The settings of a test: what a plan says of them, and how the test has the rest."""

from __future__ import annotations

from typing import Protocol

from auditor.exceptions import PlanError
from auditor.plan import Plan, check_section
from auditor.plan_section import Section
from auditor.testing.card import Card

NAMING_ATTRIBUTES = ("attributes", "full_strength")
"""Settings, of whatever test, that name attributes of the plan by their field."""


class HasSettings(Protocol):
    """A test that can be set."""

    CARD: Card
    Settings: type[Section]


def settings_of(plan: Plan, test: HasSettings, *, where: str) -> Section:
    """The settings of a test: the plan's, the rest as the test has them.

    Raises
    ------
    PlanError
        Naming the key, if the test does not know it or its value, or the plan has no such attribute: a name that
        nobody noticed would leave the attribute it was meant for untested.
    """
    name = test.CARD.name
    settings = check_section(test.Settings, plan.settings.get(name, {}), where=f"{where}: settings.{name}")
    known = [attribute.field for attribute in plan.attributes]
    for key in NAMING_ATTRIBUTES:
        for field in getattr(settings, key, ()):
            if field not in known:
                expected = f"one of: {', '.join(known)}"
                raise PlanError(
                    f"{where}: settings.{name}.{key}", f"{field!r} is not an attribute of the plan", expected
                )
    return settings
