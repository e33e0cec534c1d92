"""The conductor: prepare, score chunk by chunk, conclude. One path for notebooks, the command line and workers.

prepare(plan, model, data) ─▶ run record and chunks        pure; boundaries follow from the plan's token budget alone
run_one_chunk(ledger, i)   ─▶ decisions in the ledger      the only step that touches the model; any worker, any time
conclude(ledger)           ─▶ measurements, findings, controls
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.behaviour.context import Context, Draft
from auditor.behaviour.state import State
from auditor.catalogue import Test, find_tests, looks_inside
from auditor.conclusions import settle
from auditor.exceptions import RunError
from auditor.findings import find
from auditor.ledger import Ledger
from auditor.mechanisms import interpretation
from auditor.mechanisms.contract import Attribution
from auditor.mechanisms.ladder import ladder
from auditor.mechanisms.work import NOT_TESTED, not_tested
from auditor.plan import plan_from
from auditor.policies.packs import PolicyPack, load_packs
from auditor.preparation import SHARED, UNSHARED, Prepared, another_making, code_sha256, prepare, run_sha256
from auditor.records import Case, Decision, Finding, Measurement, Outcome
from auditor.scoring import case_of, load_for, run_one_chunk

__all__ = ["Conclusions", "Prepared", "code_sha256", "conclude", "load_for", "prepare", "run_one_chunk", "run_sha256"]


@dataclass(frozen=True)
class Conclusions:
    """Everything a finished run says. ``scoring`` says how it was computed (packing, seconds), outside the hashes."""

    cases: tuple[Case, ...]
    decisions: tuple[Decision, ...]
    measurements: tuple[Measurement, ...]
    findings: tuple[Finding, ...]
    controls: dict[str, Any]
    packs: tuple[PolicyPack, ...]
    attributions: tuple[Attribution, ...]
    scoring: dict[str, Any]


def conclude(ledger: Ledger) -> Conclusions:
    """Measure and judge a run all of whose chunks are done.

    Raises
    ------
    RunError
        If a chunk is not done.
    """
    left = sum(not state.done for state in ledger.states())
    if left:
        raise RunError(f"the run has {left} chunks left to score; expected a run all of whose chunks are done")
    run = ledger.run()
    if reason := another_making(run, device=run.get("device", "cpu")):
        raise RunError(f"{reason}; expected the same to conclude it, or a new run")
    plan = plan_from({**run["design"], "run": {}}, where="run")
    packs = load_packs(plan.use.policy_packs, where="run")
    cases: list[Case] = []
    decisions: dict[str, Decision] = {}
    applications: dict[str, dict[str, Any]] = {}
    packing: dict[str, Any] = {}
    results: dict[str, list[dict[str, Any]]] = {}
    seconds = 0.0
    for state in ledger.states():
        payload = json.loads(ledger.payload(state.index))
        result = json.loads(ledger.result(state.index))
        seconds += result["seconds"]
        if state.kind not in (SHARED, UNSHARED):
            results.setdefault(state.kind, []).append(result["work"])
            continue
        cases += [case_of(row) for row in payload["cases"]]
        applications.update({item["id"]: item for item in payload["applications"]})
        decisions.update({row["case_id"]: _decision(row) for row in result["decisions"]})
        packing = result["packing"]
    cases.sort(key=lambda case: case.id)
    context = Context(
        plan=plan,
        cases=cases,
        decisions=decisions,
        observed={name: item["favourable"] for name, item in applications.items()},
        values={name: item["values"] for name, item in applications.items()},
        observed_rate=run["data"]["observed_rate"],
        results=results,
    )
    drafts = [draft for test in find_tests(plan.tests.run, where="run") for draft in _drafts(test, context)]
    measurements = settle(drafts)
    # Read from measurements that are already concluded, so that no test has to know another.
    measurements = (*measurements, *ladder(measurements, plan=plan))
    measurements = (*measurements, *interpretation.described_elsewhere(measurements, context=context))
    findings = find(measurements, plan=plan, packs=packs, state=context.state)
    return Conclusions(
        cases=tuple(cases),
        decisions=tuple(decisions[case.id] for case in cases),
        measurements=measurements,
        findings=findings,
        controls=_controls(measurements, context.state, packing),
        packs=packs,
        attributions=tuple(
            Attribution(**row) for own in results.values() for work in own for row in work.get("attributions", ())
        ),
        scoring={"packing": packing, "seconds": seconds},
    )


def _drafts(test: Test, context: Context) -> Iterable[Draft]:
    """What a test measures; of one that was not done, why."""
    reason = next((work[NOT_TESTED] for work in context.results.get(test.CARD.name, ()) if NOT_TESTED in work), None)
    if reason is not None and looks_inside(test):
        return [Draft(not_tested(test, reason, level=1 - context.plan.thresholds.alpha))]
    return test.run(context)


def _decision(row: dict[str, Any]) -> Decision:
    return Decision(**{**row, "outcome": Outcome(row["outcome"])})


def _controls(measurements: Sequence[Measurement], state: State, packing: dict[str, Any]) -> dict[str, Any]:
    """The controls in one place; each figure is a measurement's, or ``None`` with the measurement's reason."""

    def floor(kind: str, cut_off: str = "natural") -> dict[str, Any] | None:
        found = [
            item
            for item in measurements
            if item.metric == "cf_noise_floor"
            and (item.subject["change"], item.subject.get("cut_off", "natural")) == (kind, cut_off)
        ]
        # Of several attributes and groups the one that changes most; one without a number is not passed over.
        item = max(found, key=lambda one: math.inf if one.estimate is None else one.estimate, default=None)
        if item is None:
            return None
        row = item.row()
        return {
            "measurement": item.id,
            "flip_rate": row["estimate"],
            "low": row["low"],
            "high": row["high"],
            "level": item.level,
            "n": item.n,
            "missing_reason": row["missing_reason"],
            "largest_margin_difference": row["counts"].get("largest_margin_difference"),
        }

    return {
        "noise_floor": floor("reask"),
        "placebo": floor("placebo"),
        "noise_floor_matched": floor("reask", "matched"),
        "placebo_matched": floor("placebo", "matched"),
        "noise_floor_largest": floor("reask", "largest"),
        "placebo_largest": floor("placebo", "largest"),
        "planted_bias": None,
        "planted_bias_missing_reason": "copies of the model with a planted bias are not part of this plan",
        "degenerate": {
            "holds": state.degenerate,
            "reasons": list(state.reasons),
            "arms": [
                {
                    "field": item.field,
                    "group": item.group,
                    "n": item.n,
                    "unreadable_share": item.unreadable_share,
                    "commonest_outcome": item.commonest[0],
                    "commonest_share": item.commonest[1],
                    "mute": item.mute,
                    "degenerate": item.degenerate,
                }
                for item in state.arms
            ],
        },
        "packing": packing,
        "self_checks": [{"measurement": item.id, **check} for item in measurements for check in item.row()["checks"]],
        "power": [
            {
                "measurement": item.id,
                "contrast": f"{item.subject['group']} − {item.reference}",
                "mde": item.row()["counts"].get("mde"),
                "n": item.n,
            }
            for item in measurements
            if item.metric == "cf_net_effect"
        ],
    }
