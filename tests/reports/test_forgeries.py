"""Reports and bundles that somebody made up: each is refused by name, none breaks the reader."""

from __future__ import annotations

import contextlib
import io
import json
import random
import re
import resource
import shutil
import struct
import zipfile
from pathlib import Path

import pikepdf
import pypdf
import pytest

from auditor.canonical import canonical_json, pretty_json
from reports.archives import read_zip
from reports.differences import short
from reports.verification import Checked, check, verify
from tests.reports.conftest import Audit
from tests.reports.forging import resealed

SEED = 20261128


def appended_update(data: bytes) -> bytes:
    """Another first page, written behind the report by a standard library as an incremental update."""
    writer = pypdf.PdfWriter(io.BytesIO(data), incremental=True)
    page = writer.pages[0]
    page[pypdf.generic.NameObject("/Contents")] = writer._add_object(
        pypdf.generic.StreamObject.initialize_from_dictionary(
            {"__streamdata__": b"BT /F1 20 Tf 72 700 Td (No difference) Tj ET", "/Length": 44}
        )
    )
    out = io.BytesIO()
    writer.write(out)
    forged = out.getvalue()
    assert forged.startswith(data)
    return forged


def replaced_page(data: bytes) -> bytes:
    with pikepdf.open(io.BytesIO(data)) as pdf:
        pdf.pages[0].Contents = pdf.make_stream(b"BT ET")
        out = io.BytesIO()
        pdf.save(out)
    return out.getvalue()


def annotated(data: bytes) -> bytes:
    with pikepdf.open(io.BytesIO(data)) as pdf:
        note = pikepdf.Dictionary(
            Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.FreeText, Rect=[50, 500, 500, 700], Contents="No difference"
        )
        pdf.pages[0].Annots = pdf.make_indirect(pikepdf.Array([pdf.make_indirect(note)]))
        out = io.BytesIO()
        pdf.save(out)
    return out.getvalue()


def second_attachment(data: bytes) -> bytes:
    with pikepdf.open(io.BytesIO(data)) as pdf:
        pdf.attachments["result (final).json"] = pikepdf.AttachedFileSpec(pdf, b"{}", filename="result (final).json")
        out = io.BytesIO()
        pdf.save(out)
    return out.getvalue()


FORGERIES = {
    "an appended update": appended_update,
    "a replaced page": replaced_page,
    "an annotation": annotated,
    "a second attachment": second_attachment,
}


@pytest.mark.parametrize("kind", FORGERIES)
def test_a_forged_report_is_refused_beside_its_evidence(files: dict[str, Path], kind: str) -> None:
    files["report"].write_bytes(FORGERIES[kind](files["report"].read_bytes()))
    found = verify(list(files.values()))
    assert found
    assert found[0].file == "report.pdf"


@pytest.mark.parametrize("kind", FORGERIES)
def test_a_forged_report_alone_is_not_consistent_with_itself(files: dict[str, Path], kind: str) -> None:
    files["report"].write_bytes(FORGERIES[kind](files["report"].read_bytes()))
    assert verify([files["report"]])


def test_a_report_that_a_forger_sealed_again_is_never_called_unchanged(files: dict[str, Path]) -> None:
    data = files["report"].read_bytes()
    changed = data.replace(b"en-GB</rdf:li>", b"en-US</rdf:li>", 1)
    files["report"].write_bytes(resealed(changed))
    alone = check([files["report"]])
    assert alone.mismatches == ()
    assert "unchanged" not in alone.said[0]
    assert "not shown that this is the file that was issued" in alone.said[0]
    assert verify([files["report"], files["evidence"]])


def test_every_changed_bit_of_a_report_alone_is_seen(files: dict[str, Path]) -> None:
    data = files["report"].read_bytes()
    dice = random.Random(SEED)
    for _ in range(200):
        at = dice.randrange(len(data))
        flipped = bytearray(data)
        flipped[at] ^= 1 << dice.randrange(8)
        files["report"].write_bytes(bytes(flipped))
        assert verify([files["report"]]), f"byte {at}"


def test_what_was_compared_with_what_is_said(files: dict[str, Path]) -> None:
    def said(*kinds: str) -> tuple[str, ...]:
        found: Checked = check([files[kind] for kind in kinds])
        assert found.mismatches == ()
        return tuple(line.split("/")[-1] for line in found.said[:-1])

    assert said("report", "evidence")[0] == (
        "report.pdf: equal, to the last byte, to the report that is set again from evidence.zip"
    )
    assert said("report", "evidence")[1].startswith("evidence.zip: consistent with itself: ")
    assert said("result", "evidence")[0] == (
        "result.json: equal, to the last byte, to the result that is written again from evidence.zip"
    )
    assert said("result", "evidence", "report")[0].endswith("from evidence.zip, and to what report.pdf carries")
    for kinds in (("report",), ("evidence",), ("report", "evidence"), ("report", "result", "evidence")):
        lines = check([files[kind] for kind in kinds]).said
        assert not [line for line in lines if "unchanged" in line], "who remakes them all makes files that agree"
        assert ("that these are the files that were issued is not shown" in " ".join(lines)) == ("evidence" in kinds)
    assert said("result") == ("result.json: readable, and not compared with anything",)
    alone = said("report")[0]
    assert alone.startswith("report.pdf: consistent with itself by the hashes it states")
    assert "not compared with its evidence" in alone
    assert "event log" in check([files["report"]]).said[-1]


def test_names_in_capitals_are_the_same_kinds_of_files(files: dict[str, Path]) -> None:
    named = [path.rename(path.with_name(path.name.upper())) for path in files.values()]
    assert check(named).mismatches == ()


def test_a_result_alone_was_compared_with_nothing_and_is_said_to_be(files: dict[str, Path]) -> None:
    (line,) = check([files["result"]]).alone
    assert line.startswith("result.json: was compared with nothing, so nothing is shown of it; expected evidence.zip")
    for kinds in (["result", "report"], ["result", "evidence"], ["report"], ["evidence"]):
        assert check([files[kind] for kind in kinds]).alone == ()


def rezip(path: Path, **options: bytes) -> None:
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()} | dict(options)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)


def bytes_before(path: Path) -> None:
    path.write_bytes(b"something else\n" + path.read_bytes())


def bytes_after(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"something else\n")


def a_comment(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"all is well"


def bytes_between(path: Path) -> None:
    data = path.read_bytes()
    size, at = struct.unpack("<II", data[-10:-2])
    end = bytearray(data[-22:])
    end[16:20] = struct.pack("<I", at + 5)
    path.write_bytes(data[:at] + b"12345" + data[at : at + size] + bytes(end))


def a_file_twice(path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("plan.json", b"{}")


def a_way_out(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../outside.json", b"{}")


def another_name_inside(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data.replace(b"plan.json", b"plum.json", 1))


def an_unlisted_file(path: Path) -> None:
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("note.txt", b"all is well")


def hidden_behind_packed_bytes(path: Path) -> None:
    """Bytes after the end of the last file's packed bytes, counted as its own: unpackers leave them out."""
    data, hidden = path.read_bytes(), b"what nobody is shown"
    with zipfile.ZipFile(path) as archive:
        last = max(archive.infolist(), key=lambda entry: entry.header_offset)
    size, at = struct.unpack("<II", data[-10:-2])
    body, directory, end = bytearray(data[:at]), bytearray(data[at : at + size]), bytearray(data[-22:])
    longer = struct.pack("<I", last.compress_size + len(hidden))
    body[last.header_offset + 18 : last.header_offset + 22] = longer
    place = directory.index(last.filename.encode()) - 46
    directory[place + 20 : place + 24] = longer
    end[16:20] = struct.pack("<I", at + len(hidden))
    path.write_bytes(bytes(body + hidden + directory + end))


def described_otherwise_where_it_begins(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[14:26] = b"\xee" * 12
    path.write_bytes(bytes(data))


def unpacked_as_a_link(path: Path) -> None:
    data = bytearray(path.read_bytes())
    _, at = struct.unpack("<II", data[-10:-2])
    data[at + 38 : at + 42] = struct.pack("<I", 0o120777 << 16)
    path.write_bytes(bytes(data))


def counts_fewer_at_its_end(path: Path) -> None:
    """Readers that believe the end show one file less than others do."""
    data = bytearray(path.read_bytes())
    (count,) = struct.unpack("<H", data[-12:-10])
    data[-14:-10] = struct.pack("<HH", count - 1, count - 1)
    path.write_bytes(bytes(data))


def a_file_in_another_part(path: Path) -> None:
    data = bytearray(path.read_bytes())
    _, at = struct.unpack("<II", data[-10:-2])
    data[at + 34 : at + 36] = struct.pack("<H", 1)
    path.write_bytes(bytes(data))


ZIPS = {
    change.__name__: change
    for change in (
        bytes_before,
        bytes_after,
        a_comment,
        bytes_between,
        a_file_twice,
        a_way_out,
        another_name_inside,
        an_unlisted_file,
        hidden_behind_packed_bytes,
        described_otherwise_where_it_begins,
        unpacked_as_a_link,
        counts_fewer_at_its_end,
        a_file_in_another_part,
    )
}


@pytest.mark.parametrize("change", ZIPS)
def test_nothing_may_stand_in_or_around_the_archive_beside_its_files(files: dict[str, Path], change: str) -> None:
    ZIPS[change](files["evidence"])
    found = verify([files["evidence"]])
    assert found, change
    assert found[0].file == "evidence.zip"


def test_a_zip_that_unpacks_to_gigabytes_is_refused_in_little_memory(tmp_path: Path) -> None:
    bomb = tmp_path / "evidence.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("plan.json", "w") as entry:
        for _ in range(1100):
            entry.write(bytes(1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = verify([bomb])
    assert found[0].found.startswith("unpacks to 1,153,433,600 bytes")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


def test_an_entry_that_lies_about_its_size_is_cut_off(tmp_path: Path) -> None:
    liar = tmp_path / "evidence.zip"
    with zipfile.ZipFile(liar, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("plan.json", bytes(10_000))
    data = bytearray(liar.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(mark) + offset
        data[at : at + 4] = struct.pack("<I", 10)
    liar.write_bytes(bytes(data))
    assert verify([liar])


def shaped(name: str, value: object) -> bytes:
    return canonical_json(value) if not isinstance(value, bytes) else value


SHAPES: dict[str, object] = {
    "a list": [],
    "a number": 3,
    "null": None,
    "no keys": {},
    "text": "text",
    "deep": b"[" * 100_000,
    "not a number": b'{"a": NaN}',
    "a number beyond all": b'{"a": 1e999}',
    "a key twice": b'{"a": 1, "a": 2}',
    "no utf-8": b"\xff\xfe",
    "nothing": b"",
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["manifest.json", "run.json", "measurements.json", "findings.json", "controls.json"])
def test_a_record_of_any_shape_is_a_mismatch_and_no_crash(
    working: Audit, tmp_path: Path, name: str, shape: str
) -> None:
    from reports.publish import write_manifest

    folder = tmp_path / "evidence"
    shutil.copytree(working.folder, folder)
    (folder / name).write_bytes(shaped(name, SHAPES[shape]))
    if name not in ("manifest.json", "run.json"):
        # The forger's own tools may refuse; then the old manifest stands.
        with contextlib.suppress(Exception):
            write_manifest(folder)
    found = verify([folder, working.published.report])
    assert found
    assert "\n" not in str(found[0])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_result_of_any_shape_is_a_mismatch_beside_its_evidence(files: dict[str, Path], shape: str) -> None:
    files["result"].write_bytes(shaped("result", SHAPES[shape]))
    assert verify([files["result"], files["evidence"]])


def test_parquet_that_makes_its_reader_panic_is_a_mismatch(working: Audit, tmp_path: Path) -> None:
    from reports.publish import write_manifest

    folder = tmp_path / "evidence"
    shutil.copytree(working.folder, folder)
    data = bytearray((folder / "decisions.parquet").read_bytes())
    dice = random.Random(SEED)
    for _ in range(40):
        data[dice.randrange(len(data))] = dice.randrange(256)
    (folder / "decisions.parquet").write_bytes(bytes(data))
    write_manifest(folder)
    assert verify([folder, working.published.report])


def test_a_made_up_record_of_who_approved_is_said_to_be_compared_with_nothing(
    working: Audit, files: dict[str, Path]
) -> None:
    result = json.loads(files["result"].read_bytes())
    result["audit"]["requested_by"] = "somebody else"
    files["result"].write_text(pretty_json(result), encoding="utf-8")
    found = check([files["result"], files["evidence"]])
    assert found.said[-1].startswith("who asked, approved and signed is as the files say")


def test_a_result_that_was_written_again_is_not_called_unchanged(files: dict[str, Path]) -> None:
    files["result"].write_text(json.dumps(json.loads(files["result"].read_bytes())), encoding="utf-8")
    found = verify([files["result"], files["evidence"]])
    assert [item.found for item in found] == ["the values of the bundle in other bytes"]


def test_a_control_that_no_run_makes_is_named(working: Audit, tmp_path: Path) -> None:
    planted = {"design": "4 copies with a planted difference", "result": "4 of 4 found"}
    found = verify(
        [rewritten(working, tmp_path, controls={**working.bundle.controls.plain(), "planted_bias": planted})]
    )
    assert found[0].where == "controls.json: planted_bias"


def test_reading_a_zip_gives_what_was_written(files: dict[str, Path]) -> None:
    with zipfile.ZipFile(files["evidence"]) as archive:
        assert read_zip(files["evidence"]) == {name: archive.read(name) for name in archive.namelist()}


def rewritten(working: Audit, base: Path, **records: object) -> Path:
    """The folder with other records and a manifest that lists them, as whoever holds it can make."""
    from reports.publish import write_manifest

    folder = base / "evidence"
    shutil.copytree(working.folder, folder)
    for name, value in records.items():
        (folder / f"{name}.json").write_bytes(canonical_json(value))
    write_manifest(folder)
    return folder


def test_a_pack_of_the_run_that_is_not_in_the_bundle_is_named(working: Audit, tmp_path: Path) -> None:
    folder = rewritten(working, tmp_path, packs=list(working.bundle.packs[:1]))
    assert verify([folder])[0].where == f"packs.json: {working.bundle.packs[1]['id']}"


def test_a_finding_on_a_measurement_that_is_not_there_is_named(working: Audit, tmp_path: Path) -> None:
    rows = [{**item.row(), "measurements": ["made up"]} for item in working.bundle.findings]
    found = verify([rewritten(working, tmp_path, findings=rows)])[0]
    assert (found.where, found.found) == (f"findings.json: {working.bundle.findings[0].id}", "a measurement 'made up'")


@pytest.mark.parametrize("file", ["verdict.json", "Plan.json", "plan.json ", "more/plan.json", "report.pdf", ".hidden"])
def test_a_file_that_no_run_writes_is_named_though_the_manifest_lists_it(
    working: Audit, tmp_path: Path, file: str
) -> None:
    from reports.publish import write_manifest

    folder = rewritten(working, tmp_path)
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text("all is well")
    write_manifest(folder)
    found = verify([folder])
    assert [(item.where, item.found) for item in found] == [(short(file), "a file that no run writes")]


def test_a_pipe_in_a_folder_is_refused(working: Audit, tmp_path: Path) -> None:
    import os

    folder = rewritten(working, tmp_path)
    os.mkfifo(folder / "pipe")
    assert verify([folder])[0].found == "is a pipe, a socket or a device"


def with_result(data: bytes, result: bytes) -> bytes:
    """A report that carries another result, with its hash restated and sealed again."""

    from auditor.canonical import sha256_bytes

    with pikepdf.open(io.BytesIO(data)) as pdf:
        pdf.attachments["result.json"] = pikepdf.AttachedFileSpec(pdf, result, filename="result.json")
        stated = re.sub(
            rb"result [0-9a-f]{64}", b"result " + sha256_bytes(result).encode(), pdf.Root.Metadata.read_bytes()
        )
        pdf.Root.Metadata = pdf.make_stream(stated, Type=pikepdf.Name.Metadata, Subtype=pikepdf.Name.XML)
        out = io.BytesIO()
        pdf.save(out, stream_decode_level=pikepdf.StreamDecodeLevel.none)
    return resealed(out.getvalue())


def test_a_result_forged_with_its_report_is_never_called_unchanged(files: dict[str, Path]) -> None:
    result = json.loads(files["result"].read_bytes())
    result["findings"] = []
    files["result"].write_text(pretty_json(result), encoding="utf-8")
    files["report"].write_bytes(with_result(files["report"].read_bytes(), files["result"].read_bytes()))
    found = check([files["report"], files["result"]])
    assert found.mismatches == ()
    assert not [line for line in found.said if "unchanged" in line]
    assert "what its pages show was not looked at" in found.said[0]


def test_a_record_that_would_take_minutes_to_set_is_refused(files: dict[str, Path]) -> None:
    result = json.loads(files["result"].read_bytes())
    result["audit"]["title"] = "word " * 40_000
    forged = with_result(files["report"].read_bytes(), pretty_json(result).encode())
    files["report"].write_bytes(forged)
    found = verify([files["report"], files["evidence"]])[0]
    assert (found.where, found.found) == ("result.json: audit.title", "200,000 characters")


def test_a_report_alone_says_what_it_does_not_show(files: dict[str, Path]) -> None:
    said = check([files["report"]]).said[0]
    assert "that its numbers follow from decisions, nor that any of it was measured" in said
    assert "evidence.zip beside it shows more" in said
