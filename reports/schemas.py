"""JSON schemas of what is hashed and published: ``python -m reports.schemas`` writes them to ``docs/schemas``.

They follow from the types that read and write the records, so that neither can say what the other does not.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from auditor.controls import Controls
from auditor.environment import Environment
from auditor.model_manifest import ModelManifest
from auditor.plan import Plan
from auditor.records import Finding, Measurement
from auditor.run_record import BoundData, BoundModel, RunRecord
from reports.governance import Governance

FOLDER = Path(__file__).parents[1] / "docs" / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Result(BaseModel):
    """``result.json``: what an audit says, for scripts. Every number is a measurement, or ``null`` with its reason."""

    model_config = ConfigDict(frozen=True)

    audit: Governance
    design_sha256: str
    run_sha256: str
    model: BoundModel
    data: BoundData
    measurements: tuple[Measurement, ...]
    findings: tuple[Finding, ...]
    controls: Controls
    environment: Environment


PUBLISHED: dict[str, tuple[type[BaseModel], str]] = {
    "plan": (Plan, "A plan file read from TOML; plan.json of a bundle, which has no run"),
    "run": (RunRecord, "run.json of a bundle: the frozen run"),
    "result": (Result, "result.json"),
    "model": (ModelManifest, "manifest.json of a model in the store"),
}


def schemas() -> dict[str, str]:
    """Each schema as the text of its file, by file name."""
    return {f"{name}.schema.json": _text(*published) for name, published in PUBLISHED.items()}


def _text(kind: type[BaseModel], title: str) -> str:
    schema: dict[str, Any] = {"$schema": DIALECT, **kind.model_json_schema(by_alias=True), "title": title}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write every schema."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in schemas().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{FOLDER / name}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
