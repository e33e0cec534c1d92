"""The rows that probes, erasure and steering look at: applications with an attribute stated, withheld or replaced.

Everything here is planned before a model is asked; a payload holds the words, and a chunk renders them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.counterfactuals import Cluster
from auditor.language_models.answers import encode
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.concept_rows import Concept, ConceptCase
from auditor.mechanisms._shared.players import PROXY_ROLES
from auditor.plan import Attribute, Plan
from auditor.prompts import token_span
from auditor.testing.chunks import PlanContext
from auditor.testing.sampling import in_turns


@dataclass(frozen=True, slots=True)
class Placed:
    """A prompt as tokens, the first and last token of the attribute's value, and its last token."""

    tokens: tuple[int, ...]
    first: int
    end: int

    @property
    def last(self) -> int:
        """The position the decision is read at."""
        return len(self.tokens) - 1


@dataclass(frozen=True, slots=True)
class Family:
    """The attributes that a test on internals looks at with as many draws as its level needs, and their contrasts."""

    fields: tuple[str, ...]
    size: int


def family_of(plan: Plan, settings: Any) -> Family:
    """The contrasts of ``settings.full_strength``, or of all attributes the test looks at."""
    looked = [item for item in plan.attributes if not settings.attributes or item.field in settings.attributes]
    full = [item for item in looked if not settings.full_strength or item.field in settings.full_strength]
    return Family(tuple(item.field for item in full), sum(len(item.groups) - 1 for item in full))


def draw_clusters(asked: PlanContext, attribute: Attribute, *, applications: int, test: str) -> list[Cluster]:
    """A seeded draw of applications whose own group is in the plan, groups in turns so that rare ones are there too."""
    by_group: dict[str, list[Cluster]] = {group: [] for group in attribute.groups}
    for cluster in asked.clusters:
        group = cluster.cases[0].groups.get(attribute.field)
        if group is not None:
            by_group[group].append(cluster)
    for group, members in by_group.items():
        random.Random(f"{asked.plan.cases.seed}/{test}/{attribute.field}/{group}").shuffle(members)
    return sorted(in_turns(*by_group.values())[:applications], key=lambda cluster: cluster.application.id)


def concept_of(asked: PlanContext, attribute: Attribute, clusters: Sequence[Cluster]) -> Concept:
    """The attribute, and of every application its id, own group, words and numbers."""
    return Concept(
        field=attribute.field,
        groups=tuple(attribute.groups),
        reference=attribute.reference,
        proxies=tuple(
            name for name in asked.fields if asked.roles.get(name) in PROXY_ROLES and name != attribute.field
        ),
        cases=tuple(
            ConceptCase(
                id=cluster.application.id,
                group=cluster.cases[0].groups[attribute.field],
                words={name: asked.words[cluster.application.id][name] for name in asked.fields},
                numbers=_numbers(asked, cluster),
            )
            for cluster in clusters
        ),
    )


def place(context: ComputeContext, variants: Sequence[Mapping[str, str]], field: str) -> list[Placed]:
    """Render, tokenise, and find the field's value in every variant."""
    rendered = [context.render(words) for words in variants]
    chat = context.plan.prompt.form == "chat"
    placed = []
    encodings = encode(context.loaded.tokenizer, [item.text for item in rendered], chat=chat)
    for item, encoding in zip(rendered, encodings, strict=True):
        first, stop = token_span(encoding.offsets, item.spans[field])
        placed.append(Placed(encoding.ids, first, max(first, stop - 1)))
    return placed


def suffix_tokens(asked: PlanContext, cluster: Cluster, field: str) -> tuple[int, int]:
    """Tokens of the application's prompt, and of its part from the field on (an estimate)."""
    case = cluster.cases[0]
    whole = asked.count_tokens(case.prompt)
    return whole, round(whole * (len(case.prompt) - case.spans[field][0]) / max(1, len(case.prompt)))


def _numbers(asked: PlanContext, cluster: Cluster) -> dict[str, float]:
    """What can be compared with a margin: numbers and flags of the fields that an underwriter may weigh."""
    values = cluster.application.values
    return {
        name: float(value)
        for name in asked.fields
        if asked.roles.get(name) == "predictor" and isinstance(value := values.get(name), bool | int | float)
    }
