"""A first line that is a record, and last lines that are records: what is proposed and asked, and what is not."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

from auditor.exceptions import DataError
from auditor.mapping_files import mapping_from, read_mapping
from auditor.mappings import DataMapping
from auditor.proposals import proposed
from auditor.reading_guesses import likely_last, record_in_header
from auditor.tables import NO_HEADER, Reading, read_table

RAW = {"name": "m", "fields": [{"name": "s", "role": "protected", "type": "category", "column": "s"}]}
RECORDS = ["A01,620,F,yes", "A02,580,M,no", "A03,700,F,yes", "A04,640,M,yes"]


def file_of(folder: Path, *lines: str, name: str = "loans.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_file_without_names_is_proposed_with_every_record_and_the_reason(tmp_path: Path) -> None:
    found = proposed(file_of(tmp_path, *RECORDS), "x")
    assert found.proposal.mapping.reading == Reading(header=NO_HEADER)
    assert found.table.frame.rows()[0] == ("A01", "620", "F", "yes")
    assert found.table.place(0) == "line 1"
    assert any(
        line == "header: line 1 seems to be a record and not the column names: '620' stands above numbers in column 2"
        for line in found.proposal.lines()
    )


def test_without_the_key_it_is_refused_and_both_ways_are_named(tmp_path: Path) -> None:
    path = file_of(tmp_path, *RECORDS)
    with pytest.raises(DataError) as caught:
        read_table(path)
    assert str(caught.value) == (
        f"{path}: line 1: seems to be a record and not the column names: '620' stands above numbers in column 2; "
        "expected header = false under [reading] if the file has no names, or header = 1 if these are they"
    )
    assert read_table(path, reading=Reading(header=1)).frame.columns == ["A01", "620", "F", "yes"]


def test_the_key_is_written_and_read_as_false_and_is_part_of_the_hash(tmp_path: Path) -> None:
    found = proposed(file_of(tmp_path, *RECORDS), "x").proposal
    path = tmp_path / "m.toml"
    path.write_text(found.text(), encoding="utf-8")
    assert "\nheader = false\n" in found.text()
    mapping: DataMapping = read_mapping(path)
    assert mapping == found.mapping
    assert mapping.design()["reading"] == {"header": False}
    with pytest.raises(DataError, match=r"reading.header: is True; expected the number of a line"):
        mapping_from({**RAW, "reading": {"header": True}}, where="m")


def test_a_sheet_without_names_too(tmp_path: Path) -> None:
    path = tmp_path / "loans.xlsx"
    book = openpyxl.Workbook()
    for record in ([620, "F", "yes"], [580, "M", "no"], [700, "F", "yes"]):
        book.active.append(record)
    book.save(path)
    found = proposed(path, "x")
    assert found.proposal.mapping.reading == Reading(header=NO_HEADER)
    assert found.table.frame.rows() == [(620, "F", "yes"), (580, "M", "no"), (700, "F", "yes")]
    assert found.table.place(0, "column 2") == "cell B1"


@pytest.mark.parametrize(
    "lines",
    [
        ["id,score,sex", "1,620,F", "2,580,M"],
        ["country,2019,2020,2021", "France,1.5,2.5,3", "Spain,4,5,6"],
        ["0,1,2", "620,F,yes", "580,M,no"],
        ["name,town", "Ann,Bath", "Bob,York"],
        ["sex,decision", "F,yes", "sex,decision", "M,no"],
        ["id,score,sex", "1,620,F", "id,score,sex", *[f"{n},600,M" for n in range(2, 20)]],
    ],
)
def test_names_are_not_taken_for_a_record(lines: list[str]) -> None:
    assert not record_in_header([(at, line.split(",")) for at, line in enumerate(lines, start=1)])


@pytest.mark.parametrize(
    "lines",
    [
        ["620,F", "580,M"],
        ["Ann,F,yes", "Bob,M,no", "Cid,F,no"],
        ["A1,,620", "A2,x,580"],
        ["$39,375.00;18%".replace(",", ""), "$10;20%"],
    ],
)
def test_a_record_is_not_taken_for_names(lines: list[str]) -> None:
    mark = ";" if ";" in lines[0] else ","
    assert record_in_header([(at, line.split(mark)) for at, line in enumerate(lines, start=1)])


@pytest.mark.parametrize("mark", [";", "|", "\t"])
def test_records_with_another_delimiter_are_named_and_not_proposed_away(tmp_path: Path, mark: str) -> None:
    odd = [line.replace(",", mark) for line in ("A05,600,F,no", "A06,610,M,no")]
    path = file_of(tmp_path, "id,score,sex,decision", *RECORDS, *odd)
    with pytest.raises(DataError) as caught:
        proposed(path, "x")
    assert str(caught.value) == (
        f"{path}: line 6: has 1 field: 2 records (line 6, 7) would fit with {mark!r} between fields; "
        "expected 4, as in the header, line 1, one delimiter throughout"
    )


def test_a_record_that_is_cut_after_its_id_is_named_and_not_proposed_away(tmp_path: Path) -> None:
    path = file_of(tmp_path, "id,score,sex,decision", *RECORDS, "A05")
    with pytest.raises(DataError, match=r"line 6: has 1 field; expected 4"):
        proposed(path, "x")


@pytest.mark.parametrize("footer", ["Source: loan desk", "Total: 4", "(end)", "printed 2024-05-01, page 1 of 1"])
def test_a_line_below_the_table_still_is(footer: str) -> None:
    records = [(at, line.split(",")) for at, line in enumerate(["id,score,sex,decision", *RECORDS], start=1)]
    assert likely_last([*records, (6, [footer])], 4) == 5
