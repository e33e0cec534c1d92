"""A run that audits a decision file: what its tests see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from auditor.decision_audit import context_of
from auditor.observed.columns import Observed
from auditor.plan import Plan, plan_from
from auditor.testing.context import Context

EMPTY = Observed(ids=pl.Series(["1"]), outcome=np.zeros(1, dtype=np.int8), groups=())


def plan(**changes: Any) -> Plan:
    raw: dict[str, Any] = {
        "schema": 1,
        "name": "decisions",
        "title": "Decisions already taken",
        "use": {"business_use": "credit", "decision_role": "determinative"},
        "prompt": {"template": "{fields}", "answers": {"favourable": [" yes"], "adverse": [" no"]}},
        "attributes": [
            {"field": "race", "groups": ["White", "Black", "Asian"], "reference": "White"},
            {"field": "sex", "groups": ["male", "female"], "reference": "male"},
        ],
        "tests": {"run": ["observed_rates"]},
    }
    for key, value in changes.items():
        section, _, part = key.partition("__")
        raw[section] = {**raw.get(section, {}), part: value} if part else value
    return plan_from(raw, where="decisions.toml")


def run(observed: Observed | None, **changes: Any) -> Context:
    return replace(context_of(plan(**changes), EMPTY), decision_file=observed)
