"""The demonstration data is what its document says, column by column."""

from __future__ import annotations

from collections import Counter
from functools import cache

import polars as pl
import pytest

from auditor.applications import Applications
from auditor.demo_data import TRAINING_ROWS, load_loanapp, loanapp_table
from auditor.mapping_checks import check_mapping


@cache
def data() -> Applications:
    return load_loanapp()


@cache
def numbers() -> pl.DataFrame:
    """The table as numbers: the file is text."""
    return loanapp_table()[0].frame.select(pl.all().replace("NA", None).cast(pl.Float64))


def values(name: str) -> Counter[object]:
    return Counter(record.values[name] for record in data().records)


def test_counts_of_groups_and_outcomes() -> None:
    assert len(data().records) == 1989
    assert values("race") == {"White": 1681, "Black": 197, "Hispanic": 111}
    assert values("sex")[None] == 15
    assert values("marital_status")[None] == 3
    assert values("tract_minority")[None] == 183
    assert values("units")[None] == 4
    assert round(data().observed_rate or 0, 3) == 0.877


@pytest.mark.parametrize(
    ("name", "column", "codes"),
    [("credit_guidelines", "gdlin", [666]), ("liquid_assets", "liq", [1e6]), ("total_income", "atotinc", [0.0])],
)
def test_codes_of_missing_values_are_not_stated(name: str, column: str, codes: list[float]) -> None:
    coded = numbers()[column].is_in([float(code) for code in codes]).sum()
    assert values(name)[None] == coded > 0
    assert data().field(name).say(None) == "not stated"


@pytest.mark.parametrize(("name", "column"), [("credit_lines", "lines"), ("term", "term")])
def test_the_rounded_endless_code_is_not_stated(name: str, column: str) -> None:
    coded = (numbers()[column] >= 999_999).sum()
    assert values(name)[None] == coded > 0


def test_a_coapplicant_without_income_is_none_and_no_missing_value() -> None:
    assert values("coapplicant_income")[None] == 0
    assert data().field("coapplicant_income").say(0.0) == "none"


def test_columns_have_the_roles_of_the_document() -> None:
    roles: dict[str, set[str]] = {}
    for item in data().mapping.fields:
        roles.setdefault(item.role, set()).update(item.columns)
    assert roles == {
        "predictor": {
            "atotinc",
            "cototinc",
            "hexp",
            "hrat",
            "obrat",
            "loanamt",
            "price",
            "apr",
            "other",
            "liq",
            "netw",
            "gdlin",
            "cons",
            "mortg",
            "pubrec",
            "lines",
            "self",
            "unver",
            "cosign",
            "gift",
            "sch",
            "fixadj",
            "term",
            "prop",
            "unit",
            "unem",
        },
        "protected": {"black", "hispan", "white", "male", "married"},
        "protected_proxy": {"dep", "old"},
        "proxy": {"min30", "bd", "mi", "vr", "suffolk"},
        "outcome": {"approve"},
    }
    assert set(data().mapping.excluded) == {
        "action",
        "reject",
        "typur",
        "inson",
        "inss",
        "review",
        "rep",
        "thick",
        "mortno",
        "mortperf",
        "mortlat1",
        "mortlat2",
        "chist",
        "multi",
        "loanprc",
        "msa",
        "appinc",
        "occ",
        "emp",
        "yjob",
    }


def test_every_column_is_accounted_for_and_the_check_says_only_what_is_known() -> None:
    assert check_mapping(loanapp_table()[0], data().mapping) == [
        "field 'tract_minority' is missing in 183 of 1,989 rows (9.2%)"
    ]


@pytest.mark.parametrize(
    ("column", "follows"),
    [
        ("reject", pl.col("approve") == 0),
        ("approve", pl.col("action") != 3),
        ("mortno", pl.col("mortg") == 1),
        ("mortperf", pl.col("mortg") == 2),
        ("mortlat1", pl.col("mortg") == 3),
        ("mortlat2", pl.col("mortg") == 4),
        ("chist", ~pl.col("cons").is_in([5.0, 6.0])),
        ("thick", pl.col("rep") > 2),
        ("multi", pl.col("unit") >= 2),
        ("msa", pl.lit(1120)),
    ],
)
def test_excluded_copies_follow_from_the_column_they_copy(column: str, follows: pl.Expr) -> None:
    agree = numbers().select((pl.col(column) == follows.cast(pl.Int64)).drop_nulls().all())
    assert agree.item()


def test_the_split_is_seeded_and_keeps_900_rows_for_training() -> None:
    assert len(data().reserved) == TRAINING_ROWS == 900
    assert data().reserved == load_loanapp().reserved
