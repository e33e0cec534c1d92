"""The demonstration's base model for tests on internals: a plan with a template of one's own, and a compute context."""

from __future__ import annotations

from typing import Any

from auditor.applications import Applications
from auditor.language_models.local import load
from auditor.language_models.packed import PackedScorer, probe_packing
from auditor.language_models.store import ModelStore
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.plan import Plan, plan_from
from tests.engine.small import raw_plan
from tests.mechanisms.asking import renderer


def demo_plan(template: str, *, limit: int) -> Plan:
    """Approve or deny in one word, no placebo, whatever the probability on the answers."""
    raw = raw_plan(
        prompt__template=template,
        prompt__answers={"favourable": [" approve"], "adverse": [" deny"], "mass_floor": 0.0},
        cases={"limit": limit, "seed": 4},
        budget={"threads": 1, "pack_tokens": 512},
    )
    del raw["placebo"]
    return plan_from(raw, where="plan")


def demo_bench(store: ModelStore, *, plan: Plan, data: Applications, settings: Any) -> ComputeContext:
    """The base model, loaded."""
    loaded = load(store.import_model("demo:smollm2"), threads=1)
    probe = probe_packing(loaded.model, vocabulary=loaded.model.config.vocab_size, longest=512)
    return ComputeContext(
        plan=plan,
        settings=settings,
        loaded=loaded,
        scorer=PackedScorer(loaded.model, pack_tokens=512, probe=probe),
        render=renderer(plan, data),
        should_stop=lambda: False,
    )
