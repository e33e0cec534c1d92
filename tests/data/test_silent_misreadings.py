"""What was read otherwise than its writer meant, or without effect, and no line said so."""

from __future__ import annotations

import datetime
from pathlib import Path

import openpyxl
import pyarrow
import pyarrow.parquet
import pytest

from auditor.applications import apply_mapping
from auditor.exceptions import DataError
from auditor.mapping_checks import check_mapping
from auditor.mapping_files import mapping_from
from auditor.number_forms import PLAIN_FORM, guess_form
from auditor.tables import Reading, read_table

OUTCOME = {"name": "decision", "role": "outcome", "type": "category", "column": "decision"}
SEX = {"name": "sex", "role": "protected", "type": "category", "column": "sex"}


def table_file(folder: Path, *lines: str, name: str = "loans.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("texts", "said"),
    [(["37.582", "117.064"], True), (["37.582", "12"], True), (["37.582", "1.5"], False), (["0.582", "1.234"], False)],
)
def test_a_point_before_three_digits_everywhere_is_said(texts: list[str], said: bool) -> None:
    guess = guess_form(texts)
    assert guess.form == PLAIN_FORM
    assert ("taken for the decimal mark" in guess.why) is said


@pytest.mark.parametrize("values", [(1, 0), (1.0, "0"), (["1"], [0])])
def test_an_outcome_may_name_its_codes_as_numbers(tmp_path: Path, values: tuple[object, object]) -> None:
    path = table_file(tmp_path, "sex,decision", "F,1", "M,0", "F,1")
    raw = {"name": "m", "fields": [{**OUTCOME, "favourable": values[0], "adverse": values[1]}, SEX]}
    mapping = mapping_from(raw, where="m.toml")
    assert not [line for line in check_mapping(read_table(path), mapping) if line.startswith("stops")]


def test_an_outcome_without_a_favourable_value_is_refused_by_its_key() -> None:
    with pytest.raises(DataError, match=r"favourable: is \[\]; expected a value, or a list of values"):
        mapping_from({"name": "m", "fields": [{**OUTCOME, "favourable": []}]}, where="m.toml")


@pytest.mark.parametrize("name", ["loans.csv", "loans.xlsx"])
def test_a_key_that_a_format_has_no_use_for_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("csv"):
        table_file(tmp_path, "sex,decision", "F,1")
    else:
        book = openpyxl.Workbook()
        book.active.append(["sex", "decision"])
        book.active.append(["F", 1])
        book.save(path)
    useless = [Reading(sheet="x")] if name.endswith("csv") else [Reading(delimiter=";"), Reading(encoding="cp1252")]
    for reading in useless:
        with pytest.raises(DataError, match=rf"reading\.{next(iter(reading.said()))}: is for"):
            read_table(path, reading=reading)


@pytest.mark.parametrize("mark", ["^", "#", "    ", "~"])
def test_one_column_with_another_separator_in_its_name_is_said(tmp_path: Path, mark: str) -> None:
    path = table_file(tmp_path, mark.join(("id", "sex", "decision")), mark.join(("1", "F", "yes")))
    assert any(f"if {mark!r} is meant to separate fields" in note for note in read_table(path).notes)
    assert not read_table(table_file(tmp_path, "loan decision", "yes")).notes


def test_a_total_among_the_records_is_said_with_its_line(tmp_path: Path) -> None:
    path = table_file(tmp_path, "id,sex,income", "1,F,10", "Total:,,10", "2,M,20", "3,F,5")
    assert any("line 3 ('Total')" in note for note in read_table(path).notes)
    whole = table_file(tmp_path, "id,kind,income", "1,Total,10", "2,Sum,20", "3,Total,5")
    assert not read_table(whole).notes


@pytest.mark.parametrize("other", ["f", "F\u200b", "\uff26", "F\u00ad"])
def test_groups_that_look_alike_are_a_line(tmp_path: Path, other: str) -> None:
    path = table_file(tmp_path, "sex,decision", "F,yes", f"{other},no", "M,no")
    mapping = mapping_from({"name": "m", "fields": [{**OUTCOME, "adverse": "no"}, SEX]}, where="m.toml")
    lines = [line for line in check_mapping(read_table(path), mapping) if "look alike" in line]
    assert len(lines) == 1
    assert ascii(other) in lines[0]
    assert "'M'" not in lines[0]


def test_times_in_an_offset_stop_only_who_uses_them_and_are_refused_by_their_zone(tmp_path: Path) -> None:
    path = tmp_path / "loans.parquet"
    times = pyarrow.array([datetime.datetime(2024, 3, 31)], pyarrow.timestamp("us", "+05:30"))
    pyarrow.parquet.write_table(pyarrow.table({"sex": ["F"], "asked": times}), path)
    table = read_table(path)
    assert table.frame.columns == ["sex"]
    mapping = mapping_from({"name": "m", "fields": [SEX, {**SEX, "name": "asked", "column": "asked"}]}, where="m.toml")
    with pytest.raises(DataError, match=r"'asked'.* holds times in the zone '\+05:30'.*; expected times in UTC"):
        apply_mapping(table, mapping, source="x", file_sha256="")
