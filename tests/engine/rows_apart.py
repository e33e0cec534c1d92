"""A file in which every applicant has five rows, kept apart by its mapping, and a made-up model that reads them."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

import numpy as np
import polars as pl

from auditor.applications import apply_mapping
from auditor.canonical import sha256_bytes
from auditor.conductor import conclude
from auditor.mapping_files import mapping_from
from auditor.records import Case, Measurement
from auditor.testing.context import applicant_of
from tests.engine.small import MAPPING, simulated, small_plan

ROWS, EACH = 400, 5


def audited(folder: Path, *, seed: int, shift: Mapping[str, float]) -> tuple[Measurement, ...]:
    """Measurements of an audit of 80 applicants with five rows each; noise is the applicant's and the version's."""
    mapping = deepcopy(MAPPING)
    mapping["fields"].insert(
        0, {"name": "loan", "role": "id", "type": "category", "column": "loan", "repeats": "separate"}
    )  # type: ignore[attr-defined]
    people = ROWS // EACH
    table = pl.DataFrame(
        {
            "loan": [f"A{row // EACH:03d}" for row in range(ROWS)],
            "income": [10 + row % 80 for row in range(ROWS)],
            "race": [["White", "Black"][row // EACH % 2] for row in range(ROWS)],
            "sex": [["male", "female"][row // EACH // 2 % 2] for row in range(ROWS)],
            "approved": [int(row % 5 > 0) for row in range(ROWS)],
        }
    )
    data = apply_mapping(
        table,
        mapping_from(mapping, where="rows"),
        source="rows.csv",
        file_sha256=sha256_bytes(f"rows{seed}{people}".encode()),
    )
    generator = np.random.default_rng(seed)
    drawn: dict[tuple[str, str], float] = {}

    def margin(case: Case) -> float:
        person, version = applicant_of(case.cluster), case.id.partition("/")[2].replace("reask", "")
        for key, spread in (((person, "worth"), 1.0), ((person, version), 0.5)):
            if key not in drawn:
                drawn[key] = float(generator.normal(0, spread))
        return (
            0.5 + drawn[person, "worth"] + drawn[person, version] + sum(shift.get(g, 0.0) for g in case.groups.values())
        )

    plan = small_plan(noise__reask=0)
    return conclude(simulated(folder, plan, data, margin)).measurements
