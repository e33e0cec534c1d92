"""Probabilities of groups from surname and place are Bayes' law over the user's tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.exceptions import DataError
from auditor.mapping_files import mapping_from
from auditor.observed.bisg import Bisg, estimate, place_table, plain_surname, surname_table
from auditor.observed.reading import read_decisions

GROUPS = {"Black": "b", "White": "w", "Asian": "a"}
NAMES = pl.DataFrame(
    {"name": ["WASHINGTON", "MILLER", "NGUYEN"], "b": [0.9, 0.2, 0.0], "w": [0.1, 0.79, 0.05], "a": [0.0, 0.01, 0.95]}
)
PLACES = pl.DataFrame({"tract": ["1", "2"], "b": [800, 200], "w": [100, 900], "a": [50, 50]})


def found(surnames, places, names=NAMES, where=PLACES):
    return estimate(
        surnames=pl.Series(surnames, dtype=pl.String),
        places=pl.Series(places, dtype=pl.String),
        by_surname=surname_table(names, key="name", groups=GROUPS, where="names.csv"),
        by_place=place_table(where, key="tract", groups=GROUPS, where="tracts.csv"),
        attribute="race",
        source="made up",
        cut=0.8,
    )


def test_a_posterior_worked_out_by_hand():
    probabilities, _ = found(["Miller"], ["1"])
    # P(tract 1 | group): .8, .1, .5; times .2, .79, .01 is .16, .079, .005 of .244.
    assert probabilities.values[0] == pytest.approx([0.16 / 0.244, 0.079 / 0.244, 0.005 / 0.244], rel=1e-6)


def test_where_name_and_place_are_independent_within_a_group_it_is_the_true_share():
    draw = np.random.default_rng(1)
    share = np.array([0.3, 0.6, 0.1])
    name_in, place_in = draw.dirichlet(np.ones(4), 3), draw.dirichlet(np.ones(5), 3)
    joint = share[:, None, None] * name_in[:, :, None] * place_in[:, None, :]  # group, name, place
    names = pl.DataFrame(
        {"name": list("ABCD")} | dict(zip("bwa", joint.sum(axis=2) / joint.sum(axis=(0, 2)), strict=True))
    )
    places = pl.DataFrame({"tract": list("12345")} | dict(zip("bwa", joint.sum(axis=1) * 1e6, strict=True)))
    pairs = [(name, place) for name in "ABCD" for place in "12345"]
    probabilities, counts = found(*zip(*pairs, strict=True), names=names, where=places)
    truth = (joint / joint.sum(axis=0)).reshape(3, 20).T
    assert probabilities.values == pytest.approx(truth, abs=1e-6)
    assert counts == {"surname and place": 20, "surname alone": 0, "neither": 0}


def test_what_a_table_does_not_know_is_counted_and_never_guessed_from_a_place():
    probabilities, counts = found(["Miller", "Nobody", None, "Miller"], ["9", "1", "1", "2"])
    assert counts == {"surname and place": 1, "surname alone": 1, "neither": 2}
    assert probabilities.values[0] == pytest.approx([0.2, 0.79, 0.01])
    assert np.isnan(probabilities.values[1:3]).all()
    assert probabilities.source == "made up"


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("O'Brien", "OBRIEN"),
        ("García-López Jr.", "GARCIALOPEZ"),
        (" de la Cruz III", "DELACRUZ"),
        ("Jr", "JR"),
        ("李", ""),
    ],
)
def test_surnames_are_compared_as_tables_have_them(name, plain):
    assert plain_surname(name) == plain


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (NAMES.drop("a"), "names.csv: column 'a' is not there; expected one of: name, b, w"),
        (
            NAMES.with_columns(pl.col("b") * 100),
            r"the probabilities of 'WASHINGTON' sum to 90.1; expected 1, as shares",
        ),
        (
            NAMES.with_columns(b=pl.lit(-0.1)),
            "the row of 'WASHINGTON' holds something other than a number of at least 0",
        ),
        (NAMES.with_columns(b=pl.lit("(S)")), "holds something other than a number"),
        (pl.concat([NAMES, NAMES]), "stands in several rows; expected one row each"),
    ],
)
def test_a_table_that_is_none_is_refused_in_one_line(names, line):
    with pytest.raises(DataError, match=line):
        surname_table(names, key="name", groups=GROUPS, where="names.csv")


def test_a_group_that_lives_nowhere_is_refused():
    with pytest.raises(DataError, match="nobody of the group 'Asian' lives anywhere"):
        place_table(PLACES.with_columns(a=pl.lit(0)), key="tract", groups=GROUPS, where="tracts.csv")


@given(scale=st.sampled_from([2, 50]), order=st.permutations(["b", "w", "a"]))
def test_the_size_of_the_population_and_the_order_of_groups_change_nothing(scale, order):
    plain, _ = found(["Miller", "Nguyen"], ["1", "2"])
    scaled = PLACES.with_columns(pl.col("b", "w", "a") * scale)
    again, _ = found(["Miller", "Nguyen"], ["1", "2"], where=scaled.select("tract", *order))
    assert again.values == pytest.approx(plain.values)


def test_a_file_with_surnames_and_places_gets_its_probabilities_as_it_is_read(tmp_path):
    fields = [
        {"name": "decision", "role": "outcome", "type": "flag", "column": "yes"},
        {"name": "surname", "role": "recorded", "type": "text", "column": "surname"},
        {"name": "tract", "role": "recorded", "type": "text", "column": "tract"},
    ]
    mapping = mapping_from({"name": "m", "fields": fields}, where="m.toml")
    frame = pl.DataFrame(
        {"yes": ["1", "0", "1", "0"], "surname": ["Miller", "Nguyen", "Nobody", "Washington"], "tract": list("1212")}
    )
    path = tmp_path / "made.csv"
    frame.write_csv(path)
    bisg = Bisg(
        attribute="race",
        surname="surname",
        place="tract",
        by_surname=surname_table(NAMES, key="name", groups=GROUPS, where="names.csv"),
        by_place=place_table(PLACES, key="tract", groups=GROUPS, where="tracts.csv"),
        source="made-up tables",
        cut=0.8,
    )
    observed = read_decisions(path, mapping, bisg=bisg)
    likely, _ = found(frame["surname"].to_list(), frame["tract"].to_list())
    assert observed.probabilities[0].values == pytest.approx(likely.values, nan_ok=True)
    said = "groups of race made likely by made-up tables: surname and place 3, surname alone 0, neither 1"
    assert said in observed.facts
    with pytest.raises(DataError, match="'first name' is not a field of one column"):
        read_decisions(path, mapping, bisg=replace(bisg, surname="first name"))
    turned = place_table(PLACES, key="tract", groups=dict(reversed(GROUPS.items())), where="tracts.csv")
    with pytest.raises(DataError, match="name the groups Black, White, Asian and Asian, White, Black; expected the sa"):
        read_decisions(path, mapping, bisg=replace(bisg, by_place=turned))
