"""Names that others chose stand in what a command tells, and a terminal obeys none of them."""

from __future__ import annotations

import logging
import sys
import zipfile
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from hypothesis import given
from hypothesis import strategies as st

from compliance.execution.progress import TerminalProgress
from compliance.shown import TURNING, LineFormatter, one_line, shown

UP_AND_OVER = "a\x1b[1A\x1b[2Kreport.pdf: unchanged"
NAMES = {
    "moves the cursor": (UP_AND_OVER, r"a\x1b[1A\x1b[2Kreport.pdf: unchanged"),
    "is a line of its own": ("a\nreport.pdf: unchanged: set again", "a report.pdf: unchanged: set again"),
    "goes back to its beginning": ("a\rreport.pdf: unchanged", "a report.pdf: unchanged"),
    "by one byte": ("a\x9b1Areport", r"a\x9b1Areport"),
    "is read backwards": ("a\u202efdp.troper", r"a\u202efdp.troper"),
    "is separated": ("a\u2028report.pdf: unchanged", "a report.pdf: unchanged"),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_in_an_archive_cannot_paint_over_what_verify_says(name: str, simulated: Path, tmp_path: Path) -> None:
    given, wanted = NAMES[name]
    archive = tmp_path / "evidence.zip"
    archive.write_bytes((simulated / "evidence.zip").read_bytes())
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr(given, b"{}")
    out, err = StringIO(), StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("verify", str(archive), stdout=out, stderr=err)
    said = err.getvalue()
    assert (ended.value.code, out.getvalue()) == (1, "")
    # The simulated run names other code than is installed, and that is said first; the odd file has one line.
    maker, line = said.splitlines()
    assert maker.startswith("evidence.zip: was made by other code than is installed")
    assert line.startswith("evidence.zip: ")
    assert wanted in line
    assert not {"\x1b", "\r", "\x9b", *TURNING} & set(said)


@given(st.text())
def test_what_is_shown_obeys_nothing_and_what_is_plain_stays(text: str) -> None:
    assert shown(shown(text)) == shown(text)
    assert all(character.isprintable() or character not in "\x00\x07\x1b\x7f\x9b\r" for character in shown(text))
    assert not TURNING & set(shown(text))
    assert len(one_line(text).splitlines()) <= 1
    plain = "Ärger – 12 % ≤ 3\u202f000: naïve, 日本, עברית\n"
    assert shown(plain) == plain


def test_a_column_cannot_speak_above_the_bar_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    TerminalProgress().say(f"column '{UP_AND_OVER}'")
    assert capsys.readouterr().err == "column 'a\\x1b[1A\\x1b[2Kreport.pdf: unchanged'\n"


def test_text_that_programs_read_is_written_as_it_is() -> None:
    from django.core.management.base import OutputWrapper

    from compliance.management.lines import Lines

    out = StringIO()
    Lines(OutputWrapper(out)).exactly('name = "\u202ea"\n')
    assert out.getvalue() == 'name = "\u202ea"\n'


def test_a_name_in_the_log_writes_no_line_of_its_own_and_a_trace_keeps_its_lines() -> None:
    line = LineFormatter("{levelname} {name}: {message}", style="{")
    try:
        raise ValueError(UP_AND_OVER)
    except ValueError:
        trace = sys.exc_info()
    name = "x\nINFO compliance: A-0001 was approved"
    record = logging.LogRecord("compliance", logging.ERROR, "x.py", 1, "%s crashed", (name,), trace)
    first, *rest = line.format(record).split("\n")
    assert first == "ERROR compliance: x\\nINFO compliance: A-0001 was approved crashed"
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-1] == r"ValueError: a\x1b[1A\x1b[2Kreport.pdf: unchanged"


def test_the_log_of_an_installation_is_written_so() -> None:
    (handler,) = settings.LOGGING["handlers"].values()
    assert settings.LOGGING["formatters"][handler["formatter"]]["class"] == "compliance.shown.LineFormatter"
