"""A mapping as a table: table to TOML and back is the same table; what has no box stays; nothing typed is lost."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from auditor.mapping_files import mapping_from, write_mapping
from auditor.mapping_inference import propose
from auditor.mappings import DataMapping
from auditor.recognition import MASK
from auditor.tables import Table
from auditor.toml_text import parse_toml
from compliance.registry.column_facts import ColumnFacts, facts_of
from compliance.registry.mapping_page import lines_shown
from compliance.registry.mapping_rows import MARKS, PARTS, places, values_of, with_changes
from compliance.registry.mapping_sides import comments_of, merged, row_of, text_of
from tests.data.test_mapping_proposals import fields

FRAME = pl.DataFrame(
    {
        "Loan No": [f"K{number:03d}" for number in range(60)],
        "Race Cd": [1, 2, 5] * 20,
        "DOB": [f"19{50 + number % 40}-01-31" for number in range(60)],
        "income": [f"${1000 + number:,}" for number in range(60)],
        "rate": ["3,5", "4,25", "5,0"] * 20,
        "branch": ["North", "South"] * 30,
        "note": [f"called twice about {number}" for number in range(60)],
        "Loan Status": ["Approved", "Declined", "Withdrawn"] * 20,
    }
)
TABLE = Table(frame=FRAME, untyped=frozenset(FRAME.columns))
FACTS = facts_of(TABLE)
NAMES = [each.name for each in FACTS]
PROPOSED = propose(TABLE, "loans").text()

WORDS = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=8).filter(str.strip)
ROLES = st.sampled_from(["predictor", "protected", "protected_proxy", "proxy", "recorded", "outcome", "id", ""])


def rows(raw: dict[str, Any]) -> list[dict[str, str]]:
    return [values_of(raw, place, each) for place, each in zip(places(raw, NAMES), FACTS, strict=True)]


def edited(raw: dict[str, Any], at: int, changes: dict[str, str]) -> dict[str, Any]:
    return with_changes(raw, places(raw, NAMES)[at], FACTS[at], changes)


@st.composite
def edits(draw: st.DrawFn) -> dict[str, str]:
    """Boxes of one row as somebody may fill them."""
    found = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "role": ROLES.filter(bool),
                "type": st.sampled_from(["number", "category", "flag", "text"]),
                "label": WORDS,
                "missing_words": WORDS,
                "unit": WORDS,
                "decimals": st.integers(0, 9).map(str),
                "missing": st.lists(st.sampled_from(["NA", "999", "-1", "none"]), unique=True).map("\n".join),
                "marks": st.sampled_from(list(MARKS)),
                "before": st.sampled_from(["", "$", "EUR"]),
                "after": st.sampled_from(["", "%"]),
                "minus": st.sampled_from(["", "brackets", "behind"]),
                "part": st.sampled_from(["", *PARTS]),
                "controls": st.sampled_from(["", "on"]),
                "segments": st.sampled_from(["", "on"]),
            },
        )
    )
    return dict(found)


@given(st.lists(st.tuples(st.integers(0, len(FACTS) - 1), edits()), max_size=4))
@hypothesis_settings(max_examples=60, deadline=None)
def test_table_to_toml_to_table_is_the_same_table(many: list[tuple[int, dict[str, str]]]) -> None:
    raw = parse_toml(PROPOSED)
    for at, changes in many:
        raw = edited(raw, at, changes)
    again = parse_toml(text_of(raw))
    assert again == raw
    assert rows(again) == rows(raw)
    # And nothing changed changes nothing.
    for at, values in enumerate(rows(raw)):
        same = {key: value for key, value in values.items() if value != rows(again)[at][key]}
        assert edited(again, at, same) == raw


@given(st.integers(0, len(FACTS) - 1), edits())
@hypothesis_settings(max_examples=60, deadline=None)
def test_what_is_put_into_a_box_stands_there_afterwards(at: int, changes: dict[str, str]) -> None:
    raw = parse_toml(PROPOSED)
    after = edited(raw, at, changes)
    shown = rows(after)[at]
    number = shown["type"] == "number"
    for key, value in changes.items():
        if key in ("marks", "before", "after", "minus", "decimals") and not number:
            continue  # only numbers have a form
        assert shown[key] == value, key
    before, now = rows(raw), rows(after)
    singles = {"part"} if changes.get("part") else set()
    for other in range(len(FACTS)):
        if other != at:  # no other row moves, but where two would play one part
            assert {k: v for k, v in now[other].items() if k not in singles} == {
                k: v for k, v in before[other].items() if k not in singles
            }


@given(st.lists(fields(), min_size=1, max_size=4, unique_by=lambda item: item.name))
@hypothesis_settings(max_examples=40, deadline=None)
def test_what_has_no_box_stays_as_it_was(items: list[Any]) -> None:
    mapping = DataMapping("n", "t", "", "", tuple(items), {})
    raw = parse_toml(write_mapping(mapping))
    assert mapping_from(parse_toml(text_of(raw)), where="m") == mapping_from(raw, where="m")
    columns = [item.column for item in items if item.column is not None]
    assume(len(set(columns)) == len(columns) and columns)
    facts = [ColumnFacts(name=column) for column in columns]
    for place, each in zip(places(raw, columns), facts, strict=True):
        if place.at is None:
            continue  # a name that NFC writes otherwise is another column
        changed = with_changes(raw, place, each, {"label": "Other"})
        item, before = changed["fields"][place.at], raw["fields"][place.at]
        assert {key: value for key, value in item.items() if key != "label"} == {
            key: value for key, value in before.items() if key != "label"
        }


@pytest.mark.parametrize("name", ["Loan No", "Race Cd", "DOB"])
def test_personal_data_are_masked_in_samples(name: str) -> None:
    facts = next(each for each in FACTS if each.name == name)
    assert facts.samples == (MASK,)
    assert (facts.codes == ()) is (name != "Race Cd")


def test_free_text_shows_its_form_and_numbers_their_own() -> None:
    by_name = {each.name: each for each in FACTS}
    assert by_name["note"].samples[0] == "xxxxxx xxxxx xxxxx 9"
    assert by_name["income"].samples[0] == "$1,000"
    assert by_name["branch"].codes == (("North", 30), ("South", 30))
    assert by_name["Race Cd"].codes == (("1", 20), ("2", 20), ("5", 20))


def test_codes_of_a_masked_column_that_few_rows_hold_are_not_counted() -> None:
    frame = pl.DataFrame({"race": ["a"] * 12 + ["b"] * 9, "branch": ["a"] * 12 + ["b"] * 9})
    race, branch = facts_of(Table(frame=frame))
    assert race.codes == (("a", 12), ("b", None))
    assert branch.codes == (("a", 12), ("b", 9))


def test_favourable_and_adverse_are_chosen_value_by_value() -> None:
    raw = parse_toml(PROPOSED)
    at = NAMES.index("Loan Status")
    assert [rows(raw)[at][f"side:{code}"] for code in ("Approved", "Declined", "Withdrawn")] == [
        "favourable", "adverse", "",
    ]  # fmt: skip
    after = edited(raw, at, {"side:Withdrawn": "adverse"})
    item = next(each for each in after["fields"] if each["role"] == "outcome")
    assert (item["favourable"], item["adverse"]) == ("Approved", ["Declined", "Withdrawn"])
    mapping_from(after, where="m")
    none = edited(after, at, {"side:Declined": "", "side:Withdrawn": ""})
    assert "adverse" not in next(each for each in none["fields"] if each["role"] == "outcome")


def test_codes_get_words_and_a_column_is_left_out_and_taken_back() -> None:
    raw = parse_toml(PROPOSED)
    at = NAMES.index("Race Cd")
    raw = edited(raw, at, {"words:1": "White", "words:2": "Black"})
    item = next(each for each in raw["fields"] if each["column"] == "Race Cd")
    assert item["words"] == {"1": "White", "2": "Black"}
    out = edited(raw, at, {"role": ""})
    assert out["excluded"]["Race Cd"] == "left out by hand"
    assert rows(out)[at]["role"] == ""
    back = edited(out, at, {"role": "protected", "type": "category"})
    assert "excluded" not in back or "Race Cd" not in back["excluded"]
    assert next(each for each in back["fields"] if each["column"] == "Race Cd")["role"] == "protected"
    mapping_from(back, where="m")


def test_the_parts_of_a_decision_follow_a_field_that_is_renamed_or_gone() -> None:
    raw = parse_toml(PROPOSED)
    at = NAMES.index("income")
    raw = edited(raw, at, {"part": "amounts", "controls": "on"})
    raw = edited(raw, at, {"name": "monthly_income"})
    assert raw["decisions"] == {"amounts": ["monthly_income"], "controls": ["monthly_income"]}
    assert "decisions" not in edited(raw, at, {"role": ""})


def test_a_table_and_a_toml_that_were_both_changed_are_put_together() -> None:
    typed = PROPOSED.replace('title = "loans"', 'title = "Loans of May"')
    at = NAMES.index("income")
    values = rows(parse_toml(PROPOSED))[at] | {"label": "Yearly income"}
    both = merged(text=typed, agreed=PROPOSED, posted={at: values}, facts=FACTS)
    mapping = mapping_from(parse_toml(both.text), where="m")
    assert mapping.title == "Loans of May"
    assert next(item for item in mapping.fields if item.column == "income").label == "Yearly income"
    assert both.agreed == both.text


def test_a_row_that_was_not_touched_leaves_what_was_typed() -> None:
    typed = PROPOSED.replace('label = "Income"', 'label = "Money"')
    at = NAMES.index("income")
    both = merged(text=typed, agreed=PROPOSED, posted={at: rows(parse_toml(PROPOSED))[at]}, facts=FACTS)
    assert both.text == typed


def test_what_was_changed_in_the_table_waits_while_the_toml_cannot_be_read() -> None:
    at = NAMES.index("income")
    values = rows(parse_toml(PROPOSED))[at] | {"label": "Yearly income"}
    both = merged(text="x = [", agreed=PROPOSED, posted={at: values}, facts=FACTS)
    assert (both.text, both.agreed, both.waiting) == ("x = [", PROPOSED, {at: {"label": "Yearly income"}})
    assert "expected the TOML to be mended" in both.refused


def test_comments_above_a_field_stay_above_it() -> None:
    assert comments_of(PROPOSED)
    at = NAMES.index("Loan No")
    values = rows(parse_toml(PROPOSED))[at] | {"role": ""}
    both = merged(text=PROPOSED, agreed=PROPOSED, posted={at: values}, facts=FACTS)
    told = {lines[0] for lines in comments_of(PROPOSED).values()}
    assert {lines[0] for lines in comments_of(both.text).values()} == told
    rate = both.text.index('column = "rate"')
    assert both.text[:rate].rindex("# ") > both.text[:rate].rindex('column = "income"')


def test_a_wrong_number_is_kept_as_it_was_typed_and_the_line_finds_its_row() -> None:
    at = NAMES.index("rate")
    raw = edited(parse_toml(PROPOSED), at, {"decimals": "two"})
    with pytest.raises(Exception, match="decimals: is 'two'; expected a whole number from 0 to 10") as told:
        mapping_from(raw, where="mapping")
    assert row_of(str(told.value), raw, FACTS) == at
    assert rows(raw)[at]["decimals"] == "two"


def test_lines_about_a_masked_column_quote_no_value_but_codes_that_need_words() -> None:
    lines = ["field 'race' has codes and no words: '1', '2', '5'", "column 'DOB' holds '1950-01-31', far from others"]
    assert lines_shown(lines, FACTS, PROPOSED) == [lines[0], "column 'DOB' holds '•••', far from others"]


def test_an_id_that_repeats_is_named_and_what_is_no_number_counts_as_missing() -> None:
    line = "the id column 'Loan No' repeats 'K001' in line 2 and line 9"
    assert lines_shown([line], FACTS, PROPOSED) == [line]
    (facts,) = facts_of(Table(frame=pl.DataFrame({"debt": ["1.5", "nan", "2.5", "nan"]}), untyped=frozenset({"debt"})))
    assert (facts.missing, facts.samples) == (2, ("1.5", "2.5"))
