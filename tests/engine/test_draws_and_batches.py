"""How tests seed their draws, take applications in turns and cut work into chunks: once, for all of them."""

from __future__ import annotations

import hashlib
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from auditor.counterfactuals import make_clusters, select
from auditor.seeds import generator_of, seed_of
from auditor.testing.sampling import batches, by_recorded_outcome, in_turns
from tests.engine.small import small_data, small_plan

ROOT = Path(__file__).parents[2]
COSTS = st.lists(st.integers(0, 30), max_size=40)


def test_a_seed_is_the_first_eight_bytes_of_the_names_sha_256() -> None:
    assert seed_of("abc") == 0xBA7816BF8F01CFEA  # FIPS 180-2, appendix B.1


def test_a_generator_is_that_of_its_names_joined_by_slashes() -> None:
    digest = hashlib.sha256(b"7/circuits/race/Black").digest()
    expected = np.random.default_rng(int.from_bytes(digest[:8], "big")).integers(0, 1 << 40, 5)
    assert (generator_of(7, "circuits", "race", "Black").integers(0, 1 << 40, 5) == expected).all()


def test_no_other_file_of_the_engine_makes_a_seed_of_a_hash() -> None:
    made = [path for path in (ROOT / "auditor").rglob("*.py") if re.search(r"from_bytes\(\s*hashlib", path.read_text())]
    assert made == [ROOT / "auditor" / "seeds.py"]


def test_groups_are_taken_in_turns_until_each_runs_out() -> None:
    assert in_turns("ab", "1234", "x") == ["a", "1", "x", "b", "2", "3", "4"]
    assert in_turns([], [1]) == [1]


@given(st.lists(st.lists(st.integers()), max_size=4))
def test_turns_keep_every_item_and_the_order_within_a_group(groups: list[list[int]]) -> None:
    tagged = [[(number, item) for item in group] for number, group in enumerate(groups)]
    found = in_turns(*tagged)
    for number, group in enumerate(tagged):
        assert [item for item in found if item[0] == number] == group
    assert len(found) == sum(map(len, groups))


def test_an_application_without_an_outcome_is_not_adverse() -> None:
    plan, data = small_plan(), small_data(12)
    chosen = select(plan, data, seen=frozenset(), where="small.toml").records
    clusters = make_clusters(plan, data, chosen, chat=None, where="small.toml")
    adverse, others = by_recorded_outcome(clusters)
    assert [cluster.application.favourable for cluster in adverse] == [False] * len(adverse)
    assert len(adverse) + len(others) == 12
    assert adverse
    assert all(cluster.application.favourable is not False for cluster in others)


@given(COSTS, st.integers(1, 40))
def test_a_batch_is_full_before_the_next_begins_and_no_larger_than_it_may_be(costs: list[int], most: int) -> None:
    found = list(batches(costs, tokens=lambda cost: cost, most=most))
    assert [cost for batch in found for cost in batch] == costs
    assert all(batch and (len(batch) == 1 or sum(batch) <= most) for batch in found)
    assert all(sum(batch) + after[0] > most for batch, after in pairwise(found))


def test_what_stands_alone_ends_its_batch() -> None:
    assert list(batches("abXYc", tokens=lambda _: 1, most=9, alone=str.isupper)) == [["a", "b", "X"], ["Y"], ["c"]]
