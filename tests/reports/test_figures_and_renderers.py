"""Figures are drawn again and compared by name; a report of another renderer is neither changed nor unchanged."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pikepdf
import pytest

from auditor.canonical import canonical_json
from reports.numbers import short_hash
from reports.publish import publish, write_manifest
from reports.renderer import Renderer, installed
from reports.verification import check, verify
from tests.reports.conftest import GOVERNANCE, Audit
from tests.reports.forging import resealed

OTHER = Renderer("0.0.9", "ab" * 32)


@pytest.fixture
def folder(working: Audit, tmp_path: Path) -> Path:
    return Path(shutil.copytree(working.folder, tmp_path / "evidence"))


def test_a_figure_that_was_redrawn_added_or_taken_away_is_named(folder: Path) -> None:
    effects = folder / "figures" / "effects.svg"
    effects.write_text(effects.read_text(encoding="utf-8").replace("</svg>", "<text>no difference</text></svg>"))
    (folder / "figures" / "better.svg").write_text("<svg/>")
    (folder / "figures" / "rates.svg").unlink()
    write_manifest(folder)
    found = verify([folder])
    assert [(item.where, item.found) for item in found] == [
        ("figures/better.svg", "a figure"),
        ("figures/effects.svg", "another drawing"),
        ("figures/rates.svg", "no such figure"),
    ]


def test_equal_figures_are_said_to_have_been_drawn_again(folder: Path) -> None:
    assert any("figures were drawn again from the records, and are equal" in line for line in check([folder]).said)


def test_other_figures_of_another_renderer_are_named_with_both(folder: Path) -> None:
    (folder / "figures" / "effects.svg").write_text("<svg/>")
    write_manifest(folder)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["renderer"] = {"version": OTHER.version, "sha256": OTHER.sha256}
    (folder / "manifest.json").write_bytes(canonical_json(manifest))
    found = verify([folder])
    assert [item.where for item in found] == ["figures/effects.svg"]
    assert "drawn by Plumbline 0.0.9, renderer abababababab" in found[0].expected


@pytest.fixture
def elsewhere(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Report and evidence as another version of Plumbline set them."""
    monkeypatch.setattr("reports.publish.installed", lambda: OTHER)
    done = publish(folder, GOVERNANCE, tmp_path / "out")
    monkeypatch.undo()
    return [done.report, done.evidence]


def test_a_report_of_another_renderer_whose_every_byte_is_equal_is_said_to_be_equal(elsewhere: list[Path]) -> None:
    checked = check(elsewhere)
    assert checked.mismatches == ()
    assert "equal, to the last byte," in checked.said[0]


def test_a_report_of_another_renderer_that_sets_pages_otherwise_is_not_compared_and_says_so(
    elsewhere: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reports.content.UNGOVERNED", "not governed")
    checked = check(elsewhere)
    assert len(checked.mismatches) == 1
    line = str(checked.mismatches[0])
    assert "a report made by Plumbline 0.0.9, renderer abababababab" in line
    assert f"this verify has Plumbline {installed().version}, renderer {installed().sha256[:12]}" in line
    assert "the pages cannot be compared byte for byte; what was compared is" in line
    assert "unchanged" not in " ".join((line, *checked.said))


def test_a_forged_page_is_not_excused_by_naming_another_renderer(elsewhere: list[Path]) -> None:
    with pikepdf.open(elsewhere[0], allow_overwriting_input=True) as pdf:
        pdf.pages[0].Contents = pdf.make_stream(b"BT ET")
        pdf.save(elsewhere[0])
    assert [item.where for item in verify(elsewhere)] == ["pages"]


def test_a_report_names_what_set_its_pages(working: Audit) -> None:
    assert f"Plumbline {installed().version}, renderer {short_hash(installed().sha256)}" in working.text


def with_action(data: bytes, kind: str) -> bytes:
    """A report that does something when it is opened, sealed again."""
    with pikepdf.open(io.BytesIO(data)) as pdf:
        script = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert('All is well')")
        if kind == "an action on opening":
            pdf.Root.OpenAction = script
        elif kind == "a script":
            pdf.Root.Names.JavaScript = pikepdf.Dictionary(Names=pikepdf.Array(["a", script]))
        elif kind == "a form":
            pdf.Root.AcroForm = pikepdf.Dictionary(Fields=pikepdf.Array())
        elif kind == "an action of a page":
            pdf.pages[0].obj.AA = pikepdf.Dictionary(O=script)
        else:
            note = pikepdf.Dictionary(Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.Link, Rect=[0, 0, 9, 9], A=script)
            pdf.pages[0].obj.Annots = pikepdf.Array([pdf.make_indirect(note)])
        out = io.BytesIO()
        pdf.save(out, stream_decode_level=pikepdf.StreamDecodeLevel.none)
    return resealed(out.getvalue())


ACTIONS = {
    "an action on opening": "the document's catalogue",
    "a script": "the document's names",
    "a form": "the document's catalogue",
    "an action of a page": "page 1",
    "a link that acts": "page 1",
}


@pytest.mark.parametrize("kind", ACTIONS)
def test_a_report_that_acts_is_refused_alone_and_beside_its_evidence(working: Audit, tmp_path: Path, kind: str) -> None:
    report = tmp_path / "report.pdf"
    report.write_bytes(with_action(working.published.report.read_bytes(), kind))
    assert [item.where for item in verify([report])] == [ACTIONS[kind]]


def test_an_action_beside_equal_pages_is_named_beside_the_evidence(working: Audit, tmp_path: Path) -> None:
    report = tmp_path / "report.pdf"
    report.write_bytes(with_action(working.published.report.read_bytes(), "an action on opening"))
    found = verify([report, working.published.evidence])
    assert [(item.where, item.found) for item in found] == [("the document's catalogue", "another /OpenAction")]


def test_a_signature_inside_the_file_is_refused_by_that_name(working: Audit, tmp_path: Path) -> None:
    report = tmp_path / "report.pdf"
    data = working.published.report.read_bytes()
    report.write_bytes(data + b"9 0 obj\n<</Type/Sig/ByteRange[0 10 20 30]/Contents<00>>>\nendobj\n%%EOF\n")
    found = verify([report, working.published.evidence])[0]
    assert found.found.endswith("bytes after the end of the report, with a signature")
    assert "its signature in a file of its own" in found.expected
