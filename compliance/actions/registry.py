"""Entering a model, a data set or a plan into the register. What is there already is found, not entered again."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from auditor.applications import Applications
from auditor.canonical import canonical_json
from auditor.plan import Plan
from compliance.events import Actor, append_event, lock_chain
from compliance.models import DataSetVersion, LanguageModelVersion, PlanVersion


@transaction.atomic
def register_model(*, source: str, sha256: str, manifest: dict[str, Any], actor: Actor) -> LanguageModelVersion:
    """Enter a stored model; ``sha256`` and ``manifest`` as the model store gave them."""
    lock_chain()
    version, new = LanguageModelVersion.objects.get_or_create(
        sha256=sha256, defaults={"source": source, "manifest": manifest}
    )
    if new:
        append_event(actor=actor, action="model.registered", object=f"model {sha256[:12]}", payload=_named(version))
    return version


@transaction.atomic
def register_data(*, data: Applications, actor: Actor) -> DataSetVersion:
    """Enter a set of applications with its mapping."""
    lock_chain()
    version, new = DataSetVersion.objects.get_or_create(
        fingerprint=data.fingerprint,
        defaults={
            "name": data.mapping.name,
            "source": data.source,
            "mapping": data.mapping.design(),
            "rows": len(data.records),
        },
    )
    if new:
        label = f"data {data.fingerprint[:12]}"
        append_event(actor=actor, action="data.registered", object=label, payload=_named(version))
    return version


@transaction.atomic
def register_plan(*, plan: Plan, actor: Actor) -> PlanVersion:
    """Enter a design; what it is bound to is not part of it."""
    lock_chain()
    version, new = PlanVersion.objects.get_or_create(
        design_sha256=plan.design_sha256,
        defaults={"name": plan.name, "title": plan.title, "design_json": canonical_json(plan.design()).decode()},
    )
    if new:
        label = f"plan {plan.design_sha256[:12]}"
        append_event(actor=actor, action="plan.registered", object=label, payload=_named(version))
    return version


def _named(version: LanguageModelVersion | DataSetVersion | PlanVersion) -> dict[str, Any]:
    """The fields of a version that name it."""
    names = ("source", "name", "title", "sha256", "fingerprint", "design_sha256", "rows")
    return {name: getattr(version, name) for name in names if hasattr(version, name)}
