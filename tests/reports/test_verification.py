from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

import pikepdf
import pytest

from auditor.canonical import canonical_json, pretty_json
from auditor.exceptions import InputError, StorageError
from reports.governance import Governance
from reports.publish import publish, write_atomically, write_manifest
from reports.verification import first_difference, verify
from tests.reports.conftest import Audit


@pytest.fixture
def files(working: Audit, tmp_path: Path) -> dict[str, Path]:
    copies = {}
    for kind in ("report", "result", "evidence"):
        source = getattr(working.published, kind)
        copies[kind] = Path(shutil.copy(source, tmp_path / source.name))
    return copies


def rezip(path: Path, changes: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()} | changes
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)


def test_what_was_published_agrees(files: dict[str, Path]) -> None:
    assert verify(list(files.values())) == []


def test_a_folder_and_each_file_alone_agree(working: Audit, files: dict[str, Path]) -> None:
    assert verify([working.folder]) == []
    for path in files.values():
        assert verify([path]) == []


@pytest.mark.parametrize(
    "name", ["cases.parquet", "decisions.parquet", "measurements.json", "figures/effects.svg", "run.json"]
)
def test_one_changed_byte_in_the_evidence_names_the_file(files: dict[str, Path], name: str) -> None:
    with zipfile.ZipFile(files["evidence"]) as archive:
        data = bytearray(archive.read(name))
    data[len(data) // 2] ^= 1
    rezip(files["evidence"], {name: bytes(data)})
    first = verify([files["evidence"]])[0]
    assert (first.file, first.where) == ("evidence.zip", name)


def test_a_missing_and_an_extra_file_are_named(working: Audit, tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    shutil.copytree(working.folder, folder)
    (folder / "cases.parquet").unlink()
    (folder / "note.txt").write_text("hello")
    assert [item.where for item in verify([folder])] == ["cases.parquet", "note.txt"]


@pytest.mark.parametrize("said", ["[]", "{}", "7", '"result"'])
def test_json_that_is_no_result_is_said_to_be_none(tmp_path: Path, said: str) -> None:
    (tmp_path / "result.json").write_text(said)
    assert [item.found for item in verify([tmp_path / "result.json"])] == ["no result of an audit"]


def test_a_report_that_was_cut_off_is_no_readable_pdf_and_names_nothing_of_its_reader(files: dict[str, Path]) -> None:
    files["report"].write_bytes(files["report"].read_bytes()[:5000])
    lines = [str(item) for item in verify([files["evidence"], files["report"]])]
    assert len(lines) == 1
    assert lines[0].startswith("report.pdf: found no readable PDF (")
    assert "object at" not in lines[0]


def test_a_changed_number_in_the_result_names_its_key_path(files: dict[str, Path]) -> None:
    result = json.loads(files["result"].read_bytes())
    result["measurements"][3]["estimate"] = 0.123
    files["result"].write_text(pretty_json(result), encoding="utf-8")
    first = verify([files["evidence"], files["result"]])[0]
    assert (first.file, first.where, first.found) == ("result.json", "measurements[3].estimate", "0.123")


def test_a_bundle_sealed_again_after_a_change_no_longer_fits_the_result_and_the_report(
    working: Audit, files, tmp_path: Path
) -> None:
    folder = tmp_path / "forged"
    shutil.copytree(working.folder, folder)
    rows = json.loads((folder / "measurements.json").read_bytes())
    rows[0]["n"] += 1
    (folder / "measurements.json").write_bytes(canonical_json(rows))
    write_manifest(folder)
    found = verify([folder, files["result"], files["report"]])
    assert found[0].where == f"measurements.json: {rows[0]['id']}: n"
    assert any(item.where == "measurements[0].n" for item in found)
    assert any(item.where == "stated bundle hash" for item in found)


def test_a_changed_plan_is_named_even_under_a_new_manifest(working: Audit, tmp_path: Path) -> None:
    folder = tmp_path / "forged"
    shutil.copytree(working.folder, folder)
    plan = json.loads((folder / "plan.json").read_bytes())
    plan["thresholds"]["practical_rate"] = 0.2
    (folder / "plan.json").write_bytes(canonical_json(plan))
    write_manifest(folder)
    assert [item.where for item in verify([folder])][:2] == [
        "run.json: design_sha256",
        "run.json: design.thresholds.practical_rate",
    ]


def test_another_attached_result_is_named(files: dict[str, Path]) -> None:
    result = json.loads(files["result"].read_bytes())
    result["audit"]["title"] = "Something else"
    with pikepdf.open(files["report"], allow_overwriting_input=True) as pdf:
        pdf.attachments["result.json"] = pikepdf.AttachedFileSpec(
            pdf, pretty_json(result).encode(), filename="result.json"
        )
        pdf.save(files["report"])
    first = verify(list(files.values()))[0]
    assert (first.file, first.where) == ("report.pdf", "attached result.json: audit.title")


def test_a_changed_number_on_a_page_names_the_page(files: dict[str, Path]) -> None:
    with pikepdf.open(files["report"], allow_overwriting_input=True) as pdf:
        page = pdf.pages[6]
        page.Contents = pdf.make_stream(page.Contents.read_bytes().replace(b"Tj", b"Tj ", 1))
        pdf.save(files["report"])
    assert verify(list(files.values()))[0].where == "page 7"


def test_a_changed_byte_in_the_report_is_found(files: dict[str, Path]) -> None:
    data = bytearray(files["report"].read_bytes())
    data[len(data) // 2] ^= 1
    files["report"].write_bytes(data)
    assert [item.file for item in verify(list(files.values()))][:1] == ["report.pdf"]


def test_bytes_appended_to_a_report_are_refused_beside_its_evidence_and_alone(files: dict[str, Path]) -> None:
    size = files["report"].stat().st_size
    with files["report"].open("ab") as stream:
        stream.write(b"% an incremental update stands here\n")
    first = verify(list(files.values()))[0]
    assert (first.where, first.found) == (f"byte {size:,}", "36 bytes after the end of the report")
    assert verify([files["report"]])[0].where == "the hash of its own bytes"


def test_broken_files_are_named_not_raised(files: dict[str, Path]) -> None:
    files["evidence"].write_bytes(b"PK no zip")
    files["result"].write_bytes(b"{")
    files["report"].write_bytes(b"no pdf")
    assert [item.file for item in verify([files["evidence"]])] == ["evidence.zip"]
    assert [item.file for item in verify([files["result"], files["report"]])] == ["result.json", "report.pdf"]


def test_a_file_that_is_not_there_and_two_of_a_kind_are_input_errors(files: dict[str, Path], tmp_path: Path) -> None:
    twice = [files["result"]] * 2
    thrice = [files["report"]] * 3
    for paths in ([tmp_path / "none.zip"], [tmp_path / "none.pdf"], [tmp_path / "none.txt"], twice, thrice, []):
        with pytest.raises(InputError):
            verify(paths)


def test_values_that_python_calls_equal_and_paper_does_not_differ() -> None:
    assert first_difference({"a": [1, {"b": True}]}, {"a": [1, {"b": 1}]}) == ("a[1].b", True, 1)
    assert first_difference({"a": [1]}, {"a": [1, 2]}) == ("a", "1 entries", "2 entries")
    assert first_difference({"a": 1}, {}) == ("a", 1, "nothing")


def test_a_full_disk_is_a_storage_error_and_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as stream:
            stream.write(data[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match=r"report\.pdf: cannot be written: no space left on device"):
        write_atomically(tmp_path / "report.pdf", b"data")
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_cannot_be_written_is_a_storage_error(
    working: Audit, governance: Governance, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("a file, no folder")
    with pytest.raises(StorageError, match="expected room and permission"):
        publish(working.folder, governance, tmp_path / "out")


def test_the_archive_has_sorted_names_and_one_date(files: dict[str, Path]) -> None:
    with zipfile.ZipFile(io.BytesIO(files["evidence"].read_bytes())) as archive:
        names = archive.namelist()
        assert names == sorted(names)
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
