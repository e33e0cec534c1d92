"""The notebook in examples/ runs from its first cell to its last in a kernel of its own, and shows what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
import tomlkit

import auditor
from auditor.toml_text import parse_toml
from tests.language_models.tiny import save_tiny

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "an_audit_in_a_notebook.ipynb"
#: Short enough for a tiny model, which reads a token a byte.
TEMPLATE = """Loan {loan_amount}
Form number: {form_number}
Marital status: {marital_status}
Sex: {sex}
Race: {race}

Decision:"""
EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[1])
"""


def short_plan(folder: Path) -> Path:
    raw = parse_toml((ROOT / "plans" / "quick.toml").read_text())
    raw["prompt"]["template"] = TEMPLATE
    raw["noise"]["reask"] = 4
    raw["budget"]["threads"] = 1
    path = folder / "plan.toml"
    path.write_text(tomlkit.dumps(raw))
    return path


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


@pytest.mark.slow
def test_it_runs_from_the_first_cell_to_the_last(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    settings = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    values = {
        "PLAN": str(short_plan(tmp_path)),
        "MODEL": f"dir:{save_tiny(tmp_path / 'model')}",
        "DATA": "demo:loanapp",
        "STORE": "store",
        "FOLDER": "audit",
        "APPLICATIONS": 40,
    }
    assert {line.split(" = ")[0] for line in settings.source.splitlines()} == set(values)
    settings.source = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    nbformat.write(notebook, tmp_path / "run.ipynb")
    # It must find this code, wherever another is installed, and no profile of whoever runs the tests.
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path / "ipython")}
    command = [sys.executable, "-c", EXECUTE, "run.ipynb"]
    done = subprocess.run(command, cwd=tmp_path, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    shown = outputs(nbformat.read(tmp_path / "run.ipynb", as_version=4))
    said = "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in shown)
    audited = auditor.open_audit(tmp_path / "audit")
    assert f"run {audited.run_sha256[:12]}, evidence in audit/evidence" in said
    assert f"{len(audited.measurements)} measurements, {len(audited.findings)} findings" in said
    assert all(f"{finding.id} {finding.severity}: {finding.title}" in said for finding in audited.findings)
    assert all(f"{item.conclusion_reason}" in said for item in audited.select(metric="cf_net_effect"))
    charts = [output.data["image/svg+xml"] for output in shown if "image/svg+xml" in output.get("data", {})]
    assert [chart.count("<svg") for chart in charts] == [1, 1]
    assert "Black − White" in charts[0]
    assert "Applications" in charts[1]


def test_it_is_kept_without_what_it_showed_when_somebody_ran_it() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[] for _ in code]
    assert [cell.execution_count for cell in code] == [None for _ in code]
