"""The real demonstration, small: a real model, real applications, every promise about what comes out of it."""

from __future__ import annotations

import json
import math
import re
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import pypdf
import pytest

from auditor.canonical import sha256_bytes, sha256_json
from auditor.language_models.store import ModelStore
from auditor.records import Measurement, Severity
from reports.lint import forbidden_phrases
from tests.acceptance.commands import FILES, ask, manage

pytestmark = [pytest.mark.model, pytest.mark.xdist_group("demonstration")]

PLAN = "plans/mortgage-hmda.toml"
ONE_ATTRIBUTE = ("probes", "erasure", "steering", "attribution_patching", "patching")
SMALLER = [
    part
    for change in (
        "cases.limit=8",
        "noise.reask=2",
        "budget.threads=1",
        "settings.field_attribution.cases=2",
        "settings.field_attribution.shapley_cases=0",
        *(f'settings.{test}.attributes=["sex"]' for test in ONE_ATTRIBUTE),
        "settings.probes.untrained=false",
        "settings.probes.every=10",
        "settings.probes.folds=2",
        'settings.erasure.full_strength=["sex"]',
        'settings.steering.full_strength=["sex"]',
        "settings.steering.depths=[0.3, 0.6]",
        "settings.steering.doses=[1.0]",
    )
    for part in ("--set", change)
]
CONTRACT = {
    "id", "test", "metric", "role", "subject", "reference", "estimate", "low", "high", "unit", "higher_is_better", "n",
    "sd_units", "p_value", "p_adjusted", "family", "conclusion", "checks", "cases", "missing_reason",
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, demo_store: ModelStore) -> Path:
    """The data folder of one run, its files in ``out``, what it printed in ``stdout``, its exit code in ``code``."""
    folder = tmp_path_factory.mktemp("demonstration")
    arguments = ["audit", PLAN, *SMALLER, "--out", folder / "out", "--fail-on", "low"]
    done = manage(folder, *arguments, PLUMBLINE_MODELS=str(demo_store.root))
    assert done.returncode in (0, 1), done.stderr
    (folder / "stdout").write_text(done.stdout)
    (folder / "code").write_text(str(done.returncode))
    return folder


@pytest.fixture(scope="module")
def result(data: Path) -> dict[str, Any]:
    return dict(json.loads((data / "out" / "result.json").read_text()))


@pytest.fixture(scope="module")
def report(data: Path) -> list[str]:
    return [page.extract_text() for page in pypdf.PdfReader(data / "out" / "report.pdf").pages]


def test_it_prints_five_lines_and_three_paths(data: Path) -> None:
    lines = (data / "stdout").read_text().splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["A-0001", "Asked", "Found", "Judged", "Checked"]
    assert lines[5:] == [str(data / "out" / name) for name in FILES]
    assert all((data / "out" / name).stat().st_size > 0 for name in FILES)


INSIDE = ("field_attribution", "probes", "erasure", "steering", "attribution_patching", "patching", "ladder")


def test_tests_on_internals_are_part_of_it_and_their_checks_hold(result: dict[str, Any], report: list[str]) -> None:
    inside = [item for item in result["measurements"] if item["test"] in INSIDE]
    # On so few applications no step of the ladder may be known; its rows then say why.
    assert {item["test"] for item in inside if item["estimate"] is not None} >= set(INSIDE) - {"ladder"}
    assert {item["test"] for item in inside} == set(INSIDE)
    assert {item["role"] for item in inside} == {"supporting"}
    assert [(item["id"], check) for item in inside for check in item["checks"] if not check["held"]] == []
    found = {tuple(item["subject"].values()): item for item in inside if item["test"] == "ladder"}
    steps = found["sex", "female"]["counts"]
    assert {"encoded", "selective", "used", "usable"} <= set(steps)
    # Four applications to fit on allow seven relabellings, and no level can be reached with them.
    controlled = [item for item in inside if item["metric"] in ("erasure_gap_removed", "steering_potency")]
    assert len(controlled) == 2
    assert all("too few draws to say: 7 of 19" in item["conclusion_reason"] for item in controlled)
    paths = {item["subject"]["path"] for item in inside if item["metric"] == "steering_shift"}
    assert {"layer 9 into layer 18", "layer 18 into layer 9"} <= paths  # really across layers, both ways
    text = " ".join(" ".join(report).split())
    assert "Supporting evidence." in text
    assert "How far up each attribute stands" in text
    assert "Outputs crossed with internals" in text


def test_the_exit_code_is_that_of_the_findings(data: Path, result: dict[str, Any]) -> None:
    reached = any(Severity(item["severity"]).rank >= Severity.LOW.rank for item in result["findings"])
    assert (data / "code").read_text() == str(int(reached))


def test_the_result_keeps_the_contract(result: dict[str, Any]) -> None:
    parts = {"audit", "design_sha256", "run_sha256", "model", "measurements", "findings", "controls", "environment"}
    assert parts <= set(result)
    assert result["measurements"]
    assert {item.name for item in fields(Measurement)} >= CONTRACT
    for item in result["measurements"]:
        assert set(item) >= CONTRACT, item["id"]
        assert item["estimate"] is not None or item["missing_reason"], item["id"]
        assert item["conclusion"] is None or item["conclusion_reason"], item["id"]
        for name in ("estimate", "low", "high", "sd_units", "p_value", "p_adjusted"):
            assert item[name] is None or math.isfinite(item[name]), (item["id"], name)
    assert len({item["id"] for item in result["measurements"]}) == len(result["measurements"])
    known = {item["id"] for item in result["measurements"]}
    assert all(set(finding["measurements"]) <= known for finding in result["findings"])
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_the_hashes_are_those_of_the_files(data: Path, result: dict[str, Any]) -> None:
    with zipfile.ZipFile(data / "out" / "evidence.zip") as bundle:
        plan, run = bundle.read("plan.json"), bundle.read("run.json")
    assert result["design_sha256"] == sha256_bytes(plan) == sha256_json(json.loads(plan))
    assert result["run_sha256"] == sha256_bytes(run) == sha256_json(json.loads(run))


def test_the_register_holds_what_the_result_says(data: Path, result: dict[str, Any]) -> None:
    names = [item.name for item in fields(Measurement) if item.name != "id"]
    query = f"SELECT key, {', '.join(names)} FROM compliance_measurementrow ORDER BY position"
    as_json = {"subject", "checks", "counts"}
    rows = [
        {
            "id": key,
            **{name: json.loads(value) if name in as_json else value for name, value in zip(names, row, strict=True)},
        }
        for key, *row in ask(data / "plumbline.sqlite3", query)
    ]
    assert rows == [{name: item[name] for name in ("id", *names)} for item in result["measurements"]]
    found = ask(data / "plumbline.sqlite3", "SELECT key, severity, title FROM compliance_findingrow ORDER BY position")
    assert found == [(item["id"], item["severity"], item["title"]) for item in result["findings"]]


def test_every_page_says_ungoverned_and_none_says_what_it_may_not(
    data: Path, result: dict[str, Any], report: list[str]
) -> None:
    assert result["audit"]["governed"] is False
    assert len(report) > 3
    missing = [
        number for number, text in enumerate(report, start=1) if not re.search("ungoverned", text, re.IGNORECASE)
    ]
    assert missing == []
    with zipfile.ZipFile(data / "out" / "evidence.zip") as bundle:
        packs = json.loads(bundle.read("packs.json"))
    assert [str(hit) for hit in forbidden_phrases("\n".join(report), packs)] == []
    assert [str(hit) for hit in forbidden_phrases((data / "stdout").read_text())] == []


def test_the_four_files_agree(data: Path) -> None:
    paths = [data / "out" / name for name in FILES]
    checked = manage(data, "verify", *paths)
    assert (checked.returncode, checked.stderr) == (0, "")
    report, annex, result, evidence, *numbers, record = checked.stdout.splitlines()
    assert report == f"{paths[0]}: equal, to the last byte, to the report that is set again from evidence.zip"
    assert annex == f"{paths[1]}: equal, to the last byte, to the annex that is set again from evidence.zip"
    assert result == (
        f"{paths[2]}: equal, to the last byte, to the result that is written again from evidence.zip, and to what "
        "report.pdf carries"
    )
    assert evidence.startswith(f"{paths[3]}: consistent with itself: ")
    for words in ("were counted again from the", "were computed again from the decisions", "were drawn again"):
        assert [words in line for line in numbers].count(True) == 1, words
    assert record.startswith("who asked, approved and signed is as the files say")


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_is_named(data: Path, tmp_path: Path, name: str) -> None:
    for other in FILES:
        content = bytearray((data / "out" / other).read_bytes())
        if other == name:
            content[_place(content, name)] ^= 1
        (tmp_path / other).write_bytes(content)
    checked = manage(data, "verify", *(tmp_path / other for other in FILES))
    assert checked.returncode == 1
    assert checked.stdout == ""
    assert checked.stderr.startswith(name)
    assert checked.stderr.count("\n") == 1


def _place(content: bytearray, name: str) -> int:
    """Where to change a byte: in a number of the result, in the middle of the others."""
    return content.index(b'"estimate": ') + len(b'"estimate": ') + 2 if name == "result.json" else len(content) // 2
