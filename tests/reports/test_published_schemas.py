"""The schemas in docs/schemas are those of the types, and what a run writes fits them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from reports.schemas import FOLDER, schemas
from tests.reports.conftest import Audit

ROOT = Path(__file__).parents[2]


def problems(name: str, value: Any) -> list[str]:
    validator = Draft202012Validator(json.loads((FOLDER / f"{name}.schema.json").read_text(encoding="utf-8")))
    return [f"{list(error.path)}: {error.message}" for error in validator.iter_errors(value)]


def test_the_published_files_are_what_the_types_say() -> None:
    """Written anew by ``python -m reports.schemas``."""
    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")} == schemas()


@pytest.mark.parametrize("name", sorted(schemas()))
def test_each_is_a_schema_and_is_listed_in_the_documents(name: str) -> None:
    Draft202012Validator.check_schema(json.loads(schemas()[name]))
    assert f"(schemas/{name})" in (ROOT / "docs" / "report.md").read_text(encoding="utf-8")


def test_what_a_run_writes_fits(working: Audit) -> None:
    assert problems("plan", json.loads((working.folder / "plan.json").read_bytes())) == []
    assert problems("run", json.loads((working.folder / "run.json").read_bytes())) == []
    assert problems("result", json.loads(working.published.result.read_bytes())) == []


@pytest.mark.parametrize("path", sorted((ROOT / "plans").glob("*.toml")), ids=lambda path: path.name)
def test_ready_made_plans_fit(path: Path) -> None:
    assert problems("plan", tomllib.loads(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", sorted((ROOT / "tests/engine/stored").glob("*.json")), ids=lambda path: path.name)
def test_records_of_earlier_versions_fit(path: Path) -> None:
    name = {"run": "run", "manifest": "model"}.get(path.name.partition("-")[0])
    if name is not None:
        assert problems(name, json.loads(path.read_bytes())) == []


def test_a_result_without_its_model_or_with_a_number_as_text_does_not_fit(working: Audit) -> None:
    result = json.loads(working.published.result.read_bytes())
    assert problems("result", {key: value for key, value in result.items() if key != "model"})
    result["measurements"][0]["estimate"] = "0.1"
    assert problems("result", result)
