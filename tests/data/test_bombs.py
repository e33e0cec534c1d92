"""A small file that would cost much time or memory is refused in one line, before it does."""

from __future__ import annotations

import io
import resource
import time
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from auditor.exceptions import DataError
from auditor.mapping_files import mapping_from, read_mapping
from auditor.number_forms import NumberForm, guess_form
from auditor.tables import Limits, read_table
from auditor.tables.parquet import parse_parquet
from auditor.tables.text import parse_text
from auditor.tables.workbooks import parse_workbook
from auditor.toml_text import MAX_PARTS, parse_toml
from tests.data import bombs
from tests.data.books import workbook

SECONDS = 2.0  # of processor time; what is quadratic takes minutes
GROWTH = 200 << 10  # KiB of memory


def refusal(read: Callable[..., object], raw: bytes, **options: object) -> str:
    """The line, without the growth and time that the file asks for."""
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(DataError) as caught:
        read(raw, where="x", **options)
    assert time.process_time() - begun < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GROWTH
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400
    return text.removeprefix("x: ")


BOOKS = {
    "cells that are never closed": (bombs.open_cells(80_000), "xl/worksheets/sheet1.xml: is not valid XML ("),
    "one text shown often": (bombs.shared_text(500, 20 << 20), "xl/worksheets/sheet1.xml: has more characters"),
    "entities": (bombs.laughs(), "xl/worksheets/sheet1.xml: has a document type ('x'); expected plain XML"),
    "a cell far away, hidden": (bombs.hidden_cell("ZZZ9999999"), "xl/worksheets/sheet1.xml: has more columns"),
    "cells without places": (bombs.cells_without_places(1_001), "xl/worksheets/sheet1.xml: has more columns"),
}


@pytest.mark.parametrize(("raw", "line"), BOOKS.values(), ids=BOOKS.keys())
def test_a_workbook_that_would_cost_much_is_refused_at_once(raw: bytes, line: str) -> None:
    assert refusal(parse_workbook, raw).startswith(line)


def test_text_that_cells_share_counts_once_a_cell() -> None:
    raw = bombs.shared_text(10, 100)
    assert parse_workbook(raw, where="x", limits=Limits(characters=1_100)).frame.shape == (10, 1)
    assert refusal(parse_workbook, raw, limits=Limits(characters=999)).endswith("expected at most 999 characters")


@pytest.mark.parametrize("make", [bombs.one_text, bombs.one_category])
def test_parquet_that_unpacks_to_much_text_is_refused_before_it_does(make: Callable[[int, int], bytes]) -> None:
    raw = make(20_000, 200_000)
    assert len(raw) < 200_000
    expected = "has more characters than can be read; expected at most 268,435,456 characters"
    assert refusal(parse_parquet, raw) == expected


@pytest.mark.parametrize("kind", ["date", "ms", "us"])
def test_a_date_that_no_calendar_holds_is_named(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    line = refusal(parse_parquet, bombs.far_dates(kind))
    assert "column 'a': holds a date beyond the years 1 to 9999 in row" in line
    assert capfd.readouterr().err == "", "no trace of the library"


def test_a_sheet_that_nothing_refers_to_is_never_read() -> None:
    assert parse_workbook(bombs.elsewhere("A9999999"), where="x").frame.to_dict(as_series=False) == {"a": [1]}


def test_merged_ranges_cost_no_more_than_their_rows() -> None:
    raw = bombs.merged(100_001)
    assert refusal(parse_workbook, raw) == (
        "xl/worksheets/sheet1.xml: has more merged cells than can be read; expected at most 100,000"
    )


@pytest.mark.parametrize(("place", "value"), [(16, 0xFFFFFFF0), (16, 0), (12, 0xFFFFFFF0), (12, 0)])
def test_a_directory_that_points_elsewhere_is_one_line(place: int, value: int) -> None:
    bad = bytearray(workbook({"a": [["a"], [1]]}))
    end = bad.rindex(b"PK\x05\x06")
    bad[end + place : end + place + 4] = value.to_bytes(4, "little")
    assert refusal(parse_workbook, bytes(bad)).endswith("expected an Excel workbook (.xlsx)")


def test_a_name_of_a_column_is_short() -> None:
    line = "line 1: the name of column 2 has 201 characters; expected at most 200"
    assert refusal(parse_text, b"a," + b"b" * 201 + b"\n1,2\n") == line


def test_utf_8_is_checked_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.tables.encodings.BLOCK_BYTES", 4)
    assert parse_text("a,b\nä,€\n".encode(), where="x").frame.row(0) == ("ä", "€")
    for cut in (b"a,b\n1,\xe2\x82", b"a,b\nabc\xff,1\n"):
        place = cut.index(b"\xe2" if b"\xe2" in cut else b"\xff") + 1
        assert f"line 2: byte 0x{cut[place - 1]:02x} at position {place} is not UTF-8" in refusal(parse_text, cut)


TOML = {
    "nested arrays": "a = " + "[" * 5_000 + "]" * 5_000,
    "nested tables": "a = " + "{a = " * 500 + "1" + "}" * 500,
    "a huge number": "a = " + "9" * 50_000,
    "a huge number in hex": "a = 0x" + "f" * 50_000,
    "a key of many parts": "a" + ".a" * 100_000 + " = 1",
    "a key of many quoted parts": '"a"' + ' . "a"' * 100_000 + " = 1",
    "a table of many parts": "[a" + ".a" * 100_000 + "]",
    "escaped quotes": 'a = """' + '\\"""' * 200_000,
    "quotes": 'a = "' + '\\"' * 300_000,
    "too long": "a = 1\n" * 200_000,
    "nothing known": "a = 1979-99-99",
}


@pytest.mark.parametrize("text", TOML.values(), ids=TOML.keys())
def test_toml_that_the_parser_does_not_get_through_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    begun = time.process_time()
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        parse_toml(text)
    assert "\n" not in str(caught.value)
    path = tmp_path / "m.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="is not valid TOML"):
        read_mapping(path)
    assert time.process_time() - begun < SECONDS


def test_dots_and_brackets_in_text_are_text() -> None:
    text = f'a = "{"x." * MAX_PARTS * 2}"\nb = \'{"[" * 99}\' # {"9" * 999}\nc = """{"{" * 99}"""\nd = [1.5, 2.5]\n'
    assert parse_toml(text) == tomllib.loads(text)


@pytest.mark.parametrize("key", ["scale", "missing_from", "decimals"])
def test_a_number_beyond_every_float_is_named(key: str) -> None:
    field = {"name": "a", "role": "predictor", "type": "number", "column": "a", key: 10**400}
    with pytest.raises(DataError, match=rf"m: fields\[0\]: {key}: is a whole number of 1,329 bits; expected a"):
        mapping_from({"fields": [field]}, where="m")


def test_a_workbook_of_many_parts_or_sizes_is_refused(tmp_path: Path) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in range(6):
            archive.writestr(f"xl/{part}.xml", bytes(100 << 20))
    path = tmp_path / "a.xlsx"
    path.write_bytes(target.getvalue())
    with pytest.raises(DataError, match="unpacks to 600 MiB; expected at most 512 MiB"):
        read_table(path)


def test_a_column_of_lists_is_left_unread() -> None:
    target = io.BytesIO()
    pl.DataFrame({"a": [[0] * 1_000], "b": ["x"]}).write_parquet(target)
    found = parse_parquet(target.getvalue(), where="x")
    assert found.frame.columns == ["b"]
    assert found.unreadable["a"][0] == "holds values of type List(Int64)"


PATTERNS = {
    "open brackets": "(" * 40 + "1",
    "groups of digits": "1," * 19 + "1",
    "spaces": "$" + " " * 38 + "1",
    "signs": "-" * 39 + "1",
}


@pytest.mark.parametrize("text", PATTERNS.values(), ids=PATTERNS.keys())
def test_text_that_is_nearly_a_number_takes_no_time(text: str) -> None:
    begun = time.process_time()
    for _ in range(2_000):
        guess_form([text, text[1:], text[:-1]])
        NumberForm(thousands=",").number(text * 50)
    assert time.process_time() - begun < SECONDS
