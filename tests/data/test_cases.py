"""Small files as people have them, beside this test: what is proposed, said, read and refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from auditor.applications import Applications, apply_mapping
from auditor.exceptions import DataError
from auditor.mapping_checks import STOPS, check_mapping
from auditor.mapping_files import mapping_from, read_mapping
from auditor.mapping_inference import Proposal
from auditor.mappings import DataMapping, Field
from auditor.proposals import Proposed, proposed
from auditor.tables import Reading, read_table
from tests.data.books import workbook

CASES = Path(__file__).parent / "cases"


def propose(case: str) -> Proposed:
    path = next(path for path in CASES.rglob(Path(case).name) if str(path).endswith(case))
    return proposed(path, "x", where=Path(case).name)


def fields(found: Proposed) -> dict[str, Field]:
    return {item.name: item for item in found.proposal.mapping.fields}


def applied(found: Proposed, **changes: dict[str, Any]) -> Applications:
    """The applications of the proposal, some keys of its fields changed as a person would."""
    mapping = found.proposal.mapping
    items = tuple(replace(item, **changes.get(item.name, {})) for item in mapping.fields)
    return apply_mapping(found.table, replace(mapping, fields=items), source="x", file_sha256="")


def groups(data: Applications, name: str) -> Counter[object]:
    return Counter(record.values[name] for record in data.records)


def reasons(proposal: Proposal, name: str = "") -> str:
    return " | ".join(proposal.reasons.get(name, ()))


def lines(found: Proposed) -> list[str]:
    return check_mapping(found.table, found.proposal.mapping)


@pytest.mark.parametrize("path", sorted(path for path in CASES.rglob("*.*") if path.suffix != ".toml"), ids=str)
def test_a_check_and_an_audit_never_disagree(path: Path) -> None:
    found, refused = outcome_of(lambda: proposed(path, "x"))
    if refused is not None:
        assert "\n" not in str(refused)
        assert str(refused).startswith(str(path))
        return
    stops = [line for line in lines(found) if line.startswith(STOPS)]
    _, refused = outcome_of(lambda: applied(found))
    said = [] if refused is None else [f"{STOPS}{refused.what}; expected {refused.expected}"]
    assert stops[:1] == said


def outcome_of(read: Callable[[], Any]) -> tuple[Any, DataError | None]:
    try:
        return read(), None
    except DataError as error:
        return None, error


# 01
def test_na_is_proposed_as_missing_and_is_a_value_where_the_mapping_says_so() -> None:
    found = propose("na_group.csv")
    assert fields(found)["race"].missing == ("NA",)
    assert reasons(found.proposal, "race") == (
        "'NA' in 8 rows may mean that nothing is stated: take it out of missing if it is a value"
    )
    assert groups(applied(found), "race")[None] == 8
    assert groups(applied(found, race={"missing": ()}), "race")["NA"] == 8
    named = applied(found, race={"missing": (), "words": {"NA": "Native American"}})
    assert groups(named, "race")["Native American"] == 8


def test_a_code_cannot_be_a_value_and_missing() -> None:
    race = {"name": "race", "role": "protected", "type": "category", "column": "race", "words": {"NA": "Native"}}
    with pytest.raises(
        DataError, match=r"m: fields\[0\]: code 'NA' has words and is listed in missing; expected a code"
    ):
        mapping_from({"fields": [{**race, "missing": ["NA"]}]}, where="m")


# 02
def test_codes_that_look_like_powers_of_ten_stay_text() -> None:
    found = propose("e_codes.csv")
    assert fields(found)["branch_code"].type == "category"
    assert "'2E1' in line 3 would not come back from a number: left as text" in reasons(found.proposal, "branch_code")
    assert {"2E1", "20"} <= set(groups(applied(found), "branch_code"))
    assert [record.id for record in applied(propose("e_ids_clash.csv")).records] == ["1E2", "100", "10E1", "7E0"]


def test_text_of_parquet_is_text() -> None:
    data = applied(propose("p_text.parquet"))
    assert set(groups(data, "grade")) == {"1E2", "100", "2E1", "20"}
    assert {"1.10", "1.1", "2.0", "2"} <= set(groups(data, "code"))
    assert "02134" in groups(data, "zip")


# 04
def test_words_for_no_value_are_proposed_as_missing_and_leave_the_numbers_numbers() -> None:
    found = propose("null_tokens.csv")
    items = fields(found)
    assert {name: (items[name].type, items[name].missing) for name in ("income", "debt", "score", "race")} == {
        "income": ("number", ("NULL",)),
        "debt": ("number", ("nan",)),
        "score": ("number", ("None",)),
        "race": ("category", ("None",)),
    }
    assert groups(applied(found), "race").keys() == {"White", "Black", None}
    assert groups(applied(found), "debt")[None] == 8


def test_a_mapping_without_them_reads_them_so_beside_numbers_and_says_it() -> None:
    found = propose("null_tokens.csv")
    bare = replace(found.proposal.mapping, fields=tuple(replace(i, missing=()) for i in found.proposal.mapping.fields))
    said = check_mapping(found.table, bare)
    assert "field 'debt' holds 'nan' in 8 rows, read as missing: the key missing would say so" in said
    assert any(line.startswith("field 'race' holds 'None' in 7 rows, a value here") for line in said)
    data = apply_mapping(found.table, bare, source="x", file_sha256="")
    assert (groups(data, "debt")[None], groups(data, "race")["None"]) == (8, 7)


# 05
def test_lines_of_commas_are_no_applicants() -> None:
    found = propose("blank_rows.csv")
    assert found.table.frame.height == 40
    assert applied(found).counts.left_out == {"lines without a value": 8}
    assert lines(found)[:2] == ["8 lines without a value left out: 42, 43, 44, …", "8 left out: lines without a value"]


# 06
def test_columns_without_a_name_are_said() -> None:
    found = propose("pandas_index.csv")
    assert found.proposal.mapping.excluded == {"column 1": "numbers the rows"}
    assert "3 columns with neither a name nor a value left out: 7 to 9" in reasons(
        propose("trailing_cols.csv").proposal
    )
    assert "line 1, 'sep=,', names the delimiter" in reasons(propose("sep_line.csv").proposal)
    assert applied(found).count == 39 + 1


# 07
def test_percent_and_money_are_proposed_as_numbers_with_unit_and_form() -> None:
    found = propose("separators.csv")
    items = fields(found)
    told = {name: (items[name].type, items[name].unit) for name in ("income", "loan_amount", "dti", "net_change")}
    assert told == {
        "income": ("number", "$"),
        "loan_amount": ("number", ""),
        "dti": ("number", "%"),
        "net_change": ("number", ""),
    }
    first = applied(found).records[0].values
    assert (first["income"], first["loan_amount"], first["dti"], first["net_change"]) == (39375, 26840, 18.5, -385)
    assert items["income"].say(first["income"]) == "$39375"
    assert items["dti"].say(first["dti"]) == "18.5%"


def test_a_number_in_another_form_stops_and_the_key_is_named() -> None:
    found = propose("separators.csv")
    with pytest.raises(DataError) as caught:
        applied(found, dti={"form": None})
    assert str(caught.value) == (
        "x: line 2 of column 'dti' (field 'dti') holds '18.5%'; "
        "expected a number, or the key form of the field: the column has numbers with '%' beside every number"
    )


def test_a_column_with_and_without_the_percent_sign_is_left_as_text_and_the_cell_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mixed.csv"
    path.write_text("rate,x\n18.5%,1\n0.185,2\n20%,3\n21%,4\n")
    found = proposed(path, "x")
    assert fields(found)["rate"].type != "number"
    assert reasons(found.proposal, "rate") == (
        "3 of 4 values are numbers of one form, and line 3 holds '0.185': left as text"
    )


# 08
def test_text_above_and_below_a_table_is_proposed_to_be_skipped_and_refused_without_the_key() -> None:
    assert propose("lc_preamble.csv").proposal.mapping.reading == Reading(header=2)
    below = propose("lc_footer.csv")
    assert below.proposal.mapping.reading == Reading(last=41)
    assert applied(below).counts.left_out == {"lines below reading.last": 2}
    with pytest.raises(DataError, match="line 1 seems to be text above the table; expected header = 2 under"):
        read_table(CASES / "08-preamble-and-footer" / "lc_preamble.csv")
    with pytest.raises(DataError, match="if it stands below the table, last = 41 under"):
        read_table(CASES / "08-preamble-and-footer" / "lc_footer.csv")


def test_a_total_as_wide_as_the_table_is_said(tmp_path: Path) -> None:
    path = tmp_path / "sum.csv"
    path.write_text("id,race,income\n1,W,5\n2,B,6\nTotal,,11\n")
    assert read_table(path).notes == (
        "line 4 seems to be a total ('Total'), not a record: last = 3 under [reading] leaves it out",
    )
    assert proposed(path, "x").table.frame.height == 2


# 09
def test_cells_of_a_workbook_are_read_as_their_format_shows_them() -> None:
    first = applied(propose("x_formats.xlsx")).records[0]
    assert (first.id, first.values["zip"], first.values["rate"], first.values["opened"]) == (
        "000001",
        "06103",
        15.61,
        "2023-01-03",
    )
    first = applied(propose("x_1904.xlsx")).records[0]
    assert (first.values["opened"], first.values["start"]) == ("2023-01-03", "09:00:00")


# 10
def test_merged_cells_have_the_value_that_is_shown_for_them() -> None:
    found = propose("x_merged_race.xlsx")
    assert groups(applied(found), "race") == {"White": 10, "Black": 10}
    assert "merged cells filled with the value shown for them: B12:B21, B2:B11" in lines(found)


# 12
@pytest.mark.parametrize("name", ["list", "struct", "duration", "inf"])
def test_a_column_that_holds_no_single_values_is_excluded_and_stops_only_who_uses_it(name: str) -> None:
    found = propose(f"p_{name}.parquet")
    (column,) = found.table.unreadable
    assert found.proposal.mapping.excluded[column].endswith(": cannot be used")
    assert applied(found).count == 24
    used = Field(name="used", label="", role="predictor", type="text", column=column)
    mapping = replace(found.proposal.mapping, fields=(*found.proposal.mapping.fields, used))
    with pytest.raises(DataError, match=f"column '{column}' \\(field 'used'\\) (holds|is infinite)"):
        apply_mapping(found.table, mapping, source="x", file_sha256="")


def test_bytes_without_the_mark_of_text_are_text() -> None:
    assert groups(applied(propose("p_binary.parquet")), "race").keys() == {"White", "Black"}


# 13
def test_a_repeated_id_is_said_at_once_and_a_key_says_what_to_do() -> None:
    found = propose("dup_ids.csv")
    assert fields(found)["application_id"].role == "id"
    assert reasons(found.proposal, "application_id").startswith("'A0001' stands in line 2 and line 42: an audit stops")
    with pytest.raises(
        DataError, match="the id column 'application_id' repeats 'A0001' in line 2 and line 42; expected"
    ):
        applied(found)
    first, last, every = (applied(found, application_id={"repeats": key}) for key in ("first", "last", "separate"))
    assert (first.count, last.count, every.count) == (40, 40, 41)
    assert first.counts.left_out == {"rows whose id repeats: the first of each id stays": 1}
    assert (first.records[0].id, last.records[-1].id, every.records[-1].id) == ("A0001", "A0001", "A0001#2")


def test_an_id_with_a_gap_stays_an_id(tmp_path: Path) -> None:
    path = tmp_path / "gap.parquet"
    pl.DataFrame({"loan_id": [*map(float, range(1001, 1030)), None], "income": range(30)}).write_parquet(path)
    found = proposed(path, "x")
    with pytest.raises(DataError, match="the id column 'loan_id' is empty in row 30; expected one id a row, or empty"):
        applied(found)
    data = applied(found, loan_id={"empty": "leave out"})
    assert (data.records[0].id, data.counts.left_out) == ("1001", {"rows without an id": 1})


# 14
def hmda(**outcome: Any) -> tuple[Applications, list[str]]:
    folder = CASES / "14-hmda-codes"
    table, mapping = read_table(folder / "hmda.csv"), read_mapping(folder / "mapping.toml")
    items = tuple(replace(item, **outcome) if item.role == "outcome" else item for item in mapping.fields)
    mapping = replace(mapping, fields=items)
    return apply_mapping(table, mapping, source="x", file_sha256=""), check_mapping(table, mapping)


def test_codes_match_by_value_and_withdrawn_applications_are_no_outcome() -> None:
    data, _ = hmda()
    assert data.observed_rate == 27 / 50
    assert data.counts.outcomes() == {"favourable": 27, "adverse": 23, "no outcome": 10}
    assert "1111" not in groups(data, "aus")
    assert 1111 not in groups(data, "reason")
    assert hmda(missing=(), adverse="denied")[0].observed_rate == 27 / 50


@pytest.mark.parametrize("cells", [["4", "1"], [4, 1], [4.0, 1.0], ["4.0", "1.0"]], ids=repr)
@pytest.mark.parametrize("code", ["4", 4, 4.0], ids=repr)
@pytest.mark.parametrize("kind", ["number", "category"])
def test_a_code_is_one_code_in_every_type(cells: list[Any], code: Any, kind: str) -> None:
    item = {"name": "a", "role": "predictor", "type": kind, "column": "a", "missing": [code]}
    mapping = mapping_from({"fields": [item]}, where="m")
    frame = pl.DataFrame({"a": cells})
    assert apply_mapping(frame, mapping, source="x", file_sha256="").records[0].values == {"a": None}
    assert not any("which no row holds" in line for line in check_mapping(frame, mapping))


@pytest.mark.parametrize("cell", ["04", "4E0", "+4"])
def test_what_is_not_written_as_the_number_is_another_code(cell: str) -> None:
    item = {"name": "a", "role": "predictor", "type": "category", "column": "a", "missing": [4]}
    mapping = mapping_from({"fields": [item]}, where="m")
    frame = pl.DataFrame({"a": [cell, "1"]})
    assert apply_mapping(frame, mapping, source="x", file_sha256="").records[0].values == {"a": cell}
    assert "field 'a' names 4 in missing, which no row holds" in check_mapping(frame, mapping)


# 16
def test_loans_that_are_still_open_are_no_outcome_and_counted() -> None:
    found = propose("lc_clean.csv")
    outcome = fields(found)["loan_status"]
    assert outcome.favourable == ("Fully Paid", "Does not meet the credit policy. Status:Fully Paid")
    assert outcome.adverse == "Charged Off"
    data = applied(found)
    assert data.counts.no_outcome == {"Late (31-120 days)": 10, "Current": 7}
    assert data.observed_rate == 14 / 23
    assert lines(found)[-1] == (
        "outcome 'loan_status': 14 favourable, 9 adverse, 17 no outcome (Late (31-120 days) 10, Current 7)"
    )


def test_an_outcome_of_more_than_two_values_names_its_adverse_ones_or_stops() -> None:
    with pytest.raises(DataError) as caught:
        applied(propose("lc_clean.csv"), loan_status={"adverse": None})
    assert str(caught.value).startswith(
        "x: field 'loan_status' does not say which values are adverse; "
        "expected the key adverse; what it does not name is not an outcome: "
    )


# 17
def test_two_unicode_forms_of_one_group_are_one_group() -> None:
    found = propose("nfd.csv")
    assert groups(applied(found), "race").keys() == {"M\u0101ori", "European"}
    words = applied(found, race={"words": {"Ma\u0304ori": "Ma\u0304ori", "European": "European"}})
    assert groups(words, "race").keys() == {"M\u0101ori", "European"}


# 18
def test_semicolons_are_proposed_with_decimal_commas_and_refused_without_the_key() -> None:
    found = propose("german.csv")
    assert found.proposal.mapping.reading == Reading(delimiter=";")
    (amount,) = (item.name for item in found.proposal.mapping.fields if item.form is not None)
    assert applied(found).records[0].values[amount] == 3540.76
    assert propose("semi_comma_header.csv").table.frame.columns == ["id", "Betrag, in EUR", "geschlecht"]
    with pytest.raises(
        DataError, match=r"separated by a semicolon; expected commas between the fields, or delimiter ="
    ):
        read_table(CASES / "18-semicolons" / "semi_comma_header.csv")


def test_windows_text_is_proposed_with_its_encoding(tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    path.write_bytes("name,race\nJosé,Māori\n".replace("ā", "ä").encode("cp1252"))
    found = proposed(path, "x")
    assert found.proposal.mapping.reading == Reading(encoding="cp1252")
    assert reasons(found.proposal).startswith("encoding: byte 0xe9 in line 2 is not UTF-8; cp1252 reads 'José' there")


# two sheets, title rows
def test_a_key_chooses_the_sheet_and_title_rows_are_proposed_to_be_skipped(tmp_path: Path) -> None:
    path = tmp_path / "two.xlsx"
    rows = [["Loans of May"], [], ["id", "race", "income"], ["a", "W", 1], ["b", "B", 2]]
    path.write_bytes(workbook({"Loans": rows, "Notes": [["read me"]]}))
    with pytest.raises(DataError, match=r'has 2 sheets with data \(Loans, Notes\); expected one sheet .*"Loans" under'):
        proposed(path, "x")
    found = proposed(path, "x", said=Reading(sheet="Loans"))
    assert found.proposal.mapping.reading == Reading(sheet="Loans", header=3)
    assert found.table.frame.rows() == [("a", "W", 1), ("b", "B", 2)]


def test_a_proposal_reads_back_with_its_reasons_as_comments(tmp_path: Path) -> None:
    found = propose("german.csv")
    text = found.proposal.text()
    assert "# delimiter: the fields are separated by a semicolon" in text
    path = tmp_path / "m.toml"
    path.write_text(text, encoding="utf-8")
    assert read_mapping(path) == found.proposal.mapping


def test_a_mapping_from_before_keeps_its_hash() -> None:
    item = {"name": "ok", "role": "outcome", "type": "flag", "column": "ok"}
    mapping: DataMapping = mapping_from({"name": "n", "title": "t", "fields": [item]}, where="m")
    assert set(mapping.design()["fields"][0]) == {
        "name", "label", "role", "type", "unit", "column", "ratio", "scale", "one_of", "missing", "missing_from",
        "missing_words", "words", "prefix", "suffix", "decimals", "favourable",
    }  # fmt: skip
    assert "reading" not in mapping.design()


def test_a_parquet_file_has_no_keys_for_reading() -> None:
    with pytest.raises(DataError, match=r"reading.header: is for text files and workbooks; expected no such key"):
        read_table(CASES / "12-parquet-unused-columns" / "p_list.parquet", reading=Reading(header=2))
