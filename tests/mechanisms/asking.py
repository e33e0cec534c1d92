"""What a test on internals is given, made from the small audit: what it may plan with, and a compute context."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from auditor.applications import Applications
from auditor.canonical import canonical_json
from auditor.counterfactuals import Cluster, make_clusters, select
from auditor.language_models.local import LoadedModel
from auditor.language_models.packed import PackedScorer, PackingProbe
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.plan import Plan
from auditor.prompts import Rendered, parse_template, render
from auditor.testing.chunks import PlanContext
from auditor.testing.context import FloatArray
from auditor.testing.rows import Row
from tests.engine.small import small_data, small_plan
from tests.language_models.tiny import tiny_tokenizer
from tests.language_models.zoo import zoo_model

PACKABLE = PackingProbe(True, None, "")


def labels_of(plan: Plan, data: Applications) -> dict[str, str]:
    labels = {item.name: item.label for item in data.mapping.fields}
    return labels | ({plan.placebo.field: plan.placebo.label} if plan.placebo else {})


def asked(settings: Any, *, plan: Plan | None = None, data: Applications | None = None, **roles: str) -> PlanContext:
    """What the conductor hands to ``work``, with roles changed at will."""
    plan, data = plan or small_plan(), data or small_data()
    records = select(plan, data, seen=frozenset(), where="small.toml").records
    clusters = make_clusters(plan, data, records, chat=None, where="small.toml")
    fields = tuple(clusters[0].cases[0].spans)
    return PlanContext(
        plan=plan,
        settings=settings,
        clusters=clusters,
        words={cluster.application.id: words_of(cluster) for cluster in clusters},
        fields=fields,
        roles={item.name: item.role for item in data.mapping.fields if item.name in fields} | roles,
        labels=labels_of(plan, data),
        count_tokens=lambda prompt: len(prompt.encode()),
    )


def words_of(cluster: Cluster) -> dict[str, str]:
    case = cluster.cases[0]
    return {name: case.prompt[first:last] for name, (first, last) in case.spans.items()}


def renderer(plan: Plan, data: Applications) -> Callable[[Mapping[str, str]], Rendered]:
    template = parse_template(
        plan.prompt.template, fields=(), labels=labels_of(plan, data), style=plan.prompt.style, where="small.toml"
    )
    return lambda words: render(template, words)


@dataclass(frozen=True)
class Watched(ComputeContext):
    """Keeps the prompts of every reading; with ``toy``, margins are that function of the prompt."""

    readings: list[list[str]] = field(default_factory=list)
    toy: Callable[[str], float] | None = None

    def margins(self, prompts: Sequence[str]) -> FloatArray:
        self.readings.append(list(prompts))
        if self.toy is None:
            return super().margins(prompts)
        return np.array([self.toy(prompt) for prompt in prompts])


def compute_context(
    settings: Any,
    *,
    toy: Callable[[str], float] | None = None,
    plan: Plan | None = None,
    data: Applications | None = None,
) -> Watched:
    """A compute context with a tiny random model."""
    plan = plan or small_plan()
    model = zoo_model("llama")
    return Watched(
        plan=plan,
        settings=settings,
        loaded=LoadedModel(model, tiny_tokenizer(), None, "cpu"),
        scorer=PackedScorer(model, pack_tokens=plan.budget.pack_tokens, probe=PACKABLE),
        render=renderer(plan, data or small_data()),
        should_stop=lambda: False,
        toy=toy,
    )


def through_a_ledger(value: Any) -> Any:
    """The value, or typed row, after a ledger kept it as bytes."""
    return json.loads(canonical_json(value.row() if isinstance(value, Row) else value))
