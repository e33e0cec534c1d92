"""A decision file becomes columns that say what its cells say, whole or block by block."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.applications import apply_mapping
from auditor.exceptions import DataError
from auditor.mapping_files import mapping_from, write_mapping
from auditor.observed.building import Builder, observe
from auditor.observed.columns import ADVERSE, FAVOURABLE, OTHER, crossed, tallies_by
from auditor.toml_text import parse_toml
from tests.observed.made_up import FIELDS, columns, mapping, table


def test_columns_say_what_the_records_of_the_same_mapping_say():
    made, meaning = table(500), mapping()
    records = apply_mapping(made, meaning, source="x", file_sha256="").records
    found = observe(made, meaning, source="x")
    assert found.ids.to_list() == [record.id for record in records]
    sides = {True: FAVOURABLE, False: ADVERSE, None: OTHER}
    assert found.outcome.tolist() == [sides[record.favourable] for record in records]
    race = found.attribute("race")
    assert [race.names[code] for code in race.codes] == [record.values["race"] for record in records]
    income = found.controls[0].values
    assert [None if np.isnan(each) else each for each in income] == [record.values["income"] for record in records]
    assert found.others == {"withdrawn": int((made["decision"] == "withdrawn").sum())}
    assert "decided from 2026-01-05 to 2026-06-30" in found.facts


def test_every_part_has_its_array():
    found = columns(300)
    assert (found.prices[0].unit, found.amounts[0].unit) == ("%", "$")
    assert set(found.later) == {FAVOURABLE, ADVERSE}
    assert found.score_is_probability
    assert found.probabilities[0].values.shape == (300, 2)
    assert found.cluster.names[0] == "B00"
    assert found.n == 300
    # What a reason does not say is not stated, not a level of its own.
    assert found.reasons[0].names == ("income", "ratio")


@pytest.mark.parametrize("kind", [pl.Date, pl.Datetime("us"), pl.Categorical])
def test_a_column_of_no_numbers_is_refused_and_never_counted_in_days(kind):
    made = table(60)
    other = pl.Series("income", ["2026-01-05"] * 60).cast(kind) if kind == pl.Categorical else pl.Series(
        "income", [date(2026, 1, 5)] * 60
    ).cast(kind)  # fmt: skip
    with pytest.raises(DataError, match=r"column 'income' \(field 'income'\) holds values of the type"):
        observe(made.with_columns(other), mapping(), source="x")


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, 299), max_size=4), seed=st.integers(0, 50))
def test_blocks_give_what_the_whole_table_gives(cuts, seed):
    made, meaning = table(300, seed=seed), mapping()
    builder = Builder(meaning, source="x")
    edges = [0, *sorted(set(cuts)), 300]
    for start, end in pairwise(edges):
        builder.add(made[start:end])
    blocks, whole = builder.done(), observe(made, meaning, source="x")
    assert blocks.ids.to_list() == whole.ids.to_list()
    for one, other in zip(blocks.groups, whole.groups, strict=True):
        assert one.names == other.names
        assert (one.codes == other.codes).all()
    for one, other in zip(blocks.prices, whole.prices, strict=True):
        assert (one.values == other.values).all()
    assert blocks.facts == whole.facts


def test_the_decisions_of_a_mapping_are_written_and_read_back():
    meaning = mapping()
    again = mapping_from(parse_toml(write_mapping(meaning)), where="again.toml")
    assert again == meaning
    assert again.sha256 == meaning.sha256
    assert "decisions" not in mapping_from({"name": "made_up", "fields": FIELDS}, where="x").design()


@pytest.mark.parametrize(
    ("decisions", "line"),
    [
        ({"score": "race"}, "made_up.toml: decisions.score: field 'race' is a category; expected a field of the type"),
        ({"prices": ["nothing"]}, "decisions.prices: 'nothing' is not a field of this mapping; expected one of: loan"),
        ({"prices": "rate"}, "decisions.prices: is 'rate'; expected a list of names of fields"),
        ({"controls": ["ratio", "ratio"]}, "decisions.controls: names a field twice; expected each once"),
        ({"colour": "race"}, "decisions: unknown key 'colour'; expected any of: score"),
        ({"score_is": "rank"}, "decisions.score_is: is 'rank'; expected one of: number, probability"),
        ({"later": {"field": "status"}}, "decisions.later: does not say both of its sides"),
        (
            {"human": {"field": "officer", "favourable": ["yes"], "adverse": ["yes"]}},
            "decisions.human: 'yes' is favourable and adverse; expected one side for every value",
        ),
        ({"probabilities": [{"attribute": "race"}]}, r"probabilities\[0\]: does not say whose probabilities"),
        (
            {
                "probabilities": [
                    {"attribute": "race", "source": "s", "groups": {"a": "rate", "b": "limit"}, "cut": 0.5}
                ]
            },
            "cut: is '0.5'; expected a number above 0.5, at most 1",
        ),
    ],
)
def test_what_a_mapping_says_wrongly_is_refused_in_one_line(decisions, line):
    with pytest.raises(DataError, match=line) as refused:
        mapping(**decisions)
    assert "\n" not in str(refused.value)


def changed(**columns_):
    return table(60).with_columns(**columns_)


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (table(60).drop("race"), "column 'race' is not there"),
        (changed(decision=pl.lit("denied")), r"field 'decision' is \('approved',\) in no row"),
        (
            changed(income=pl.lit("12 apples")),
            "row 1 of column 'income' .field 'income'. holds '12 apples'; expected a num",
        ),
        (changed(p_white=pl.lit(0.9), p_black=pl.lit(0.4)), "probabilities of 'race' do not lie in"),
        (changed(loan=pl.lit("A1")), "the id column 'loan' repeats 'A1' .59 rows."),
        (changed(loan=pl.lit(" ")), "the id column 'loan' is empty in 60 rows"),
        (table(60)[:0], "has no row"),
    ],
)
def test_what_a_file_holds_wrongly_is_refused_in_one_line(made, line):
    with pytest.raises(DataError, match=line) as refused:
        observe(made, mapping(), source="made_up.csv")
    assert "\n" not in str(refused.value)


def test_ids_that_repeat_follow_the_rule_of_the_mapping():
    made = table(100).with_columns(loan=pl.Series([f"L{at // 2}" for at in range(100)]))
    fields = [{**FIELDS[0], "repeats": "last"}, *FIELDS[1:]]

    def read(rule):
        fields[0]["repeats"] = rule
        return observe(made, mapping_from({"name": "m", "fields": fields}, where="m"), source="x")

    first, last, apart = read("first"), read("last"), read("separate")
    assert (first.n, last.n, apart.n) == (50, 50, 100)
    outcome = observe(table(100), mapping(), source="x").outcome
    assert (first.outcome == outcome[::2]).all()
    assert (last.outcome == outcome[1::2]).all()
    assert len(set(apart.applicants)) < apart.n
    assert len(np.unique(apart.applicants)) == 50
    assert (apart.applicants[::2] == apart.applicants[1::2]).all()
    assert "50 left out: rows whose id repeats: the last of each id stays" in last.facts


def test_tallies_count_and_crossing_keeps_both_attributes():
    found = columns(800)
    made = table(800)
    by_race = tallies_by(found.attribute("race"), found.favourable, among=found.decided)
    decided = made.filter(pl.col("decision") != "withdrawn")
    for name, tally in by_race.items():
        own = decided.filter(pl.col("race") == name)
        assert (tally.n, tally.favourable) == (own.height, (own["decision"] == "approved").sum())
    both = crossed(found.attribute("race"), found.attribute("sex"))
    tallies = tallies_by(both, found.favourable)
    assert tallies["Black, female"].n == made.filter((pl.col("race") == "Black") & (pl.col("sex") == "female")).height
    assert sum(tally.n for tally in tallies.values()) == 800


def test_a_million_rows_are_held_in_their_columns_alone():
    found = columns(20_000)
    held = sum(part.codes.nbytes for part in (*found.groups, *found.reasons, *found.segments, found.cluster))
    held += sum(part.values.nbytes for part in (*found.prices, *found.amounts, found.score))
    held += sum(part.values.nbytes for part in found.controls[:2]) + found.outcome.nbytes + found.later.nbytes
    held += found.probabilities[0].values.nbytes + found.ids.estimated_size()
    assert held / found.n < 110
