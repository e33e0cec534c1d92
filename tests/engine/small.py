"""A small audit: made-up applications through the real mapping, a short plan, and ledgers written by a simulation."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from auditor.applications import Applications, apply_mapping
from auditor.canonical import canonical_json, sha256_bytes
from auditor.counterfactuals import make_clusters, select
from auditor.ledger import Chunk, FolderLedger
from auditor.making import made_here
from auditor.mapping_files import mapping_from
from auditor.plan import Plan, plan_from
from auditor.records import Case, Decision, Outcome
from auditor.run_record import RunRecord
from tests.records import run_of

if TYPE_CHECKING:
    from auditor.conductor import Prepared

MAPPING = {
    "name": "small",
    "title": "Made-up applications",
    "fields": [
        {"name": "income", "role": "predictor", "type": "number", "column": "income", "prefix": "$"},
        {"name": "race", "role": "protected", "type": "category", "column": "race", "missing": ["?"]},
        {"name": "sex", "role": "protected", "type": "category", "column": "sex"},
        {"name": "approved", "role": "outcome", "type": "flag", "column": "approved"},
    ],
}
RAW: dict[str, Any] = {
    "schema": 1,
    "name": "small",
    "title": "Small",
    "use": {"business_use": "Loans", "decision_role": "advisory", "policy_packs": ["us-ecoa-regb"]},
    "cases": {"seed": 5},
    "prompt": {
        "template": "Income {income}\nForm {form}\nSex {sex}\nRace {race}\nDecision:",
        "answers": {"favourable": [" yes", " Yes"], "adverse": [" no"], "mass_floor": 0.0},
    },
    "placebo": {"field": "form", "label": "Form number", "low": 100, "high": 999},
    "attributes": [
        {"field": "race", "groups": ["White", "Black"], "reference": "White"},
        {"field": "sex", "groups": ["male", "female"], "reference": "male"},
    ],
    "noise": {"reask": 4},
    "tests": {"run": ["counterfactual", "arm_rates", "group_rates", "model_quality", "noise_floor"]},
    "budget": {"threads": 1, "pack_tokens": 64, "chunk_tokens": 400, "max_prompt_tokens": 200},
}


def raw_plan(**changes: Any) -> dict[str, Any]:
    """The plan as plain data; ``section__key=value`` changes a key."""
    raw = deepcopy(RAW)
    for path, value in changes.items():
        *sections, last = path.split("__")
        target = raw
        for section in sections:
            target = target.setdefault(section, {})
        target[last] = value
    return raw


def small_plan(**changes: Any) -> Plan:
    return plan_from(raw_plan(**changes), where="small.toml")


def small_data(size: int = 24, *, seed: int = 0) -> Applications:
    """Applications with two races and a few of none of them, both sexes, and recorded outcomes."""
    generator = np.random.default_rng(seed)
    table = pl.DataFrame(
        {
            "income": generator.integers(10, 99, size),
            "race": [["White", "Black", "White", "Black", "?", "Other"][number % 6] for number in range(size)],
            "sex": [["male", "female"][number // 2 % 2] for number in range(size)],
            "approved": [int(number % 5 > 0) for number in range(size)],
        }
    )
    mapping = mapping_from(MAPPING, where="small")
    return apply_mapping(table, mapping, source="small.csv", file_sha256=sha256_bytes(f"{size}/{seed}".encode()))


def small_cases(plan: Plan, data: Applications) -> list[Case]:
    chosen = select(plan, data, seen=frozenset(), where="small.toml")
    clusters = make_clusters(plan, data, chosen.records, chat=None, where="small.toml")
    return [case for cluster in clusters for case in (*cluster.cases, *filter(None, [cluster.reask]))]


def fill(folder: Path, prepared: Prepared) -> FolderLedger:
    ledger = FolderLedger(folder)
    ledger.freeze(prepared.run, prepared.chunks)
    return ledger


Margin = Callable[[Case], float]


def simulated_run(plan: Plan, data: Applications) -> RunRecord:
    """The frozen run of a model that is a function."""
    about = {
        "source": data.source,
        "name": data.mapping.name,
        "mapping": _plain(data.mapping.design()),
        "selected": [],
        "observed_rate": data.observed_rate,
    }
    return run_of(plan.design(), design_sha256=plan.design_sha256, data=about, code=made_here().given())


def simulated(
    folder: Path, plan: Plan, data: Applications, margin: Margin, *, mass: Callable[[Case], float] = lambda _: 0.9
) -> FolderLedger:
    """A finished run whose model is a function of the case; everything after the scoring is real."""
    cases = small_cases(plan, data)
    applications = [
        {"id": record.id, "values": dict(record.values), "favourable": record.favourable} for record in data.records
    ]
    payload = {"kind": "shared", "cases": [_plain(case.row()) for case in cases], "applications": applications}
    run = simulated_run(plan, data)
    ledger = FolderLedger(folder)
    ledger.freeze(run, [Chunk(0, "shared", len(cases), 0, canonical_json(payload))])
    decisions = [_decide(case, margin(case), mass(case), plan) for case in cases]
    packing = {"packable": True, "largest_difference": 0.0, "reason": ""}
    result = {"decisions": [item.row() for item in decisions], "packing": packing, "seconds": 0.0}
    assert ledger.claim(0)
    assert ledger.complete(0, canonical_json(result))
    return ledger


def biased(
    *, shift: Mapping[str, float], centre: float = 1.0, spread: float = 1.0, noise: float = 0.05, seed: int = 0
) -> Margin:
    """Margins of a seeded model: each application's worth, a little noise a case, and a shift by group."""
    generator = np.random.default_rng(seed)
    worth: dict[str, float] = {}

    def margin(case: Case) -> float:
        if case.cluster not in worth:
            worth[case.cluster] = float(generator.normal(centre, spread))
        jitter = 0.0 if case.role in ("actual", "reask") else float(generator.normal(0, noise))
        return worth[case.cluster] + jitter + sum(shift.get(group, 0.0) for group in case.groups.values())

    return margin


def _decide(case: Case, margin: float, mass: float, plan: Plan) -> Decision:
    outcome = Outcome.FAVOURABLE if margin >= plan.operating_point.natural_margin else Outcome.ADVERSE
    if mass < plan.prompt.answers.mass_floor:
        outcome = Outcome.INVALID
    share = 1 / (1 + math.exp(-margin))
    return Decision(case.id, margin, mass, math.log(mass * share), math.log(mass * (1 - share)), outcome)


def _plain(row: dict[str, Any]) -> Any:
    return json.loads(json.dumps(row))
