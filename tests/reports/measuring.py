"""Evidence as the engine itself concludes and writes it, of a model that turns some decisions of one group."""

from __future__ import annotations

from pathlib import Path

from auditor.conductor import conclude
from auditor.environment import Environment
from auditor.evidence import write_evidence
from auditor.records import Case
from auditor.run_record import PackPin
from reports.publish import write_manifest
from tests.engine.small import simulated, small_data, small_plan


def margin(case: Case) -> float:
    """A model that lowers the score of one group enough to turn some decisions."""
    worth = (sum(map(ord, case.cluster)) * 37 % 101) / 25 - 1.5
    return worth - (0.6 if case.groups.get("race") == "Black" else 0.0)


def measured_evidence(base: Path) -> Path:
    """The folder of such evidence, under ``base``."""
    plan = small_plan()
    ledger = simulated(base / "ledger", plan, small_data(180), margin)
    conclusions = conclude(ledger)
    packs = tuple(PackPin(id=pack.id, version=pack.version, sha256=pack.sha256) for pack in conclusions.packs)
    selected = tuple(sorted({case.cluster for case in conclusions.cases}))
    data = ledger.run().data.model_copy(update={"selected": selected})
    run = ledger.run().model_copy(update={"packs": packs, "data": data})
    write_evidence(base / "evidence", run, conclusions, Environment(cpus=1))
    write_manifest(base / "evidence")
    return base / "evidence"
