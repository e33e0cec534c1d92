"""A file may hold prices in two units, a 0 for "not stated", and rows twice: each is told in a line, none left out."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.mapping_files import mapping_from
from auditor.observed.building import Builder, observe
from tests.observed.made_up import FIELDS, mapping, table

COPIES = "rows say the same as an earlier row"


def told(made: pl.DataFrame, words: str) -> list[str]:
    return [line for line in observe(made, mapping(cluster=None), source="d.csv").facts if words in line]


@pytest.mark.parametrize("times", [0.01, 100.0, 1000.0])
def test_rates_in_percent_beside_shares_are_told_with_both_sizes_and_counts(times: float) -> None:
    made = table(2000, seed=3)
    other = pl.int_range(2000) % 7 == 0
    mixed = made.with_columns(rate=pl.when(other).then(pl.col("rate") * times).otherwise(pl.col("rate")))
    (line,) = told(mixed, "two units")
    approved = mixed.filter(pl.col("decision") == "approved")["rate"]
    small = int((approved < 1).sum()) if times < 1 else int((approved < 50).sum())
    assert f" in {small:,} favourable decisions and about " in line
    assert told(made, "two units") == []


def test_noughts_far_below_every_other_rate_are_told_and_small_or_negative_numbers_are_not() -> None:
    made = table(2000, seed=3)
    nought = pl.int_range(2000) % 20 == 0
    with_noughts = made.with_columns(rate=pl.when(nought).then(0.0).otherwise(pl.col("rate")))
    (line,) = told(with_noughts, "counts as 0")
    count = with_noughts.filter((pl.col("decision") == "approved") & (pl.col("rate") == 0)).height
    assert line.startswith(f"rate is 0 in {count:,} of ")
    assert told(made, "counts as 0") == []
    spread = with_noughts.with_columns(rate=pl.when(nought).then(0.0).otherwise(pl.col("rate") - 6))
    assert told(spread, "counts as 0") == []


@given(st.floats(0.1, 1e6), st.floats(0.05, 0.9))
@settings(max_examples=25, deadline=None)
def test_one_unit_is_never_taken_for_two_whatever_its_size(scale: float, spread: float) -> None:
    made = table(400, seed=3)
    draw = np.random.default_rng(1).lognormal(0, spread, 400) * scale
    assert told(made.with_columns(rate=pl.Series(draw)), "two units") == []


def test_a_block_of_rows_that_stands_twice_is_told_whole_and_block_by_block() -> None:
    made = table(600, seed=12)
    twice = pl.concat([made, made[:200].with_columns(loan=pl.col("loan") + "x")])
    (line,) = told(twice, COPIES)
    assert line.startswith("200 of 800 rows ")
    builder = Builder(mapping(cluster=None), source="d.csv")
    for start in range(0, twice.height, 97):
        builder.add(twice[start : start + 97])
    assert line in builder.done().facts
    assert told(made, COPIES) == []


def test_rows_of_few_coarse_columns_repeat_by_themselves_and_are_not_told() -> None:
    coarse = {"decision", "race", "sex"}
    fields = [item for item in FIELDS if item["name"] in coarse]
    meaning = mapping_from({"name": "coarse", "fields": fields}, where="d.toml")
    made = table(3000, seed=2).select(sorted(coarse))
    assert not [line for line in observe(made, meaning, source="d.csv").facts if COPIES in line]
    twice = pl.concat([made, made])
    assert not [line for line in observe(twice, meaning, source="d.csv").facts if COPIES in line]  # it cannot be told


@pytest.mark.parametrize("seed", range(5))
def test_columns_that_say_the_same_twice_make_no_copies(seed: int) -> None:
    kept = {"decision", "race", "sex", "rate", "limit"}
    parts = {"prices": ["rate"], "amounts": ["limit"]}
    fields = [item for item in FIELDS if item["name"] in kept]
    meaning = mapping_from({"name": "coarse", "fields": fields, "decisions": parts}, where="d.toml")
    step = pl.Series(np.random.default_rng(seed).integers(1, 13, 3000))
    made = table(3000, seed=seed).with_columns(rate=step, limit=step * 3).select(sorted(kept))
    assert not [line for line in observe(made, meaning, source="d.csv").facts if COPIES in line]
