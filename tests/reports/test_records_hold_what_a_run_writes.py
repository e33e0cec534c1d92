"""Records of a bundle hold what a run writes, in its bytes: what else stands there is named by its place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from auditor.canonical import canonical_json, pretty_json, sha256_file
from reports.bundle import read_bundle, result_bytes
from reports.governance import Governance
from reports.verification import verify
from tests.reports.conftest import GOVERNANCE
from tests.reports.measuring import measured_evidence

RECORDS = ("plan.json", "run.json", "environment.json", "measurements.json", "findings.json", "controls.json")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return measured_evidence(tmp_path_factory.mktemp("measured"))


def listed(folder: Path, change: Callable[[dict[str, Any]], None] = lambda manifest: None) -> Path:
    """The folder under a manifest with the hashes of what is there, as whoever holds it writes one."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for line in manifest["files"]:
        line.update(sha256=sha256_file(folder / line["file"]), size=(folder / line["file"]).stat().st_size)
    change(manifest)
    (folder / "manifest.json").write_bytes(canonical_json(manifest))
    return folder


@pytest.fixture
def copy(measured: Path, tmp_path: Path) -> Path:
    shutil.copytree(measured, tmp_path / "evidence")
    return tmp_path / "evidence"


def lines(folder: Path) -> list[str]:
    return [str(item) for item in verify([folder])]


def test_the_folder_as_it_was_written_has_nothing_to_name(copy: Path) -> None:
    assert lines(listed(copy)) == []


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "indented, with the line ends of another system": lambda data: (
        pretty_json(json.loads(data)).replace("\n", "\r\n").encode()
    ),
    "in another encoding": lambda data: json.dumps(json.loads(data)).encode("utf-16"),
    "behind a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "with two line ends": lambda data: data + b"\n\n",
    "with numbers of another form": lambda data: data.replace(b":0.5", b":5e-1").replace(b":0,", b":0.0,"),
}


@pytest.mark.parametrize("how", [kind for kind in BYTES if kind != "with numbers of another form"])
@pytest.mark.parametrize("record", RECORDS)
def test_the_same_values_in_other_bytes_are_named(copy: Path, record: str, how: str) -> None:
    path = copy / record
    path.write_bytes(BYTES[how](path.read_bytes()))
    assert lines(listed(copy))[0].startswith(f"evidence: {record}: found JSON that is not canonical; expected ")


def test_a_number_in_another_form_is_named(copy: Path) -> None:
    path = copy / "measurements.json"
    changed = BYTES["with numbers of another form"](path.read_bytes())
    assert changed != path.read_bytes()
    path.write_bytes(changed)
    assert lines(listed(copy))[0].startswith("evidence: measurements.json: found JSON that is not canonical; ")


def test_a_manifest_in_other_bytes_is_named(copy: Path) -> None:
    path = copy / "manifest.json"
    path.write_text(pretty_json(json.loads(path.read_bytes())), encoding="utf-8")
    assert lines(copy)[0].startswith("evidence: manifest.json: found JSON that is not canonical; ")


def test_a_manifest_that_calls_its_files_something_is_named(copy: Path) -> None:
    def approve(manifest: dict[str, Any]) -> None:
        manifest["files"][0]["media_type"] = "approved by the examiner"

    (found,) = lines(listed(copy, approve))
    assert "media_type of attributions.parquet: found approved by the examiner; expected application/vnd" in found


def test_a_manifest_in_another_order_is_named(copy: Path) -> None:
    def turned(manifest: dict[str, Any]) -> None:
        manifest["files"] = manifest["files"][::-1]

    assert lines(listed(copy, turned)) == [
        "evidence: manifest.json: found files in another order; expected files by name"
    ]


def test_a_key_that_no_manifest_has_is_named(copy: Path) -> None:
    def approve(manifest: dict[str, Any]) -> None:
        manifest["approved_by"] = "the examiner"

    (found,) = lines(listed(copy, approve))
    assert found == "evidence: manifest.json: approved_by: found a key that no run writes; expected none"


def test_a_line_of_the_manifest_that_says_more_is_named(copy: Path) -> None:
    def approve(manifest: dict[str, Any]) -> None:
        manifest["files"][0]["approved_by"] = "the examiner"

    (found,) = lines(listed(copy, approve))
    assert found == (
        "evidence: manifest.json: files: found a line with approved_by, file, media_type, sha256, size; "
        "expected file, media_type, sha256, size"
    )


ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing for a number": ({"n": None}, "n: found null"),
    "true for a number": ({"n": True}, "n: found true"),
    "words for a number": ({"estimate": "none"}, "estimate: found none"),
    "words for a count": ({"counts": {"b": "x"}}, "counts.b: found x"),
    "a role there is not": ({"role": "sworn"}, "role: found sworn"),
    "a key no row has": ({"note": "all is well"}, "note: found a key that no row has (all is well)"),
    "a check without its name": ({"checks": [{"held": True}]}, "checks.0.name: found nothing"),
}


@pytest.mark.parametrize("kind", ROWS)
def test_a_row_of_another_type_is_named_by_its_place(copy: Path, kind: str) -> None:
    change, said = ROWS[kind]
    path = copy / "measurements.json"
    rows = json.loads(path.read_bytes())
    rows[1].update(change)
    path.write_bytes(canonical_json(rows))
    (found,) = lines(listed(copy))
    assert found.startswith(f"evidence: measurements.json: row 2 ({rows[1]['id']}): {said}")
    assert "; expected a row as a run writes it (" in found


@pytest.mark.parametrize("rows", [[[]], [None], {}, "none"])
def test_rows_that_are_none_are_named(copy: Path, rows: object) -> None:
    (copy / "findings.json").write_bytes(canonical_json(rows))
    (found,) = lines(listed(copy))
    assert found.startswith("evidence: findings.json")
    assert "what cannot be read" not in found


@pytest.mark.parametrize("record", ["run.json", "environment.json", "controls.json"])
def test_a_key_that_no_run_writes_is_named(copy: Path, record: str) -> None:
    path = copy / record
    path.write_bytes(canonical_json({**json.loads(path.read_bytes()), "approved_by": "the examiner"}))

    def bound(manifest: dict[str, Any]) -> None:
        manifest["run_sha256"] = sha256_file(copy / "run.json")

    assert (
        lines(listed(copy, bound))[0]
        == f"evidence: {record}: approved_by: found a key that no run writes; expected none"
    )


def test_a_key_deep_in_a_record_is_named_too(copy: Path) -> None:
    path = copy / "environment.json"
    record = json.loads(path.read_bytes())
    record["scoring"]["packing"]["approved_by"] = "the examiner"
    path.write_bytes(canonical_json(record))
    assert ": scoring.packing.approved_by: found a key that no run writes" in lines(listed(copy))[0]


def test_a_key_that_no_audit_writes_is_named_in_its_result(copy: Path, tmp_path: Path) -> None:
    said = Governance.read({**GOVERNANCE.given(), "approved_by": "the examiner"}, where="here")
    result = tmp_path / "result.json"
    result.write_bytes(result_bytes(read_bundle(copy), said))
    (found,) = verify([copy, result])
    assert str(found) == "result.json: audit.approved_by: found a key that no audit writes; expected none"


def test_a_measurement_of_a_test_that_the_plan_does_not_name_is_named(copy: Path) -> None:
    path = copy / "measurements.json"
    rows = json.loads(path.read_bytes())
    made = {**rows[0], "id": "probes/made up", "test": "probes", "checks": []}
    path.write_bytes(canonical_json([*rows, made]))
    (found,) = lines(listed(copy))
    assert found.endswith("probes/made up: test: found probes; expected a test that the plan names")


@pytest.mark.parametrize("table", ["cases.parquet", "decisions.parquet", "attributions.parquet"])
def test_a_column_that_no_run_writes_is_named(copy: Path, table: str) -> None:
    path = copy / table
    pl.read_parquet(path).with_columns(pl.lit("all is well").alias("note")).write_parquet(path)
    (found,) = lines(listed(copy))
    assert found.startswith(f"evidence: {table}: 'note': found is a column that no run writes; expected ")


def test_a_table_that_nothing_is_computed_from_is_read_all_the_same(copy: Path) -> None:
    (copy / "attributions.parquet").write_bytes(b"nothing")
    (found,) = lines(listed(copy))
    assert found.startswith("evidence: attributions.parquet: found cannot be read (")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_no_number_is_named_by_its_row(copy: Path, value: float) -> None:
    path = copy / "decisions.parquet"
    table = pl.read_parquet(path)
    margins = table["margin"].to_list()
    margins[3] = value
    table.with_columns(pl.Series("margin", margins)).write_parquet(path)
    (found,) = lines(listed(copy))
    assert found == f"evidence: decisions.parquet: margin: row 4: found is {value}; expected a number, or null"
