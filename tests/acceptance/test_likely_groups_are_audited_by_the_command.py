"""From surnames to a report: `likely_groups` writes a file, `audit` audits it as it is, `verify` measures it again."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from django.core.management import call_command

from auditor.mapping_files import write_mapping
from tests.acceptance.test_decision_files_by_the_command import PLAN
from tests.observed.made_up import mapping
from tests.observed.test_likely_groups_by_the_command import arguments

TESTS = 'run = ["observed_rates", "observed_likely_groups"]'
UNKNOWN = ("race", "p_black", "p_white")
"""Fields that a lender who may not ask does not have."""


def mapped(said: str) -> str:
    """The mapping of the file without a race, with what the command prints for it."""
    fields, _, likely = said.partition("\n")[2].partition("[[decisions.probabilities]]")
    own, decisions, rest = write_mapping(mapping(probabilities=None)).partition("[decisions]")
    kept = [part for part in own.split("[[fields]]") if not any(f'name = "{name}"' in part for name in UNKNOWN)]
    return "[[fields]]".join(kept) + "\n" + fields + decisions + rest + "\n[[decisions.probabilities]]" + likely


def test_a_file_whose_groups_are_likely_by_surname_alone_is_audited_and_verified(
    db: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = arguments(tmp_path)
    whole = pl.read_csv(tmp_path / "decisions.csv", infer_schema=False)
    whole.drop("race").write_csv(tmp_path / "decisions.csv")
    call_command("likely_groups", *asked)
    (tmp_path / "likely.toml").write_text(mapped(capsys.readouterr().out))
    text = PLAN.replace("{file}", str(tmp_path / "likely.csv")).replace("{mapping}", str(tmp_path / "likely.toml"))
    (tmp_path / "plan.toml").write_text(text.rpartition("run = [")[0] + TESTS)
    out = tmp_path / "out"
    call_command("audit", str(tmp_path / "plan.toml"), "--out", str(out), "--no-progress")
    result = json.loads((out / "result.json").read_text())
    found = {item["metric"]: item for item in result["measurements"] if item["test"] == "observed_likely_groups"}
    weighted, thresholded = found["weighted_difference"], found["thresholded_difference"]
    assert thresholded["estimate"] < weighted["estimate"] < 0
    assert weighted["conclusion"] == thresholded["conclusion"] == "DIFFERENCE_FOUND"
    assert "groups by made-up tables of 2020" in weighted["method"]
    # Nobody's race is in the file: no comparison by it has a number.
    rates = [item for item in result["measurements"] if item["test"] == "observed_rates" and item["reference"]]
    assert rates
    assert [item for item in rates if item["estimate"] is not None] == []
    assert "surname" not in (tmp_path / "likely.csv").read_text().splitlines()[0]
    capsys.readouterr()
    call_command("verify", str(out / "evidence.zip"), "--decisions", str(tmp_path / "likely.csv"))
    assert "measurements were computed again from likely.csv" in capsys.readouterr().out
