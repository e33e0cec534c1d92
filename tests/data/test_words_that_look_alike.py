"""Letters that only look Latin, words that are empty, numbers with words: one line each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow
import pyarrow.parquet
import pytest

from auditor.exceptions import DataError
from auditor.look_alikes import look_alikes
from auditor.mapping_files import mapping_from
from auditor.number_forms import guess_form, numbers_with_words
from auditor.proposals import proposed
from auditor.tables import read_table


@pytest.mark.parametrize(
    "pair", [("M", "М"), ("Male", "Мale"), ("A-B", "A–B"), ("O'Neil", "O’Neil"), ("BLACK", "ΒLACK"), ("cash", "саsh")]
)
def test_two_spellings_of_one_group_are_a_line(pair: tuple[str, str]) -> None:
    (line,) = look_alikes({pair[0]: 3, pair[1]: 2, "zzz": 1}, "field 'sex'")
    assert ascii(pair[1]) in line
    assert line.startswith("field 'sex' has groups that look alike and are counted apart: ")


@pytest.mark.parametrize(
    "same",
    [
        ("Female", "female ", "FEMALE", "female."),
        ("Hispanic / Latino", "Hispanic/Latino", "Hispanic-Latino", "hispanic latino"),
        ("Māori", "Maori"),
        ("Non-White", "nonwhite", "Non White"),
        ("U.S.", "US", "u.s"),
        ("Black or African American", "Black or African-American"),
    ],
)
def test_spellings_of_one_group_are_one_line(same: tuple[str, ...]) -> None:
    (line,) = look_alikes({**dict.fromkeys(same, 2), "zzz": 1}, "field 'race'")
    assert all(f"{value!a} (2 rows)" in line for value in same)


@pytest.mark.parametrize(
    "others",
    [("A", "A-", "A+"), ("25-34", "2534"), ("<25", ">25"), ("1.5", "15"), ("й", "и"), ("1-2", "12"), ("B", "8")],
)
def test_groups_that_a_sign_tells_apart_are_no_line(others: tuple[str, ...]) -> None:
    assert not list(look_alikes(dict.fromkeys(others, 2), "field 'grade'"))


def test_a_group_in_letters_that_only_look_latin_is_a_line_without_its_twin() -> None:
    assert list(look_alikes({"М": 3, "F": 2}, "field 'sex'")) == [
        "field 'sex' has the group 'М' (3 rows) with letters that look Latin: cyrillic capital letter em"
    ]
    assert not list(look_alikes({"М": 3, "Ж": 2}, "field 'sex'"))
    assert not list(look_alikes({"Москва": 3, "Riga": 2}, "field 'town'"))


@pytest.mark.parametrize("words", [{"F": ""}, {"F": "  "}])
def test_empty_words_are_refused_by_their_code(words: dict[str, str]) -> None:
    item = {"name": "sex", "role": "protected", "type": "category", "column": "sex", "words": words}
    with pytest.raises(DataError, match=r"words: code 'F' has empty words; expected words, or the code in missing"):
        mapping_from({"name": "m", "fields": [item]}, where="m")


@pytest.mark.parametrize("scale", [0, 0.0, -0.0, float("nan"), float("inf"), True])
def test_a_scale_that_makes_every_number_one_is_refused(scale: Any) -> None:
    item = {"name": "a", "role": "predictor", "type": "number", "column": "a", "scale": scale}
    with pytest.raises(DataError, match=r"scale: is .*; expected a number other than 0"):
        mapping_from({"name": "m", "fields": [item]}, where="m")


def test_numbers_with_one_word_are_proposed_as_numbers_with_that_unit() -> None:
    guess = guess_form([" 60 months", " 36 months"])
    assert guess.form is not None
    assert (guess.form.after, guess.form.number(" 60 months")) == ("months", 60)
    assert guess.why == "numbers with 'months' beside every number"


@pytest.mark.parametrize("texts", [["012 AB", "013 AB"], ["60 months"], ["5 Main", "6 High"], ["12X", "13X"]])
def test_codes_with_words_stay_codes(texts: list[str]) -> None:
    assert guess_form(texts).form is None


def test_numbers_with_several_words_or_signs_stay_categories_and_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "loans.csv"
    lengths = ["10+ years", "3 years", "< 1 year", "2 years"]
    path.write_text("id,length\n" + "".join(f"{at},{text}\n" for at, text in enumerate(lengths)))
    assert proposed(path, "x").proposal.reasons["length"] == [
        "numbers with words or signs, such as '10+ years' in line 2: left as categories without an order; numbers in "
        "the file would have one"
    ]
    assert numbers_with_words(lengths) == tuple(lengths)


def parquet(path: Path, **columns: Any) -> Path:
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("column", "what"),
    [
        (pyarrow.array([None, None], pyarrow.decimal256(50, 2)), "holds decimal numbers of 50 digits"),
        (pyarrow.array([0, 1], pyarrow.timestamp("us", "+05:30")), "holds times in the zone '+05:30'"),
        (pyarrow.array([[0], [1]], pyarrow.list_(pyarrow.timestamp("us", "+01:00"))), "holds values of type List"),
        (pyarrow.array([[("a", 1)], []], pyarrow.map_(pyarrow.string(), pyarrow.int64())), "holds values of type Map"),
    ],
)
def test_a_column_that_no_library_reads_costs_the_others_nothing(tmp_path: Path, column: Any, what: str) -> None:
    table = read_table(parquet(tmp_path / "x.parquet", sex=["F", "M"], x=column))
    assert table.frame.equals(pl.DataFrame({"sex": ["F", "M"]}))
    assert table.unreadable["x"][0].startswith(what)
    assert table.notes[0].startswith(f"column 'x' {what}")


def test_the_index_of_a_pandas_table_is_said_and_no_field(tmp_path: Path) -> None:
    found = proposed(parquet(tmp_path / "x.parquet", sex=["F", "M", "F"], __index_level_0__=[5, 9, 7]), "x")
    assert found.proposal.mapping.excluded == {"__index_level_0__": "the index of a pandas table"}
    assert "column '__index_level_0__' is the index of a pandas table, not a field of it" in found.proposal.lines()
