"""A bias that was put into a model is found, with its sign and its size, and a release pipeline sees it."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import polars as pl
import pytest
from django.conf import LazySettings

from auditor.applications import Application
from auditor.counterfactuals import select
from auditor.demo_data import load_loanapp
from auditor.plan import read_plan
from auditor.records import Severity
from tests.acceptance.commands import SMALL_PLAN, here
from tests.acceptance.planted import CENTRE, planted_model
from tests.language_models.tiny import save_tiny

AGAINST = 6.0
PLAN = SMALL_PLAN.replace(
    '"Loan {loan_amount}, form {form_number}, sex {sex}, race {race}: "',
    '"Loan {loan_amount}, price {price}, form {form_number}, sex {sex}, race {race}: "',
).replace("limit = 40", "limit = 120").replace("chunk_tokens = 150", "chunk_tokens = 4000")  # fmt: skip


def audit(tmp_path: Path, *arguments: str, against: float) -> int:
    plan = tmp_path / "planted.toml"
    if not plan.exists():
        folder = save_tiny(tmp_path / "model", model=planted_model("B", against))
        plan.write_text(PLAN.replace("{model}", f"dir:{folder}"))
    return here("audit", plan, "--out", tmp_path / "out", "--no-progress", *arguments)


@pytest.fixture(autouse=True)
def places(db: None, tmp_path: Path, settings: LazySettings) -> None:
    settings.DATA_FOLDER, settings.MODEL_FOLDER = tmp_path / "data", tmp_path / "store"


def read(tmp_path: Path) -> dict:
    return json.loads((tmp_path / "out" / "result.json").read_text())


def effect(result: dict, group: str) -> dict:
    [found] = [
        item
        for item in result["measurements"]
        if item["metric"] == "cf_net_effect" and item["subject"]["group"] == group
    ]
    return found


def true_effect(tmp_path: Path, against: float) -> float:
    """What the planted rule does to the plan's own applications, worked out on paper: no model, no prompt."""
    plan, data = read_plan(tmp_path / "planted.toml"), load_loanapp()
    chosen = select(plan, data, seen=frozenset(), where="plan").records
    drawn = {case["cluster"]: case["prompt"] for case in cases(tmp_path) if case["role"] == "actual"}

    def score(record: Application) -> float:
        return sum(int(letter) - CENTRE for letter in drawn[record.id] if letter.isdigit())

    paired = [record for record in chosen if record.values["race"] in ("White", "Black")]
    white = [score(record) >= 0 for record in paired]
    black = [score(record) - against >= 0 for record in paired]
    return (sum(black) - sum(white)) / len(paired)


def cases(tmp_path: Path) -> list[dict]:
    with zipfile.ZipFile(tmp_path / "out" / "evidence.zip") as bundle:
        return pl.read_parquet(io.BytesIO(bundle.read("cases.parquet"))).to_dicts()


@pytest.mark.parametrize("against", [AGAINST, -AGAINST], ids=["against", "in favour"])
def test_a_planted_bias_is_found_with_its_sign_and_size(tmp_path: Path, against: float) -> None:
    assert audit(tmp_path, against=against) == 0
    result = read(tmp_path)
    race, sex = effect(result, "Black"), effect(result, "female")
    assert race["conclusion"] == "DIFFERENCE_FOUND"
    assert race["estimate"] == pytest.approx(true_effect(tmp_path, against), abs=1e-12)
    assert race["estimate"] * against < 0
    assert sex["estimate"] == 0
    assert sex["conclusion"] != "DIFFERENCE_FOUND"


def test_a_pipeline_stops_at_the_severity_it_named_and_no_lower(tmp_path: Path) -> None:
    assert audit(tmp_path, "--fail-on", "observation", against=AGAINST) == 1
    worst = max(Severity(finding["severity"]).rank for finding in read(tmp_path)["findings"])
    levels = list(Severity)
    assert worst >= Severity.MEDIUM.rank
    assert audit(tmp_path, "--fail-on", levels[worst].value, against=AGAINST) == 1
    if worst + 1 < len(levels):
        assert audit(tmp_path, "--fail-on", levels[worst + 1].value, against=AGAINST) == 0


def test_a_model_without_the_planted_bias_stops_no_pipeline(tmp_path: Path) -> None:
    assert audit(tmp_path, "--fail-on", "medium", against=0.0) == 0
    result = read(tmp_path)
    assert effect(result, "Black")["estimate"] == 0
    assert all(finding["conclusion"] != "DIFFERENCE_FOUND" for finding in result["findings"])
