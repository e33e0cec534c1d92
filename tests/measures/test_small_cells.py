import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.statistics.rates import Tally
from auditor.statistics.small_cells import suppress

TALLIES = st.builds(lambda k, rest: Tally(k, k + rest), st.integers(0, 40), st.integers(0, 40))
TABLES = st.dictionaries(st.sampled_from(["a", "b", "c", "d", "e"]), TALLIES, min_size=1)


def test_a_small_group_takes_every_comparison_with_it():
    found = suppress(
        tallies={"White": Tally(400, 500), "Black": Tally(3, 8), "Asian": Tally(60, 90)}, reference="White"
    )
    assert set(found.primary) == {"Black"}
    assert found.hidden == {"Black", "Asian"}  # the total less White and Asian would give Black back
    assert set(found.comparisons) == {"Black", "Asian"}
    assert found.reason("White") is None
    assert "8" not in found.reason("Black")


def test_of_two_groups_the_other_is_hidden_too():
    found = suppress(tallies={"Women": Tally(95, 100), "Men": Tally(400, 500)}, reference="Men")
    assert found.primary == {"Women": "a count of Women is below 11"}  # five denials
    assert set(found.complementary) == {"Men"}
    assert set(found.comparisons) == {"Women"}


def test_where_the_reference_is_hidden_no_comparison_with_it_is_printed():
    found = suppress(
        tallies={"White": Tally(5, 9), "Black": Tally(40, 80), "Asian": Tally(45, 90)},
        reference="White",
        total_printed=False,
    )
    assert found.hidden == {"White"}
    assert set(found.comparisons) == {"Black", "Asian"}
    assert "reference group White" in found.comparisons["Black"]


def test_without_a_printed_total_nobody_else_needs_hiding():
    found = suppress(tallies={"a": Tally(3, 8), "b": Tally(40, 80)}, total_printed=False)
    assert found.hidden == {"a"}


def test_an_empty_cell_is_nobody_and_large_tables_are_left_alone():
    assert suppress(tallies={"a": Tally(0, 80), "b": Tally(80, 80)}).hidden == frozenset()
    assert suppress(tallies={"a": Tally(3, 8), "b": Tally(40, 80)}, small_cell=0).hidden == frozenset()
    with pytest.raises(ValueError, match="reference group 'x' is not among the groups: a"):
        suppress(tallies={"a": Tally(3, 8)}, reference="x")


@given(table=TABLES)
def test_no_small_count_can_be_worked_out_from_the_total_and_the_printed_groups(table):
    found = suppress(tallies=table)
    hidden = [table[name] for name in found.hidden]
    small = [
        name
        for name, tally in table.items()
        if any(0 < cell < 11 for cell in (tally.n, tally.favourable, tally.n - tally.favourable))
    ]
    assert set(small) <= found.hidden
    if hidden and len(hidden) < len(table):
        favourable, n = sum(tally.favourable for tally in hidden), sum(tally.n for tally in hidden)
        assert len(hidden) >= 2
        assert not any(0 < cell < 11 for cell in (favourable, n, n - favourable))


def test_few_cases_of_no_group_hide_nothing_by_themselves():
    """Or five applications with a blank would switch off the comparison that an audit is about."""
    table = {"White": Tally(500, 500), "Black": Tally(95, 95)}
    for unprinted in (0, 5, 40):
        assert suppress(tallies=table, unprinted=unprinted).hidden == frozenset()


def test_many_cases_of_no_group_keep_a_hidden_group_from_being_worked_out():
    table = {"White": Tally(500, 500), "Black": Tally(7, 7), "Asian": Tally(60, 60)}
    assert suppress(tallies=table, unprinted=40).hidden == {"Black"}
    assert suppress(tallies=table, unprinted=2).hidden == {"Black", "Asian"}


@given(table=TABLES, unprinted=st.integers(0, 40))
def test_beside_a_hidden_group_the_total_leaves_no_small_group(table, unprinted):
    found = suppress(tallies=table, unprinted=unprinted)
    left = unprinted + sum(table[name].n for name in found.hidden)
    if 0 < len(found.hidden) < len(table):
        assert left >= 11


@given(table=TABLES, reference=st.sampled_from(["a", "b", "c", "d", "e"]))
def test_every_comparison_that_holds_a_hidden_rate_is_hidden_and_no_other(table, reference):
    if reference not in table:
        return
    found = suppress(tallies=table, reference=reference)
    for name in table:
        touched = name != reference and (name in found.hidden or reference in found.hidden)
        assert (name in found.comparisons) == touched
