"""Text as programs of several countries write it: marks of order, encodings and kinds of file, each said or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.exceptions import DataError
from auditor.proposals import proposed
from auditor.tables import read_table
from auditor.tables.encodings import likely_encoding

WESTERN = "id,name\n" + "".join(f"{n},{name}\n" for n, name in enumerate(["Müller", "José", "für", "Núñez", "Søren"]))
POLISH = "id,płeć\n1,mężczyzna\n2,kobieta\n3,żółć\n"
RUSSIAN = "номер,пол\n1,женский\n2,мужской\n"
JAPANESE = "申込番号,性別\n1,女性\n2,男性\n3,ダミー\n"


def file_of(folder: Path, raw: bytes) -> Path:
    path = folder / "loans.csv"
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (WESTERN, "cp1252"),
        (WESTERN, "cp850"),
        (POLISH, "cp1250"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (JAPANESE, "cp932"),
        (WESTERN, "utf-16-le"),
        (JAPANESE + "a,b\n" * 40, "utf-16-be"),
    ],
)
def test_the_encoding_is_proposed_that_gives_the_text_back(tmp_path: Path, text: str, encoding: str) -> None:
    path = file_of(tmp_path, text.encode(encoding))
    with pytest.raises(DataError, match=rf'encoding = "{encoding}" under \[reading\]'):
        read_table(path)
    found = proposed(path, "loans")
    assert found.proposal.mapping.reading.encoding == encoding
    assert found.table.frame.write_csv() == text
    assert any(line.startswith("encoding: ") for line in found.proposal.lines())


def test_bytes_that_nothing_can_be_said_of_name_the_key_and_its_values(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"as encoding under \[reading\]: utf-8, .*big5"):
        read_table(file_of(tmp_path, b"id,\x81\x8d\x90\x9d\n1,2\n"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_a_second_mark_of_order_is_no_letter_of_a_name(tmp_path: Path, encoding: str) -> None:
    table = read_table(file_of(tmp_path, ("\ufeff\ufeffid,sex\n1,F\n").encode(encoding)))
    assert table.frame.columns == ["id", "sex"]
    assert any("second mark of order" in note for note in table.notes)


@pytest.mark.parametrize("unseen", ["\u200b", "\ufeff", "\u2060", "\u200e", "\u00ad"])
def test_characters_that_nobody_sees_are_no_part_of_a_name(tmp_path: Path, unseen: str) -> None:
    table = read_table(file_of(tmp_path, f"id,{unseen}sex{unseen}\n1,F\n".encode()))
    assert table.frame.columns == ["id", "sex"]


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"<html><table><tr><td>id</td></tr></table></html>\n", "HTML or XML"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<rows/>\n', "HTML or XML"),
        (b'{"id": 1, "sex": null}\n{"id": 2}\n', "JSON"),
        (b'[\n  {"id": 1}\n]\n', "JSON"),
        ("id,sex\n1,F\n".encode("utf-32"), "text in UTF-32"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "an .xls workbook"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_its_kind(tmp_path: Path, raw: bytes, kind: str) -> None:
    with pytest.raises(DataError, match=rf"is {kind}, not CSV"):
        read_table(file_of(tmp_path, raw))


def test_a_file_that_begins_with_a_bracket_is_text(tmp_path: Path) -> None:
    assert read_table(file_of(tmp_path, b"{id},<b>\n1,2\n")).frame.columns == ["{id}", "<b>"]


def test_cells_written_for_spreadsheets_to_leave_alone_lose_their_guard(tmp_path: Path) -> None:
    table = read_table(file_of(tmp_path, b'id,zip,note\n="001",="02134","=""x"""\n="002",="02135",y\n'))
    assert table.frame["zip"].to_list() == ["02134", "02135"]
    assert table.frame["note"].to_list() == ['="x"', "y"]
    assert sum("read as the text within" in note for note in table.notes) == 2


@pytest.mark.parametrize(
    "body", ["ID SEX     INCOME\n-- --- ----------\n1 F        10\n2 M        20\n3 F         5\n"]
)
def test_columns_aligned_by_blanks_are_said(tmp_path: Path, body: str) -> None:
    assert any("several blanks between words" in note for note in read_table(file_of(tmp_path, body.encode())).notes)


def test_two_encodings_in_one_file_are_said() -> None:
    utf8, windows = ("".join(f"{at},J\u00f6rg,M\n" for at in range(9)).encode(each) for each in ("utf-8", "cp1252"))
    name, why = likely_encoding(b"id,name,sex\n" + utf8 + windows)
    assert name == "cp1252"
    assert "; 9 other characters are UTF-8 and become two or three letters each: write the parts" in why
    assert "UTF-8 and become" not in likely_encoding(b"id,name,sex\n" + windows)[1]
