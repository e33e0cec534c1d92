"""How often the whole ladder says yes where nothing is: made-up measurements through settle and the step rules.

Every contrast has a p-value of its own test under the null, from as many draws as its level needs; all that else keeps
the ladder from saying yes is at its most permissive (the right sign, nothing left, intervals above 0), but the repeats,
whose p-values go with the declared one's by ``CORRELATION``. A false yes is counted over all contrasts of one audit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.stats import norm

from auditor.conclusions import adjust_and_conclude
from auditor.mechanisms._shared.specifications import Result, Specification, agreement
from auditor.mechanisms.erasure.card import GAP_REMOVED
from auditor.mechanisms.probing.card import LAYERS_READABLE, SELECTIVITY
from auditor.mechanisms.steering.card import POTENCY
from auditor.plan import Plan, plan_from
from auditor.records import Measurement, Role
from auditor.statistics.minimums import draws_needed
from auditor.synthesis.ladder import STEPS, climb
from auditor.synthesis.ladder_steps import LEAST_IN_GROUP
from auditor.testing.families import inside_family
from auditor.testing.unadjusted import UnadjustedMeasurement
from benchmarks.rows import Row

ALPHA = 0.05
CORRELATION = 0.6
REPEATS = 4
METRICS = {"encoded": LAYERS_READABLE, "selective": SELECTIVITY, "used": GAP_REMOVED, "usable": POTENCY}
RAW: dict[str, Any] = {
    "schema": 1,
    "name": "nulls",
    "title": "Nulls",
    "use": {"business_use": "Loans", "decision_role": "advisory"},
    "prompt": {"template": "Race {race} Sex {sex}:", "answers": {"favourable": [" yes"], "adverse": [" no"]}},
    "attributes": [
        {"field": "race", "groups": ["White", "Black", "Hispanic"], "reference": "White"},
        {"field": "sex", "groups": ["male", "female"], "reference": "male"},
    ],
    "tests": {"run": ["counterfactual", "probes", "erasure", "steering"]},
}


def run() -> Iterator[Row]:
    """A row a step: the share of audits in which it is said of any contrast, under the null and where it is real."""
    for name, effect in (("null", 0.0), ("real", 6.0)):
        trials = 2000 if effect == 0 else 200
        for step, rate in said_by_step(trials=trials, effect=effect, seed=1).items():
            yield Row(
                name=f"ladder, {name}, {step}",
                ours=rate,
                peer=None,
                ratio=None,
                agreement=None,
                unit="rate",
                n=trials,
                extra={"false_findings" if effect == 0 else "power": rate, "level": ALPHA},
            )


def said_by_step(*, trials: int, effect: float, seed: int) -> dict[str, float]:
    """Share of audits in which a step holds for any contrast. ``effect`` in standard errors of the controls."""
    generator = np.random.default_rng(seed)
    plan = plan_from(RAW, where="benchmark")
    found = dict.fromkeys(STEPS, 0)
    for _ in range(trials):
        rungs = climb(adjust_and_conclude(_drafts(generator, plan, effect)), plan=plan)
        for step in STEPS:
            found[step] += any(rung.steps[step] for rung in rungs)
    return {step: count / trials for step, count in found.items()}


def _drafts(generator: np.random.Generator, plan: Plan, effect: float) -> Sequence[UnadjustedMeasurement]:
    contrasts = [(item, group) for item in plan.attributes for group in item.groups if group != item.reference]
    draws = draws_needed(alpha=ALPHA, family_size=len(contrasts))
    drafts = []
    for attribute, group in contrasts:
        for step, metric in METRICS.items():
            observed = float(generator.standard_normal()) + effect
            controls = np.abs(generator.standard_normal(draws))
            p_value = float((1 + (controls >= abs(observed)).sum()) / (1 + draws))
            subject = {"field": attribute.field, "group": group}
            if step in ("encoded", "selective"):
                subject |= {"setting": "withheld" if step == "encoded" else "stated"}
            item = Measurement(
                id=f"{metric}/{attribute.field}/{group}",
                test=step,
                metric=metric,
                role=Role.SUPPORTING,
                subject=subject,
                unit="logit",
                estimate=observed,
                low=1e-9,
                high=1.0,
                n=LEAST_IN_GROUP,
                p_value=p_value,
                family=inside_family(step),
                counts={"draws": draws, "draws_needed": draws, "held_out_left": 0.0, "sign_agrees": 1}
                | _repeated(generator, observed, controls, p_value),
                level=0.95,
            )
            drafts.append(UnadjustedMeasurement(item))
    return drafts


def _repeated(
    generator: np.random.Generator, observed: float, controls: np.ndarray[Any, Any], p_value: float
) -> dict[str, float | int | None]:
    """The same question asked in other ways: correlated answers, each at the level itself."""
    seeds = [Specification(seed=number) for number in range(REPEATS)]
    results = [Result(specification=seeds[0], estimate=observed, holds=p_value <= ALPHA)]
    for seed in seeds[1:]:
        other = CORRELATION * observed + np.sqrt(1 - CORRELATION**2) * float(generator.standard_normal())
        results.append(Result(specification=seed, estimate=other, holds=abs(other) > norm.isf(ALPHA / 2)))
    return agreement(results, declared=seeds[0]).counts()
