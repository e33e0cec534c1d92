"""Files as core banking systems write them: trailers, signs around fields, decisions under conditions."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from auditor.column_meanings import outcome_field
from auditor.exceptions import DataError
from auditor.proposals import Proposed, proposed
from auditor.tables import read_table

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
