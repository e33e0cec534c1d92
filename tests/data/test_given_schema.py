"""A file without column names takes them from its mapping."""

from __future__ import annotations

import pytest

from auditor.exceptions import DataError
from auditor.mapping_files import mapping_from, write_mapping
from auditor.tables import NO_HEADER, Reading, read_table
from auditor.toml_text import parse_toml

FIELD = {"name": "race", "role": "protected", "type": "category", "column": "race"}


def mapping(**reading):
    return mapping_from({"name": "m", "fields": [FIELD], "reading": reading}, where="m.toml")


@pytest.mark.parametrize("mark", [",", ";", "|", "\t"])
def test_the_columns_are_called_as_the_mapping_names_them(tmp_path, mark):
    path = tmp_path / "loans.txt"
    path.write_text("\n".join(mark.join(row) for row in [("7", "Black", "1"), ("8", "White", "0")]))
    reading = mapping(header=False, delimiter=mark, columns=["loan", "race", "approved"]).reading
    table = read_table(path, reading=reading)
    assert table.frame.columns == ["loan", "race", "approved"]
    assert table.frame["race"].to_list() == ["Black", "White"]
    assert "no line of column names: the columns are called as the mapping names them" in table.notes


def test_another_number_of_columns_is_refused(tmp_path):
    path = tmp_path / "loans.csv"
    path.write_text("7,Black,1\n8,White,0\n")
    with pytest.raises(DataError, match=r"has 3 fields in line 1; expected 2, as reading.columns names them"):
        read_table(path, reading=Reading(header=NO_HEADER, columns=("loan", "race")))


@pytest.mark.parametrize(
    ("reading", "line"),
    [
        ({"columns": ["a", "b"]}, "reading.columns: names the columns of a file that has names; expected header"),
        ({"header": False, "columns": ["a", "a"]}, "reading.columns: is .*; expected a list of names, one a column"),
        ({"header": False, "columns": []}, "expected a list of names"),
        ({"header": False, "columns": "a"}, "expected a list of names"),
    ],
)
def test_names_that_are_none_are_refused_in_one_line(reading, line):
    with pytest.raises(DataError, match=line):
        mapping(**reading)


def test_they_are_written_and_read_back_and_leave_other_mappings_as_they_were():
    meaning = mapping(header=False, columns=["loan", "race"])
    assert mapping_from(parse_toml(write_mapping(meaning)), where="m.toml") == meaning
    assert "columns" not in mapping(header=False).design()["reading"]
