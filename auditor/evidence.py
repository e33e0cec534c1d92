"""The evidence of a run as files: what was asked, what was answered, what was measured. Sorted, canonical, no timings.

``cases``, ``decisions``, ``attributions``, ``measurements`` and ``findings`` are the files a repeat of the run
reproduces byte for byte. A run that asks a system has ``answers`` and ``requests`` too; a repeat from the same answers
reproduces them. One that has an endpoint describe features has ``requests``. One that reads the text of weights has
``texts``, and one with tests on decisions taken ``as_filed``; a repeat reproduces both.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from auditor.canonical import canonical_json
from auditor.environment import Environment
from auditor.exceptions import StorageError, reason_of
from auditor.observed.filed_values import FILED
from auditor.observed.filed_values import SCHEMA as FILED_SCHEMA
from auditor.records import Case
from auditor.run_record import RunRecord

if TYPE_CHECKING:
    from auditor.conductor import Conclusions

REPEATABLE = ("cases.parquet", "decisions.parquet", "attributions.parquet", "measurements.json", "findings.json")

CASES_SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "cluster": pl.String,
    "role": pl.String,
    "changed": pl.String,
    "groups": pl.List(pl.Struct({"field": pl.String, "group": pl.String})),
    "arms": pl.List(pl.String),
    "prompt": pl.String,
    "spans": pl.List(pl.Struct({"field": pl.String, "start": pl.Int64, "stop": pl.Int64})),
}
DECISIONS_SCHEMA: dict[str, Any] = {
    "case_id": pl.String,
    "margin": pl.Float64,
    "mass": pl.Float64,
    "log_favourable": pl.Float64,
    "log_adverse": pl.Float64,
    "outcome": pl.String,
    "observation": pl.String,
}
TEXTS = "texts.parquet"
TEXTS_SCHEMA: dict[str, Any] = {
    "case_id": pl.String,
    "outcome": pl.String,
    "reason": pl.String,
    "text": pl.String,
    "thinking": pl.String,
    "finish": pl.String,
    "tokens": pl.Int64,
    "ties": pl.Int64,
    "largest_difference": pl.Float64,
    "trouble": pl.String,
    "amount": pl.Float64,
    "reasons": pl.List(pl.String),
}
ATTRIBUTIONS_SCHEMA: dict[str, Any] = {
    "case_id": pl.String,
    "test": pl.String,
    "field": pl.String,
    "value": pl.Float64,
    "standard_error": pl.Float64,
    "reference": pl.String,
}


def write_evidence(folder: Path, run: RunRecord, conclusions: Conclusions, environment: Environment) -> None:
    """Write the evidence files into ``folder`` (made if needed). Figures and manifest are added when it is published.

    Parameters
    ----------
    folder
        Where the files go.
    run
        The frozen run record.
    conclusions
        What the run says.
    environment
        Where and how it was computed; how it was scored is added here.

    Raises
    ------
    StorageError
        If a file cannot be written, for example because the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        asking = conclusions.asking
        computed: dict[str, Any] = {"scoring": conclusions.scoring}
        if asking is not None:
            computed["sent"] = asking.sent
        files = {
            "plan.json": run.design,
            "run.json": run.plain(),
            "environment.json": environment.model_copy(update=computed).plain(),
            "measurements.json": [item.row() for item in conclusions.measurements],
            "findings.json": [item.row() for item in conclusions.findings],
            "controls.json": conclusions.controls.plain(),
            "packs.json": [pack.content for pack in conclusions.packs],
        }
        for name, content in files.items():
            # Nothing after the JSON: the hash of plan.json and run.json as files is the hash that names them.
            (folder / name).write_bytes(canonical_json(content))
        tables = {
            "cases.parquet": _table([_case_row(case) for case in conclusions.cases], CASES_SCHEMA),
            "decisions.parquet": _table([item.row() for item in conclusions.decisions], DECISIONS_SCHEMA),
            "attributions.parquet": _table([item.row() for item in conclusions.attributions], ATTRIBUTIONS_SCHEMA),
        }
        if conclusions.texts:
            tables[TEXTS] = _table([item.row() for item in conclusions.texts], TEXTS_SCHEMA)
        if conclusions.filed:
            tables[FILED] = _table([item.row() for item in conclusions.filed], FILED_SCHEMA)
        for name, table in tables.items():
            table.write_parquet(folder / name)
        if asking is not None:
            asking.write(folder)
    except (OSError, pl.exceptions.ComputeError) as error:
        reason = f"cannot be written: {reason_of(error)}"
        raise StorageError(f"{folder}: {reason}; expected room and permission to write evidence") from error


def _table(rows: Sequence[dict[str, Any]], schema: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def _case_row(case: Case) -> dict[str, Any]:
    return {
        **case.row(),
        "groups": [{"field": name, "group": group} for name, group in sorted(case.groups.items())],
        "arms": list(case.arms),
        "spans": [{"field": name, "start": start, "stop": stop} for name, (start, stop) in sorted(case.spans.items())],
    }
