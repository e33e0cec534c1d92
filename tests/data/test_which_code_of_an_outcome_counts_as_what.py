"""An outcome in codes says of itself neither what is favourable nor what is adverse: it is asked, or told with the why.

Taken the wrong way round, a table fits its mapping as well, and every gap of the audit changes its sign.
"""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.applications import apply_mapping
from auditor.exceptions import DataError
from auditor.mapping_checks import check_mapping
from auditor.mapping_files import mapping_from
from auditor.mapping_inference import propose
from auditor.mappings import DataMapping
from auditor.observed.building import Builder, observe
from auditor.outcome_codes import outcome_sides, sides_in, written_values

ROWS = 40


def table(name: str, values: tuple[Any, ...]) -> pl.DataFrame:
    return pl.DataFrame({
        "income": [1000 + 7 * row for row in range(ROWS)],
        "sex": ["male", "female"] * (ROWS // 2),
        name: [values[row % len(values)] for row in range(ROWS)],
    })  # fmt: skip


def mapping(name: str, **outcome: Any) -> DataMapping:
    fields = [
        {"name": "sex", "role": "protected", "type": "category", "column": "sex"},
        {"name": name, "role": "outcome", "column": name, **outcome},
    ]
    return mapping_from({"name": "d", "fields": fields, "excluded": {"income": ""}}, where="d.toml")


def test_one_and_two_are_asked_for_by_the_check_the_audit_and_the_data_set_alike() -> None:
    made = table("decision", (1, 2))
    proposed = propose(made, "d").mapping
    asked = "field 'decision' holds 1, 2, and nothing says which of them is favourable"
    expected = 'the keys favourable and adverse of the field, such as favourable = "1"'
    assert f"stops an audit: {asked}; expected {expected}" in check_mapping(made, proposed)
    for read in (
        lambda: observe(made, proposed, source="d.csv"),
        lambda: apply_mapping(made, proposed, source="d.csv", file_sha256=""),
    ):
        with pytest.raises(DataError) as refused:
            read()
        assert str(refused.value) == f"d.csv: {asked}; expected {expected}"


@pytest.mark.parametrize("name", ["decision", "target", "outcome", "loan_status"])
def test_zero_and_one_under_a_name_that_says_nothing_are_told_with_what_to_do(name: str) -> None:
    made = table(name, (0, 1))
    found = propose(made, "d")
    said = (
        "1 counts as favourable, 0 as adverse: neither the name of the column nor its values say so; "
        "the key favourable says it if it is the other way round"
    )
    assert f"field {name!r}: {said}" in found.lines()
    assert f"field {name!r}: {said}" in check_mapping(made, found.mapping)
    observed = observe(made, found.mapping, source="d.csv")
    assert sides_in(observed.facts).endswith(said)
    assert observed.favourable.tolist() == [value == 1 for value in made[name]]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [("approved", "1", "0"), ("denied", "0", "1"), ("default", "0", "1"), ("ausfall", "0", "1")],
)
def test_a_name_that_says_it_is_given_as_the_reason_and_is_nothing_to_look_at(name: str, good: str, bad: str) -> None:
    made = table(name, (0, 1))
    found = propose(made, "d")
    said = f"{good} counts as favourable, {bad} as adverse: the column is called {name!r}"
    assert f"field {name!r}: {said}" in found.lines()
    assert not [line for line in check_mapping(made, found.mapping) if "counts as favourable" in line]
    assert sides_in(observe(made, found.mapping, source="d.csv").facts).endswith(said)


def test_a_mapping_against_the_name_of_the_column_is_told() -> None:
    made = table("denied", (0, 1))
    wrong = mapping("denied", type="flag", favourable="yes")
    (line,) = [line for line in check_mapping(made, wrong) if "counts as favourable" in line]
    assert "1 counts as favourable, 0 as adverse: the column is called 'denied', which says the opposite" in line


def test_what_no_key_says_is_told_and_what_words_or_keys_say_needs_no_reason() -> None:
    made = table("decision", (1, 2))
    unsaid = mapping("decision", type="category", words={"1": "no", "2": "yes"})
    (line,) = [line for line in check_mapping(made, unsaid) if "as favourable" in line]
    assert "yes counts as favourable, no as adverse: no key of the mapping says so" in line
    said = mapping("decision", type="category", favourable=["2"], adverse=["1"])
    assert not [line for line in check_mapping(made, said) if "as favourable" in line]
    assert sides_in(observe(made, said, source="d.csv").facts) == "decision: 2 counts as favourable, 1 as adverse"
    last = sides_in(observe(made, mapping("decision", type="category", favourable="2"), source="d.csv").facts)
    assert last == "decision: 2 counts as favourable, 1 as adverse: 1 is the only other value"


def test_codes_of_the_register_are_told_as_its_codes() -> None:
    found = propose(table("action_taken", (1, 3, 4)), "d")
    assert (
        "field 'action_taken': 1 and 2 count as favourable, 3 as adverse, as the codes of the HMDA register mean"
        in (found.lines())
    )


@given(st.lists(st.sampled_from(["1", "2", "3"]), min_size=4, max_size=30), st.sampled_from(["1", "2", "3"]))
def test_what_is_told_is_what_is_counted_however_the_file_comes(values: list[str], good: str) -> None:
    frame = pl.DataFrame({"decision": values, "sex": "male", "income": 0})
    item = mapping("decision", type="category", favourable=good, adverse=[c for c in "123" if c != good])
    builder = Builder(item, source="d.csv")
    for start in range(0, len(values), 3):  # block by block
        builder.add(frame[start : start + 3])
    there = set(values)
    if good not in there or len(there) < 2:
        with pytest.raises(DataError):
            builder.done()
        return
    observed = builder.done()
    field = next(each for each in item.fields if each.role == "outcome")
    sides = outcome_sides(field, written_values(field, frame.select("decision")))
    assert sides is not None
    assert sides.said() in sides_in(observed.facts)
    assert sum(value in sides.favourable for value in values) == int(observed.favourable.sum())
    assert sum(value in sides.adverse for value in values) == int((observed.decided & ~observed.favourable).sum())
