"""Everything that is wrong with a plan that is being written, each in the engine's own line, with the key it is of."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass

from auditor.catalogue import find_tests, looks_inside
from auditor.exceptions import InputError, PlanError
from auditor.plan import Plan, plan_from, plan_problems
from auditor.policies.packs import load_packs
from auditor.testing.settings import settings_of
from auditor.toml_text import parse_toml

WHERE = "plan"
TEXT = "toml"  # the box of the whole text


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One line about one key; ``key`` is empty where it is about the text as a whole."""

    key: str
    line: str


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a text is: a plan, or what keeps it from being one. ``readable``: whether it is TOML at all."""

    plan: Plan | None
    problems: tuple[Problem, ...]
    readable: bool = True


def check_text(text: str) -> Checked:
    """Check a TOML text as a plan: its keys, its policy packs, its tests and their settings. No data is asked for."""
    try:
        raw = parse_toml(text)
    except tomllib.TOMLDecodeError as error:
        refusal = PlanError(WHERE, f"is not valid TOML: {error}", "a plan as docs/plan.md describes")
        return Checked(plan=None, problems=(problem_of(refusal),), readable=False)
    refusals: Sequence[InputError] = plan_problems(raw, where=WHERE)
    if refusals:
        return Checked(plan=None, problems=tuple(problem_of(refusal) for refusal in refusals))
    plan = plan_from(raw, where=WHERE)
    refusals = _names(plan)
    return Checked(plan=None if refusals else plan, problems=tuple(problem_of(refusal) for refusal in refusals))


def problem_of(refusal: InputError) -> Problem:
    """A refusal with its key as the form spells it: ``attributes[0].groups`` is ``attributes.0.groups``."""
    key = refusal.where.removeprefix(WHERE).removeprefix(": ").replace("[", ".").replace("]", "").replace(": ", ".")
    if key == "plan":  # a rule over several keys begins with the one that is wrong
        named, _, rest = refusal.what.partition(": ")
        key = named if rest and " " not in named else ""
    return Problem(key=key, line=str(refusal))


def _names(plan: Plan) -> list[InputError]:
    """What the plan names that is not there."""
    found: list[InputError] = []
    try:
        load_packs(plan.use.policy_packs, where=WHERE)
    except PlanError as refusal:
        found.append(refusal)
    try:
        tests = find_tests(plan.tests.run, where=WHERE)
    except PlanError as refusal:
        return [*found, refusal]
    for test in tests:
        if looks_inside(test):
            try:
                settings_of(plan, test, where=WHERE)
            except PlanError as refusal:
                found.append(refusal)
    return found
