"""``manage.py audit`` on a decision file: a run on record, four files, and ``verify`` on them. Nobody is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import call_command, load_command_class

from compliance.execution.job import JobState
from compliance.models import Audit
from tests.observed.test_a_plan_audits_a_decision_file import write_file

PLAN = """
schema = 2
name = "on-file"
title = "Decisions on file"

[run]
model = "decisions:{file}"
mapping = "{mapping}"

[use]
business_use = "Loans"
decision_role = "determinative"
policy_packs = ["us-fha"]

[[attributes]]
field = "race"
groups = ["White", "Black"]
reference = "White"

[tests]
run = ["observed_rates", "observed_equal_factors", "counterfactual"]

[limits]
requests = 5
"""
FILES = ("report.pdf", "annex.pdf", "result.json", "evidence.zip")


def write_plan(folder: Path) -> Path:
    file = write_file(folder, rows=1000)
    path = folder / "plan.toml"
    path.write_text(PLAN.replace("{file}", str(file)).replace("{mapping}", str(file.with_suffix(".toml"))))
    return path


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        load_command_class("compliance", arguments[0]).run_from_argv(["manage.py", *arguments])
    return int(end.value.code or 0)


def test_a_decision_file_is_audited_recorded_and_verified(
    db: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, out = write_plan(tmp_path), tmp_path / "out"
    call_command("audit", str(plan), "--out", str(out))
    said = "".join(capsys.readouterr())
    assert "1,000 of 1,000 applications of made_up; nobody was asked" in said
    assert "Not used, since nobody is asked: [limits]" in said
    assert "comparisons" in said
    assert "are conclusive" in said
    row = Audit.objects.get()
    assert (row.state, row.prompts, row.chunks.count()) == (JobState.DONE, 0, 0)
    assert row.model.sha256 == row.data.fingerprint == row.run.data.fingerprint
    result = json.loads((out / "result.json").read_text())
    assert result["data"]["audited"] == 1000
    untested = [item for item in result["measurements"] if item["conclusion"] == "NOT_TESTED"]
    assert [item["test"] for item in untested] == ["counterfactual"]
    call_command("verify", *(str(out / name) for name in FILES))
    assert "none of" in capsys.readouterr().out
    call_command("verify", str(out / "evidence.zip"), "--decisions", str(tmp_path / "decisions.csv"))
    assert "measurements were computed again from decisions.csv" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--data", "demo:loanapp"], "is given beside a decision file, which is model and data at once"),
        (["--model", "decisions:nowhere.csv"], "nowhere.csv: there is no such file"),
        (["--set", "run.mapping="], "no mapping says what its columns mean"),
        (
            ["--set", "reading.readout=amount"],
            "plan.toml: reading.readout: is set, and nobody is asked: decisions are read as the file has them; "
            "expected no such key, or a model or a system to ask",
        ),
        (["--set", "limits.requests=5"], "plan.toml: limits.requests: is set, and nobody is asked"),
    ],
)
def test_what_cannot_be_bound_is_refused_in_one_line(
    db: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    assert run("audit", str(write_plan(tmp_path)), "--no-progress", *arguments) == 2
    error = capsys.readouterr().err.strip()
    assert line in error
    assert "\n" not in error
