"""A register with a lender, a branch or an officer in many rows, and no cluster named, says so in one line."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from auditor.mapping_files import mapping_from, read_mapping
from auditor.observed.building import observe
from auditor.observed.reading import read_decisions
from tests.observed.made_up import DECISIONS, FIELDS, mapping, table

LINE = "branch has 40 values in 600 decisions and the mapping names no cluster"


def told(**decisions: object) -> list[str]:
    found = observe(table(600), mapping(**decisions), source="x.csv")
    return [note for note in found.notes if "names no cluster" in note]


def test_a_branch_that_no_cluster_names_is_told_and_changes_no_number() -> None:
    (line,) = told(cluster=None)
    assert line.startswith(LINE)
    assert line.endswith("intervals and tests speak of these alone, not of others like them")
    assert observe(table(600), mapping(cluster=None), source="x.csv").clusters(pl.Series([0, 1]).to_numpy()) is None


def test_a_named_cluster_is_not_told_again() -> None:
    assert told() == []


def test_nor_is_a_field_of_one_value_or_of_a_value_a_row() -> None:
    for branch in (pl.lit("B00"), pl.int_range(600).cast(pl.String)):
        made = table(600).with_columns(branch=branch)
        assert not [note for note in observe(made, mapping(cluster=None), source="x").notes if "cluster" in note]


def test_a_person_beside_whose_decision_is_recorded_is_no_place() -> None:
    named = {key: value for key, value in DECISIONS.items() if key != "cluster"}
    fields = [{**each, "name": "unit"} if each["name"] == "branch" else each for each in FIELDS]
    fields = [{**each, "label": "unit"} if each["name"] == "unit" else each for each in fields]
    made = table(600).rename({"branch": "unit"})
    for each in fields:
        if each["name"] == "unit":
            each["column"] = "unit"
    read = mapping_from({"name": "m", "fields": fields, "decisions": named}, where="m.toml")
    assert not [note for note in observe(made, read, source="x").notes if "cluster" in note]


def test_a_column_that_the_file_lacks_is_not_asked_for() -> None:
    made = table(600).drop("branch")
    assert not [note for note in observe(made, mapping(cluster=None), source="x").notes if "cluster" in note]


def test_the_synthetic_register_names_its_lenders() -> None:
    folder = Path(__file__).parents[2] / "auditor" / "data" / "hmda"
    found = read_decisions(folder / "lar_synthetic.csv.gz", read_mapping(folder / "lar.toml"))
    (line,) = [note for note in found.notes if "names no cluster" in note]
    assert line.startswith("Lender (LEI) has 25 values in 4,000 decisions")
