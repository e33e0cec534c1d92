"""Files as core banking systems write them: trailers, signs around fields, decisions under conditions."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from auditor.column_meanings import outcome_field
from auditor.exceptions import DataError
from auditor.proposals import Proposed, proposed
from auditor.tables import Reading, propose_reading, read_table
from auditor.tables.streams import text_blocks

CASES = Path(__file__).parent / "cases"
RECORDS = [f"A{at}|{'MF'[at % 2]}|{at * 10}|{('approved', 'declined')[at % 3 == 0]}" for at in range(40)]


def read(folder: Path, text: str, name: str = "t.txt") -> Proposed:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return proposed(path, "t")


@pytest.mark.parametrize("trailer", ["TRL|40", "TRAILER|20241130|40", "EOF", "FTR|40|780", "Record count|40", "99|"])
def test_a_trailer_is_proposed_to_be_left_out(tmp_path: Path, trailer: str) -> None:
    lines = ["HDR|20241130|LOANS", "ID|SEX|AMT|DECISION", *RECORDS, trailer]
    found = read(tmp_path, "\n".join(lines) + "\n")
    assert found.table.frame.height == 40
    reading = found.proposal.mapping.reading
    assert (reading.header, reading.last, reading.delimiter) == (2, 42, "|")


def test_signs_around_every_field_are_said(tmp_path: Path) -> None:
    lines = ["'id','sex','decision'", *[f"'A{at}','{'MF'[at % 2]}','yes'" for at in range(9)]]
    found = read(tmp_path, "\n".join(lines), "t.csv")
    assert [note for note in found.table.notes if note.startswith("every name stands between ' signs")]


@pytest.mark.parametrize(("mark", "said"), [("~|~", True), ("^|^", True), ("|", False), ('"|"', False)])
def test_a_mark_of_several_signs_is_said(tmp_path: Path, mark: str, said: bool) -> None:
    around = '"' if mark == '"|"' else ""
    lines = [around + line.replace("|", mark) + around for line in ["id|sex|amount|decision", *RECORDS]]
    notes = read(tmp_path, "\n".join(lines)).table.notes
    assert bool([note for note in notes if f"separated by {mark!r}" in note]) is said


def test_a_packed_file_under_the_name_of_text_is_refused_with_its_own(tmp_path: Path) -> None:
    path = tmp_path / "loans.csv"
    path.write_bytes(gzip.compress(b"id,sex\n1,M\n"))
    with pytest.raises(DataError, match=r"is gzip data, not CSV; expected .*, or a name that ends in \.csv\.gz$"):
        read_table(path)
    renamed = path.rename(tmp_path / "loans.csv.gz")
    assert read_table(renamed).frame.height == 1


@pytest.mark.parametrize(
    ("value", "side"),
    [
        ("Approved w/ conditions", "favourable"),
        ("Approved with stipulations", "favourable"),
        ("Approved subject to conditions", "favourable"),
        ("Genehmigt mit Auflagen", "favourable"),
        ("Conditionally approved", "favourable"),
        ("Favorable", "favourable"),
        ("Défavorable", "adverse"),
        ("Approved but not accepted", ""),
        ("Counteroffer", ""),
    ],
)
def test_a_decision_under_conditions_is_one(value: str, side: str) -> None:
    column = pl.Series("decision", [value, "Granted", "Rejected", "Pending"] * 5)
    item, said = outcome_field(column)
    sides = {"favourable": item.favourable, "adverse": item.adverse}
    found = [name for name, values in sides.items() if value in (values if isinstance(values, tuple) else (values,))]
    assert found == ([side] if side else [])
    assert any(value in line for line in said) is not bool(side)


@pytest.mark.parametrize(
    ("head", "records", "cause"),
    [
        ("id,sex,decision", ["A1,M,yes,", "A2,F,no,", "A3,M,yes,"], "a header that ends with 1 delimiter more"),
        ("sex,amount,decision", ["1,M,5,yes", "2,F,6,no", "3,M,7,yes"], "leave out that of the row numbers"),
        ("id,rate,decision", ["A1,3,5,yes", "A2,4,5,no", "A3,4,7,yes"], "quotes around numbers with commas"),
        ("id,sex,decision,,", ["A1,M,yes", "A2,F,no", "A3,M,yes"], "a header without the 2 empty names at its end"),
        ("id,sex,decision,day", ["A1,M,yes", "A2,F,no", "A3,M,yes"], "quotes around names with commas"),
    ],
)
def test_records_that_are_all_of_another_width_say_why_they_may_be(
    tmp_path: Path, head: str, records: list[str], cause: str
) -> None:
    with pytest.raises(DataError, match=f"line 2: has . fields, as the records after it have; expected .*{cause}"):
        read(tmp_path, "\n".join([head, *records]), "t.csv")


def test_lines_that_are_no_records_are_none_for_who_reads_block_by_block(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    lines = ["id,sex,amount", "---,----,-----", "A1,M,-5", "\ufeffid,sex,amount", "-A2,F,7", " , ,", "+----+,--,--"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    whole = read_table(path).frame
    streamed = [each.frame for each in text_blocks(path, where="t", reading=Reading(), columns=whole.columns)]
    assert pl.concat(streamed).equals(whole)
    assert whole["id"].to_list() == ["A1", "-A2"]


@pytest.mark.parametrize("said", ["", "cp1252"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-8"])
def test_a_mark_of_order_is_heeded_by_who_reads_block_by_block(tmp_path: Path, encoding: str, said: str) -> None:
    path, reading = tmp_path / "t.csv", Reading(encoding=said)
    path.write_bytes("\ufeffid,Straße,sex\nA1,Große Gasse,M\nA2,Weg,F\n".encode(encoding))
    whole = read_table(path, reading=reading).frame
    streamed = [each.frame for each in text_blocks(path, where="t", reading=reading, columns=whole.columns)]
    assert pl.concat(streamed).equals(whole)
    assert whole.columns == ["id", "Straße", "sex"]


def test_files_put_together_with_their_marks_have_names(tmp_path: Path) -> None:
    lines = ["id,sex,decision", *[f"A{at},{'MF'[at % 2]},{('yes', 'no')[at % 3 == 0]}" for at in range(30)]]
    found = read(
        tmp_path, "\n".join(["\ufeff" + line if line.startswith("id") else line for line in lines * 2]), "t.csv"
    )
    assert found.table.frame.columns == ["id", "sex", "decision"]
    assert found.table.frame.height == 60


@pytest.mark.parametrize("path", sorted(CASES.glob("*/*.csv")), ids=lambda path: path.name)
def test_block_by_block_a_file_gives_the_records_it_gives_whole(path: Path) -> None:
    reading, _ = propose_reading(path, where="t")
    whole = read_table(path, reading=reading).frame
    blocks = text_blocks(path, where="t", reading=reading, columns=whole.columns)
    assert pl.concat([each.frame for each in blocks]).select(whole.columns).equals(whole)
