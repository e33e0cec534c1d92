"""A proposed mapping: roles by name and value, codes, constants, copies; and its TOML reads back the same."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.applications import apply_mapping
from auditor.column_meanings import sentinel_bound, sentinel_codes
from auditor.mapping_checks import check_mapping
from auditor.mapping_files import read_mapping, write_mapping
from auditor.mapping_inference import infer_mapping
from auditor.mappings import ROLES, TYPES, DataMapping, Field

ROWS = 12


def table(**columns: list[Any]) -> pl.DataFrame:
    return pl.DataFrame({name: (values * ROWS)[:ROWS] for name, values in columns.items()}, strict=False)


def proposed(**columns: list[Any]) -> dict[str, Field]:
    return {item.column or "": item for item in infer_mapping(table(**columns), "t").fields}


@pytest.mark.parametrize(
    ("name", "values", "role", "kind"),
    [
        ("ApplicantRace", ["White", "Black"], "protected", "category"),
        ("ethnicity", [1, 2, 3], "protected", "category"),
        ("sex", ["F", "M"], "protected", "category"),
        ("Gender", [0, 1], "protected", "category"),
        ("age", [25, 41, 67], "protected", "number"),
        ("marital_status", ["single", "married"], "protected", "category"),
        ("religion", ["a", "b"], "protected", "category"),
        ("National Origin", ["US", "MX"], "protected", "category"),
        ("disability", ["yes", "no"], "protected", "category"),
        ("zip", ["02134", "10001"], "proxy", "category"),
        ("postcode", [2134, 10001], "proxy", "category"),
        ("last_name", ["Ng", "Abel"], "protected_proxy", "category"),
        ("dependents", [0, 1, 2], "protected_proxy", "number"),
        ("col7", ["female", "male"], "protected", "category"),
        ("col8", ["Asian", "White", "Other"], "protected", "category"),
        ("mileage", [1, 2, 3], "predictor", "number"),
        ("self_employed", ["Y", "N"], "predictor", "flag"),
        ("owns_home", [True, False], "predictor", "flag"),
        ("purpose", ["car", "house", "school"], "predictor", "category"),
    ],
)
def test_roles_and_types_follow_names_and_values(name: str, values: list[Any], role: str, kind: str) -> None:
    item = proposed(**{name: values})[name]
    assert (item.role, item.type) == (role, kind)


@pytest.mark.parametrize(
    ("name", "values", "favourable"),
    [
        ("approved", [1, 0], "yes"),
        ("loan_status", ["Denied", "Approved"], "Approved"),
        ("default", [0, 1], "no"),
        ("Decision", ["N", "Y"], "yes"),
        ("credit_risk", ["bad", "good"], "good"),
    ],
)
def test_the_outcome_is_found_and_its_favourable_side(name: str, values: list[Any], favourable: str) -> None:
    frame = table(**{name: values}, sex=["f", "m", "m"])
    mapping = infer_mapping(frame, "t")
    outcome = next(item for item in mapping.fields if item.role == "outcome")
    assert (outcome.column, outcome.favourable) == (name, favourable)
    assert apply_mapping(frame, mapping, source="t", file_sha256="").observed_rate == 0.5


def test_a_second_outcome_an_identifier_a_constant_and_a_copy_are_excluded_with_the_reason() -> None:
    mapping = infer_mapping(
        table(
            application_id=list(range(ROWS)),
            approved=[1, 0, 1],
            denied=[0, 1, 0, 1, 0],
            email=[f"{i}@example.org" for i in range(ROWS)],
            msa=[1120],
            income=[10, 20, 30],
            income_again=[10, 20, 30],
            nothing=[None],
        ),
        "t",
    )
    assert mapping.excluded == {
        "denied": "may repeat the outcome 'approved'",
        "email": "identifies a person",
        "msa": "constant: 1120",
        "income_again": "the same as 'income' in every row",
        "nothing": "no value in any row",
    }
    assert [(item.name, item.role) for item in mapping.fields] == [
        ("application_id", "id"),
        ("approved", "outcome"),
        ("income", "predictor"),
    ]


def test_indicator_columns_of_race_become_one_field() -> None:
    mapping = infer_mapping(table(black=[1, 0, 0], white=[0, 1, 0], hispan=[0, 0, 1]), "t")
    assert [(item.name, item.one_of) for item in mapping.fields] == [
        ("race", {"black": "Black", "white": "White", "hispan": "Hispanic"})
    ]


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ([0, 1, 666], (666,)),
        ([18, 50, 97, 99], ()),
        ([18, 50, 90, 999], (999,)),
        ([1, 2, 3, 99], (99,)),
        ([0, 30, -9], (-9,)),
        ([-40, 30, -9], ()),
        ([10, 800, 999], ()),
        ([200, 9000, 9999, 999999], (999999,)),
        ([1, 999], ()),
    ],
)
def test_codes_far_outside_the_bulk_are_flagged(values: list[float], codes: tuple[int, ...]) -> None:
    assert sentinel_codes(values) == codes


def test_a_rounded_endless_code_is_flagged_by_a_bound() -> None:
    assert sentinel_bound([1.0, 55.0, 999999.375]) == 999_999
    assert sentinel_bound([1.0, 950_000.0, 999_999.5]) is None
    assert sentinel_bound([1.0, 999_999.5, 3e6]) is None


WORDS = st.text(max_size=8)
KEYS = st.text(min_size=1, max_size=8)
SAID = KEYS.filter(str.strip)  # empty words for a code are refused, and so is a scale of 0
NUMBERS = st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def fields(draw: st.DrawFn) -> Field:
    origin: dict[str, Any] = draw(
        st.fixed_dictionaries({"column": KEYS})
        | st.fixed_dictionaries({"ratio": st.tuples(KEYS, KEYS)})
        | st.fixed_dictionaries({"one_of": st.dictionaries(KEYS, SAID, min_size=1, max_size=3)})
    )
    return Field(
        name=draw(KEYS),
        label=draw(WORDS),
        role=draw(st.sampled_from([role for role in ROLES if role not in ("id", "outcome")])),
        type=draw(st.sampled_from(TYPES)),
        unit=draw(WORDS),
        scale=draw(NUMBERS.filter(bool)),
        missing=tuple(draw(st.lists(NUMBERS | WORDS, max_size=3))),
        missing_from=draw(st.none() | NUMBERS),
        missing_words=draw(WORDS),
        words=draw(st.dictionaries(KEYS, SAID, max_size=3)),
        prefix=draw(WORDS),
        suffix=draw(WORDS),
        decimals=draw(st.integers(0, 10)),
        favourable=draw(st.none() | WORDS),
        **origin,
    )


@settings(max_examples=25, deadline=None)
@given(
    st.lists(fields(), min_size=1, max_size=4, unique_by=lambda item: item.name),
    st.dictionaries(KEYS, WORDS, max_size=3),
    st.tuples(WORDS, WORDS, WORDS, WORDS),
)
def test_a_written_mapping_reads_back_the_same(
    items: list[Field], excluded: dict[str, str], texts: tuple[str, str, str, str]
) -> None:
    name, title, citation, population = texts
    mapping = DataMapping(name, title, citation, population, tuple(items), excluded)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.toml"
        path.write_text(write_mapping(mapping), encoding="utf-8")
        assert read_mapping(path) == mapping
        assert read_mapping(path).sha256 == mapping.sha256


def test_a_proposal_leaves_no_column_out_and_fits_its_table() -> None:
    frame = table(id=list(range(ROWS)), approve=[1, 0], race=["a", "b", "c"], x=[1.5, 2.5, 3.5], y=["p", "q"])
    lines = check_mapping(frame, infer_mapping(frame, "t"))
    assert lines == []
