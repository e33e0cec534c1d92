"""Small real rows: a plan, a model, a data set and an audit, made by the actions themselves."""

from __future__ import annotations

from collections.abc import Iterable

from auditor.applications import Applications, apply_mapping
from auditor.ledger import Chunk
from auditor.mapping_files import mapping_from
from auditor.plan import Plan, plan_from
from auditor.run_record import RunRecord
from compliance import actions
from compliance.governance.events import Actor
from compliance.models import Audit
from tests.records import NO_FILES, run_of

ACTOR = Actor(name="ada", role="command line")


def make_plan(name: str = "small") -> Plan:
    """A plan of one attribute."""
    raw = {
        "schema": 1,
        "name": name,
        "title": "Small",
        "use": {"business_use": "Loans", "decision_role": "advisory"},
        "prompt": {"template": "{race}:", "answers": {"favourable": [" yes"], "adverse": [" no"]}},
        "attributes": [{"field": "race", "groups": ["a", "b"], "reference": "a"}],
        "tests": {"run": ["counterfactual"]},
    }
    return plan_from(raw, where="small.toml")


def make_applications() -> Applications:
    """Two applications with one field."""
    import polars as pl

    fields = [{"name": "race", "role": "protected", "type": "category", "column": "race"}]
    mapping = mapping_from({"name": "small", "fields": fields}, where="small")
    return apply_mapping(pl.DataFrame({"race": ["a", "b"]}), mapping, source="small.csv", file_sha256="0" * 64)


def make_chunks(count: int) -> Iterable[Chunk]:
    """Chunks of two prompts."""
    return (Chunk(index=i, kind="score", prompts=2, tokens=20, payload=b"cases %d" % i) for i in range(count))


def make_run(name: str = "one") -> RunRecord:
    """A frozen run record, told apart by ``name``."""
    mapping = {"name": "small", "fields": []}
    data = {"source": "small.csv", "name": "small", "mapping": mapping, "selected": ["0001", "0002"]}
    return run_of(make_plan().design(), name=name, data=data)


def start(*, run: RunRecord, chunks: int = 3) -> Audit:
    """What the command does: register and start, or resume."""
    return actions.start_ungoverned_audit(
        run=run,
        chunks=make_chunks(chunks),
        prompts=2 * chunks,
        tokens=20 * chunks,
        model=actions.register_model(source="demo:small", sha256="1" * 64, manifest=NO_FILES, actor=ACTOR),
        data=actions.register_data(data=make_applications(), actor=ACTOR),
        plan=actions.register_plan(plan=make_plan(), actor=ACTOR),
        actor=ACTOR,
        command="python manage.py audit small.toml",
    )


def make_audit(*, name: str = "one", chunks: int = 3) -> Audit:
    """A running audit."""
    audit = start(run=make_run(name), chunks=chunks)
    actions.begin_audit(audit=audit, actor=ACTOR)
    return audit
