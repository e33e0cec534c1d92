"""Reports and bundles made to cost much are refused in one line, in little memory and time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pikepdf
import pytest

from auditor.canonical import canonical_json
from reports.bundle import media_type
from reports.pdf.opening import MOST_OBJECTS, opened
from reports.publish import write_manifest
from reports.verification import verify
from tests.reports import bombs
from tests.reports.conftest import Audit

MIB = 150
"""A tenth of what the smallest of them took."""

MEASURED = """
import json, resource, sys, time
from pathlib import Path
from reports.verification import verify
import reports.charts, reports.pdf
for path in sys.argv[1:]:
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    found = [str(item) for item in verify([Path(path)])]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"found": found, "mib": grown >> 10, "seconds": time.process_time() - begun}))
"""


def with_table(working: Audit, folder: Path, raw: bytes) -> Path:
    """The evidence with other decisions, listed in a manifest made for them."""
    shutil.copytree(working.folder, folder, ignore=shutil.ignore_patterns("decisions.parquet"))
    write_manifest(folder)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    from auditor.canonical import sha256_bytes

    kind = media_type("decisions.parquet")
    line = {"file": "decisions.parquet", "sha256": sha256_bytes(raw), "size": len(raw), "media_type": kind}
    (folder / "decisions.parquet").write_bytes(raw)
    lines = sorted([*manifest["files"], line], key=lambda each: str(each["file"]))
    (folder / "manifest.json").write_bytes(canonical_json({**manifest, "files": lines}))
    return folder


def test_each_bomb_is_refused_in_one_line_in_little_memory_and_time(working: Audit, tmp_path: Path) -> None:
    made: dict[str, tuple[Path, str]] = {}
    for name, raw, words in (
        ("numbers", bombs.numbers_in_a_pdf(), "no readable PDF"),
        ("brackets", bombs.brackets_in_a_pdf(), "no readable PDF"),
    ):
        path = tmp_path / f"{name}.pdf"
        path.write_bytes(sealed_around(raw))
        made[name] = (path, words)
    for name, raw, words in (
        ("rows", bombs.many_rows(), "has more rows than can be read"),
        ("columns", bombs.many_columns(), "has more columns than can be read"),
        ("text", bombs.long_text(), "has more characters than can be read"),
    ):
        made[name] = (with_table(working, tmp_path / name, raw), words)
        assert len(raw) < 2_000_000, name
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *(str(path) for path, _ in made.values())],
        check=True,
        capture_output=True,
        text=True,
    )
    for (name, (_, words)), line in zip(made.items(), done.stdout.splitlines(), strict=True):
        told = json.loads(line)
        assert len(told["found"]) == 1, (name, told)
        assert words in told["found"][0], (name, told)
        assert "\n" not in told["found"][0]
        assert told["mib"] < MIB, (name, told)
        assert told["seconds"] < 20, (name, told)


def sealed_around(raw: bytes) -> bytes:
    """A PDF with the hash of its own bytes, as whoever makes one for a reader that looks there first."""
    from reports.pdf.attach import UNSEALED, seal

    return seal(raw + b"%<; " + UNSEALED.encode() + b"<\n")


def test_a_stream_of_objects_as_large_as_a_report_has_them_is_read() -> None:
    with opened(bombs.packed_objects(b"[" + b"1 " * 40_000 + b"]")) as pdf:
        assert len(pdf.Root.Pages.X) == 40_000
    with pytest.raises(pikepdf.PdfError), opened(bombs.packed_objects(b"(" + b"a" * MOST_OBJECTS + b")")):
        pass


def test_other_pdfs_of_this_process_are_read_without_these_limits() -> None:
    from pikepdf.settings import get_qpdf_limits

    before = get_qpdf_limits()
    with pytest.raises(pikepdf.PdfError), opened(b"no pdf"):
        pass
    assert get_qpdf_limits() == before


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


LONG: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "a title": ("packs", lambda packs: [{**packs[0], "name": "n" * 5_000}, *packs[1:]], "5,000 characters"),
    "a finding's text": (
        "findings",
        lambda rows: [{**rows[0], "recommendation": "word " * 100_000}],
        "500,000 characters",
    ),
    "findings": ("findings", lambda rows: rows * 5_000, "5,000 entries"),
    "measurements": ("measurements", lambda rows: rows * 2_000, "entries"),
    "a count": (
        "measurements",
        lambda rows: [{**rows[0], "counts": {"k": 10**400}}, *rows[1:]],
        "a number beyond all counts",
    ),
    "a key": ("controls", lambda controls: {**controls, "k" * 1_000: 1}, "a key of 1,000 characters"),
    "depth": ("environment", lambda record: {**record, "more": deep(60)}, "values within values"),
}


@pytest.mark.parametrize("kind", LONG)
def test_a_record_that_is_longer_than_a_run_writes_it_is_refused_by_its_place(
    working: Audit, tmp_path: Path, kind: str
) -> None:
    record, change, words = LONG[kind]
    folder = tmp_path / "evidence"
    shutil.copytree(working.folder, folder)
    path = folder / f"{record}.json"
    changed = change(json.loads(path.read_bytes()))
    # The writer of canonical JSON refuses whole numbers that no float holds; a forger's does not.
    path.write_text(json.dumps(changed, separators=(",", ":")), encoding="utf-8")
    write_manifest(folder)
    found = verify([folder])
    assert len(found) == 1
    assert found[0].where.startswith(f"{record}.json")
    assert words in found[0].found
    assert len(str(found[0])) < 400


def test_a_plan_whose_title_would_fill_pages_is_no_plan() -> None:
    from auditor.exceptions import PlanError
    from tests.engine.small import small_plan

    with pytest.raises(PlanError, match="title"):
        small_plan(title="word " * 100)


def test_a_file_larger_than_any_report_is_refused_before_it_is_read(tmp_path: Path) -> None:
    from auditor.exceptions import InputError

    large = tmp_path / "report.pdf"
    with large.open("wb") as stream:
        stream.truncate(5 << 30)
    with pytest.raises(InputError, match=r"has 5,368,709,120 bytes; expected at most"):
        verify([large])
