"""What a check says of a mapping that does not fit its table, and what stops an audit at once."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from auditor.applications import apply_mapping
from auditor.exceptions import DataError
from auditor.mapping_checks import check_mapping
from auditor.mapping_files import mapping_from

SEX = {"name": "sex", "role": "protected", "type": "category", "column": "sex", "words": {"1": "male", "0": "female"}}
OUTCOME = {
    "name": "ok", "role": "outcome", "type": "flag", "column": "ok",
    "words": {"1": "yes", "0": "no"}, "favourable": "yes",
}  # fmt: skip
FRAME = pl.DataFrame({"ok": [1, 0, 1, 0], "sex": [1, 0, 1, 0], "x": [5, 6, 7, 8]})
X = {"name": "x", "role": "predictor", "type": "number", "column": "x"}


def check(frame: pl.DataFrame, *fields: dict[str, Any], excluded: dict[str, str] | None = None) -> list[str]:
    return check_mapping(frame, mapping_from({"fields": list(fields), "excluded": excluded or {}}, where="m.toml"))


def test_a_mapping_that_fits_has_nothing_to_look_at() -> None:
    assert check(FRAME, OUTCOME, SEX, X) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"x": [5, 6, 7, 999]}, "field 'x' holds 999, far from its other values; if that means missing, say so"),
        ({"x": [5, 6, None, 8]}, "field 'x' is missing in 1 of 4 rows (25.0%)"),
        ({"x": [5, 5, 5, 5]}, "field 'x' is constant: 5.0"),
        (
            {"x": [None] * 4},
            "stops an audit: field 'x' has no value in any row; expected a mapping that fits the file",
        ),
        ({"sex": [1, 0, 2, 2]}, "field 'sex' holds 2 in 2 rows, for which it has no words"),
        ({"more": [1, 2, 3, 4]}, "column 'more' is neither a field nor excluded"),
    ],
)
def test_each_problem_is_one_line(change: dict[str, list[Any]], line: str) -> None:
    frame = FRAME.with_columns(pl.Series(name, values, strict=False) for name, values in change.items())
    assert check(frame, OUTCOME, SEX, X) == [line]


def test_one_group_is_said_and_that_a_code_of_the_mapping_matches_nothing() -> None:
    assert check(FRAME.with_columns(sex=pl.Series([1, 1, 1, 1])), OUTCOME, SEX, X) == [
        "field 'sex' names '0' in words, which no row holds",
        "field 'sex' has one group: male",
    ]


def test_text_in_a_number_field_is_said_beside_what_it_makes_missing() -> None:
    assert check(FRAME.with_columns(x=pl.Series(["5", "6", "?", "8"])), OUTCOME, SEX, X) == [
        "stops an audit: row 3 of column 'x' (field 'x') holds '?'; "
        'expected a number, or missing = ["?"] if it means that nothing is stated',
        "field 'x' is missing in 1 of 4 rows (25.0%)",
    ]


def test_a_constant_outcome_and_one_that_is_never_favourable_are_said() -> None:
    frame = FRAME.with_columns(ok=pl.Series([0, 0, 0, 0]))
    assert check(frame, OUTCOME, SEX, X) == [
        "stops an audit: field 'ok' is 'yes' in no row; expected as favourable one of its values: no (4 rows)",
        "field 'ok' names '1' in words, which no row holds",
        "field 'ok' is constant: no",
    ]


def test_categories_without_words_columns_that_are_not_there_and_missing_roles_are_said() -> None:
    coded = {"name": "x", "role": "predictor", "type": "category", "column": "x"}
    gone = {"name": "gone", "role": "predictor", "type": "number", "column": "gone"}
    assert check(FRAME, coded, gone, excluded={"sex": "", "ok": "", "x": "", "z": ""}) == [
        "stops an audit: column 'gone' (field 'gone') is missing; expected one of: ok, sex, x, …",
        "column 'x' is excluded and used by field 'x'",
        "column 'z' is excluded and not in the table",
        "field 'x' has codes and no words: 5, 6, 7, 8",
        "no field has the role 'outcome': the model cannot be compared with recorded decisions",
        "no field has the role 'protected': there is no group to compare",
    ]


def test_many_postcodes_need_no_words_and_few_regions_do() -> None:
    place = {"name": "x", "role": "proxy", "type": "category", "column": "x"}
    rows = 42
    base = {"ok": [1, 0] * 21, "sex": [1, 0] * 21}
    many = pl.DataFrame({**base, "x": [str(10_000 + row // 2) for row in range(rows)]})
    few = pl.DataFrame({**base, "x": [str(row % 4) for row in range(rows)]})
    assert not [line for line in check(many, OUTCOME, SEX, place) if "codes and no words" in line]
    assert [line for line in check(few, OUTCOME, SEX, place) if "field 'x' has codes and no words" in line]


def test_ids_that_repeat_or_are_missing_and_several_indicators_at_once_are_said() -> None:
    frame = pl.DataFrame({"no": ["a", "a", None], "w": [1, 0, 1], "b": [1, 1, 0], "ok": [1, 0, 1]})
    race = {"name": "race", "role": "protected", "type": "category", "one_of": {"w": "White", "b": "Black"}}
    assert check(frame, {"name": "no", "role": "id", "type": "text", "column": "no"}, race, OUTCOME) == [
        "stops an audit: the id column 'no' is empty in row 3; "
        'expected one id a row, or empty = "leave out" in its field',
        "stops an audit: the id column 'no' repeats 'a' in row 1 and row 2; "
        'expected one id a row, or repeats = "first", "last" or "separate" in its field',
        "field 'race' is missing in 1 of 3 rows (33.3%)",
        "field 'race' is in several groups at once in 1 rows, which count as missing",
    ]


@pytest.mark.parametrize(
    ("change", "field", "line"),
    [
        (
            {"x": ["5", "6", "?", "8"]},
            X,
            "d.csv: row 3 of column 'x' (field 'x') holds '?'; expected a number, or missing = [\"?\"] if it",
        ),
        ({"ok": [0, 0, 0, 0]}, X, "d.csv: field 'ok' is 'yes' in no row; expected as favourable one of its values: no"),
        (
            {"x": ["a", None, "b", "c"]},
            {**X, "role": "id", "type": "text"},
            "d.csv: the id column 'x' is empty in row 2; expected one id a row",
        ),
    ],
)
def test_what_would_change_decisions_silently_stops_the_audit(
    change: dict[str, list[Any]], field: dict[str, Any], line: str
) -> None:
    frame = FRAME.with_columns(pl.Series(name, values, strict=False) for name, values in change.items())
    with pytest.raises(DataError) as caught:
        apply_mapping(frame, mapping_from({"fields": [OUTCOME, SEX, field]}, where="m"), source="d.csv", file_sha256="")
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("missing", 999, "expected a list of codes"),
        ("words", {"1": 1}, 'expected { code = "words" }'),
        ("decimals", 1.5, "expected a whole number from 0 to 10"),
        ("scale", "two", "expected a number other than 0"),
        ("label", 3, "expected text"),
    ],
)
def test_a_key_of_the_wrong_shape_is_named(key: str, value: object, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        mapping_from({"fields": [{**X, key: value}]}, where="m.toml")
    assert str(caught.value) == f"m.toml: fields[0]: {key}: is {value!r}; {expected}"


def test_a_postcode_keeps_its_zero_and_finds_its_words() -> None:
    field = {"name": "zip", "role": "proxy", "type": "category", "column": "zip", "words": {"02134": "Allston"}}
    frame = pl.DataFrame({"zip": ["02134", "00501", "inf"]})
    data = apply_mapping(frame, mapping_from({"fields": [field]}, where="m"), source="d", file_sha256="")
    assert [record.values["zip"] for record in data.records] == ["Allston", "00501", "inf"]
