"""What a finished audit says, as typed objects, and where its evidence lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from auditor.conductor import Conclusions
from auditor.controls import Controls
from auditor.exceptions import InputError
from auditor.records import Case, Decision, Finding, Measurement
from auditor.run_record import RunRecord

Item = TypeVar("Item")

ARMS = "arm:"
CHECK = pl.Struct(
    {
        "name": pl.String,
        "held": pl.Boolean,
        "value": pl.Float64,
        "bound": pl.Float64,
        "note": pl.String,
        "covers_run": pl.Boolean,
    }
)
SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "test": pl.String,
    "metric": pl.String,
    "role": pl.String,
    "reference": pl.String,
    "estimate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "level": pl.Float64,
    "unit": pl.String,
    "higher_is_better": pl.Boolean,
    "n": pl.Int64,
    "sd_units": pl.Float64,
    "p_value": pl.Float64,
    "p_adjusted": pl.Float64,
    "family": pl.String,
    "conclusion": pl.String,
    "conclusion_reason": pl.String,
    "missing_reason": pl.String,
    "method": pl.String,
    "cases": pl.String,
    "counts": pl.List(pl.Struct({"name": pl.String, "value": pl.Float64})),
    "checks": pl.List(CHECK),
}
"""Columns of `Audited.to_frame` beside those of the subjects."""


@dataclass(frozen=True)
class Audited:
    """A finished audit.

    Attributes
    ----------
    folder
        Where it is kept: ``ledger/`` holds the run with its chunks, ``evidence/`` the files below.
    run
        The frozen run record: design, model, data, packs, code and libraries, by hash where they have one.
    conclusions
        All of what it says.
    """

    folder: Path
    run: RunRecord
    conclusions: Conclusions

    @property
    def design_sha256(self) -> str:
        """The hash of the design, which is what people approve."""
        return self.run.design_sha256

    @property
    def run_sha256(self) -> str:
        """The hash of the frozen run: the design bound to a model, data, packs and code."""
        return self.run.digest()

    @property
    def evidence(self) -> Path:
        """The folder of evidence: ``cases``, ``decisions`` and ``attributions`` as Parquet, all else as JSON."""
        return self.folder / "evidence"

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Every number of the audit, in the order of the plan's tests."""
        return self.conclusions.measurements

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the measurements amount to, gravest first; none is not proof that there is nothing to find."""
        return self.conclusions.findings

    @property
    def cases(self) -> tuple[Case, ...]:
        """Every prompt the model was asked, by id; ``decisions`` are in the same order."""
        return self.conclusions.cases

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What the model said to each case; margins are log-odds in nats."""
        return self.conclusions.decisions

    @property
    def controls(self) -> Controls:
        """Whether this audit could have seen a difference: noise, placebo, power, how answers were read."""
        return self.conclusions.controls

    def measurement(self, id: str) -> Measurement:
        """The measurement of this id.

        Raises
        ------
        InputError
            If there is none, naming the nearest ids.
        """
        return _only(id, {item.id: item for item in self.measurements}, "measurement")

    def finding(self, id: str) -> Finding:
        """The finding of this id, such as ``F-001``; errors as in `measurement`."""
        return _only(id, {item.id: item for item in self.findings}, "finding")

    def select(self, *, test: str | None = None, metric: str | None = None, **subject: str) -> tuple[Measurement, ...]:
        """The measurements of a test, a metric and a subject, each where given: ``select(field="race", group="X")``."""
        return tuple(
            item
            for item in self.measurements
            if test in (None, item.test)
            and metric in (None, item.metric)
            and all(item.subject.get(key) == value for key, value in subject.items())
        )

    def behind(self, item: Measurement | Finding) -> tuple[tuple[Case, Decision], ...]:
        """The cases that a number or a finding rests on, each with its decision; empty where it rests on no arms."""
        if not item.cases.startswith(ARMS):
            return ()
        arms = set(item.cases.removeprefix(ARMS).split("|"))
        pairs = zip(self.cases, self.decisions, strict=True)
        return tuple((case, decision) for case, decision in pairs if arms.intersection(case.arms))

    def to_frame(self) -> pl.DataFrame:
        """All measurements as a table, a row each.

        Returns
        -------
        polars.DataFrame
            The columns of ``SCHEMA``, and ``subject_field``, ``subject_group`` … for each key a subject has: null where
            a measurement has none of that key. A number that could not be had is null, and ``missing_reason`` says why.
        """
        keys = list(dict.fromkeys(key for item in self.measurements for key in item.subject))
        schema = {**SCHEMA, **{f"subject_{key}": pl.String for key in keys}}
        return pl.DataFrame([_row(item, keys) for item in self.measurements], schema=schema, orient="row")


def _row(item: Measurement, keys: Sequence[str]) -> dict[str, Any]:
    row = item.row()
    # polars takes no whole number inside a list of floats.
    row["counts"] = [{"name": name, "value": _float(value)} for name, value in row["counts"].items()]
    row["checks"] = [
        {**check, "value": _float(check["value"]), "bound": _float(check["bound"])} for check in row["checks"]
    ]
    row |= {f"subject_{key}": item.subject.get(key) for key in keys}
    return {name: value for name, value in row.items() if name != "subject"}


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _only(id: str, known: dict[str, Item], what: str) -> Item:
    if id in known:
        return known[id]
    near = get_close_matches(id, known, n=3, cutoff=0.5) or list(known)[:3]
    raise InputError(f"{what} {id!r}", "is not in this audit", ", ".join(near) or f"an audit that has a {what}")
