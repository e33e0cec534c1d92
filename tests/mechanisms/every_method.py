"""Every test on internals, small, on any model: which give numbers whose checks hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from auditor.catalogue import TESTS, looks_inside
from auditor.conclusions import adjust_and_conclude
from auditor.language_models.packed import PackedScorer, PackingProbe
from auditor.records import Measurement
from auditor.testing.context import Context
from tests.engine.small import small_cases, small_data
from tests.mechanisms.asking import asked, through_a_ledger
from tests.mechanisms.test_sae_sparse_features import context_with, decided, plan_of

DATA = small_data(24)
PLAN = plan_of(expansion=8, k=16, steps=150)
SETTINGS: dict[str, dict[str, Any]] = {
    "attribution_patching": {"attributes": ("race",), "pairs": 2, "top": 2},
    "circuit": {"pairs": 2, "steps": 16, "random": 1, "resamples": 20, "top": 2},
    "components": {"attributes": ("race",), "pairs": 2},
    "erasure": {"attributes": ("race",), "full_strength": ("race",), "applications": 8},
    "field_attribution": {"cases": 2, "shapley_cases": 1, "players": 6},
    "integrated_gradients": {"cases": 1, "pairs": 1, "most_steps": 16},
    "interpretation": {"applications": 8, "report": 4},
    "look_ahead": {"applications": 20, "traced": 2, "knocked": 1, "pairs": 1, "rationales": 1, "rationale_tokens": 2},
    "patching": {"attributes": ("race",), "pairs": 2},
    "probes": {"attributes": ("race",), "applications": 8, "control_draws": 4},
    "sparse_features": {"attributes": ("race",), "applications": 8, "features": 4, "random_draws": 3, "spliced": 2},
    "steering": {"attributes": ("race",), "full_strength": ("race",), "applications": 8, "doses": (1.0,)},
    "superposition": {"applications": 6},
}
#: What a test is about, where it also measures what it works with: a dictionary's quality alone is no test of features.
ABOUT = {"sparse_features": "sparse_gap_removed"}
INSIDE = [name for name, test in TESTS.items() if looks_inside(test)]


def measured(name: str, model: Any, probe: PackingProbe) -> tuple[Measurement, ...]:
    """What a test says of a model: planned, computed, kept as bytes, measured, settled."""
    return adjust_and_conclude(list(TESTS[name].measure(computed(name, model, probe))))


def computed(name: str, model: Any, probe: PackingProbe) -> Context:
    """A run whose chunks of one test are done."""
    test = TESTS[name]
    assert looks_inside(test)
    settings = test.Settings(**SETTINGS[name])
    context = replace(context_with(model, settings, PLAN), scorer=PackedScorer(model, pack_tokens=64, probe=probe))
    pieces = list(test.plan_chunks(asked(settings, plan=PLAN, data=DATA)))
    results = [through_a_ledger(test.compute(context, through_a_ledger(piece.payload))) for piece in pieces]
    cases = small_cases(PLAN, DATA)
    margins = context.margins([case.prompt for case in cases])
    return Context(
        plan=PLAN,
        cases=cases,
        decisions={case.id: decided(case, float(margin)) for case, margin in zip(cases, margins, strict=True)},
        observed={},
        values={},
        observed_rate=None,
        results={name: results},
    )


def works(name: str, model: Any, probe: PackingProbe) -> bool:
    """Whether a test gives numbers of a model, and every check of them holds."""
    rows = measured(name, model, probe)
    about = [row for row in rows if row.metric == ABOUT.get(name, row.metric)]
    return any(row.estimate is not None for row in about) and all(check.held for row in rows for check in row.checks)
