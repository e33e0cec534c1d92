"""Lines that no table has as records: rules, names once more, totals, second names; left out or said by line."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

from auditor.applications import apply_mapping
from auditor.exceptions import DataError
from auditor.mapping_checks import check_mapping
from auditor.proposals import proposed
from auditor.tables import Reading, read_table

NAMES = "id,gender,income,decision"
RECORDS = [f"{n},{'FM'[n % 2]},{1000 * n}.5,{('approved', 'denied')[n % 3 == 0]}" for n in range(1, 13)]


def text_file(folder: Path, *lines: str, name: str = "loans.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def book_file(folder: Path, *lines: str) -> Path:
    book = openpyxl.Workbook()
    for line in lines:
        book.active.append([float(cell) if cell[:1].isdigit() else cell or None for cell in line.split(",")])
    path = folder / "loans.xlsx"
    book.save(path)
    return path


WRITERS = [text_file, book_file]


@pytest.mark.parametrize("write", WRITERS)
def test_names_that_stand_once_more_are_no_record(tmp_path: Path, write: object) -> None:
    path = write(tmp_path, NAMES, *RECORDS[:6], NAMES.replace("id", " id "), *RECORDS[6:])  # type: ignore[operator]
    found = proposed(path, "loans")
    unit = found.table.unit
    assert found.table.frame.height == 12
    assert found.table.left_out == {f"{unit}s with the column names again": 1}
    assert f"1 {unit} with the column names again left out: 8" in found.table.notes
    assert {item.name: item.type for item in found.proposal.mapping.fields}["income"] == "number"
    applications = apply_mapping(found.table, found.proposal.mapping, source="x", file_sha256="")
    assert applications.counts.no_outcome == {}
    assert any("column names again" in line for line in check_mapping(found.table, found.proposal.mapping))


def test_files_put_together_repeat_the_mark_of_order_with_the_names(tmp_path: Path) -> None:
    path = text_file(tmp_path, NAMES, *RECORDS, "\ufeff" + NAMES, "13,F,1,denied")
    assert read_table(path).frame["id"].to_list()[-2:] == ["12", "13"]


@pytest.mark.parametrize("rule", ["--,------,------,--------", "----+----+----", "==========", "___ ___"])
def test_rules_are_no_records(tmp_path: Path, rule: str) -> None:
    path = text_file(tmp_path, NAMES, rule, *RECORDS)
    table = read_table(path)
    assert (table.frame.height, dict(table.left_out)) == (12, {"lines of dashes": 1})
    assert "1 line of dashes left out: 2" in table.notes


@pytest.mark.parametrize("cell", ["--", "-", "|", "+1", "- 5"])
def test_a_cell_of_dashes_among_others_or_alone_is_a_value(tmp_path: Path, cell: str) -> None:
    assert read_table(text_file(tmp_path, "note", cell)).frame["note"].to_list() == [cell]
    assert read_table(text_file(tmp_path, "note,kind", f"{cell},x")).frame["note"].to_list() == [cell]


def test_a_list_drawn_with_bars_is_proposed_by_its_names(tmp_path: Path) -> None:
    rule = "-" * 30
    drawn = [f"|{line.replace(',', '|')}|" for line in (NAMES, *RECORDS)]
    path = text_file(tmp_path, "Table: LOANS", "", rule, drawn[0], rule, *drawn[1:], rule, name="list.txt")
    found = proposed(path, "list")
    assert found.proposal.mapping.reading == Reading(header=4, delimiter="|")
    assert found.table.frame.columns == NAMES.split(",")
    assert found.table.frame.height == 12


@pytest.mark.parametrize(
    "first",
    [
        "Grand Total",
        "Total (12)",
        "Summe:",
        "Total général",
        "Suma total",
        "Gesamtergebnis",
        "合計",
        "Итого",
        "Count: 12",
    ],
)
def test_a_total_that_fills_every_column_is_proposed_to_be_left_out_and_said(tmp_path: Path, first: str) -> None:
    path = text_file(tmp_path, NAMES, *RECORDS, f"{first},12,1,12")
    assert any("line 14 seems to be a total" in note for note in read_table(path).notes)
    assert proposed(path, "loans").proposal.mapping.reading == Reading(last=13)


def test_a_group_called_total_is_no_total(tmp_path: Path) -> None:
    path = text_file(tmp_path, "company,income", *(f"{name},5" for name in ("Shell", "Total", "Eni", "Total")))
    assert not read_table(path).notes
    assert proposed(path, "companies").proposal.mapping.reading == Reading()


@pytest.mark.parametrize("write", WRITERS)
def test_names_above_the_names_are_asked_for_even_if_they_fill_half_the_columns(tmp_path: Path, write: object) -> None:
    path = write(tmp_path, "Applicant,,Loan,", NAMES, *RECORDS)  # type: ignore[operator]
    with pytest.raises(DataError, match=r"2 of 4 columns have no name.*expected header = 2 under \[reading\]"):
        read_table(path)
    assert proposed(path, "loans").proposal.mapping.reading == Reading(header=2)


def test_merged_names_above_the_names_name_the_row_below_them(tmp_path: Path) -> None:
    path = book_file(tmp_path, "Applicant,,Loan,", NAMES, *RECORDS)
    book = openpyxl.load_workbook(path)
    book.active.merge_cells("A1:B1")
    book.active.merge_cells("C1:D1")
    book.save(path)
    assert proposed(path, "loans").proposal.mapping.reading == Reading(header=2)


@pytest.mark.parametrize("second", [",,EUR,", "Nr,Sex,Income,Outcome"])
def test_a_second_line_of_names_or_units_is_said(tmp_path: Path, second: str) -> None:
    table = read_table(text_file(tmp_path, NAMES, second, *RECORDS))
    assert any(note.startswith("line 2 seems to hold names or units, and counts as a record") for note in table.notes)


def test_a_first_record_that_states_no_number_is_a_record(tmp_path: Path) -> None:
    assert not read_table(text_file(tmp_path, NAMES, "a1,F,NA,denied", *(f"a{line}" for line in RECORDS))).notes


def test_a_first_line_of_numbers_and_words_is_asked_about(tmp_path: Path) -> None:
    path = text_file(tmp_path, "1,Bank,2022,4,Jane,555,08540", *(f"2,B4TY,LEI{n},1,2,1,x" for n in range(9)))
    with pytest.raises(DataError, match=r"line 1: seems to be a record .*: 5 of its 7 cells are numbers, such as '1'"):
        read_table(path)
    found = proposed(path, "lar")
    assert found.proposal.mapping.reading.header == -1
    assert not any("line 0" in line for line in found.proposal.lines())


def test_names_that_are_rising_numbers_are_names(tmp_path: Path) -> None:
    path = text_file(tmp_path, "who,30,60,90,120", "a,x,y,z,w", "b,x,y,z,w")
    assert read_table(path).frame.columns == ["who", "30", "60", "90", "120"]
