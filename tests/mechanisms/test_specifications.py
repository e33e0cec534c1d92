"""One question asked in several ways: the answers agree, or the conclusion is that nothing can be concluded."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.canonical import canonical_json
from auditor.mechanisms._shared.specifications import (
    LEAST_SHARE,
    Result,
    Specification,
    agreement,
    curve,
    stable_by,
)
from auditor.records import Conclusion
from auditor.testing.rows import read_row

MIDDLE = Specification(window="after the field", layers=(8, 22), seed=0)


def result(number: int, estimate: float | None, holds: bool | None) -> Result:
    specification = MIDDLE if number == 0 else Specification(window="after the field", layers=(8, 22), seed=number)
    return Result(specification=specification, estimate=estimate, holds=holds)


answers = st.lists(
    st.tuples(
        st.one_of(st.none(), st.floats(-5, 5, allow_nan=False)),
        st.sampled_from([True, False, None]),
    ),
    min_size=1,
    max_size=12,
).map(lambda rows: [result(number, *row) for number, row in enumerate(rows)])


def test_answers_that_agree_in_sign_and_decision_are_stable() -> None:
    found = agreement([result(0, -1.0, True), result(1, -0.4, True), result(2, -2.0, True)], declared=MIDDLE)

    assert found.stable is True
    assert (found.share, found.conclusion) == (1.0, None)
    assert found.lowest is not None
    assert found.highest is not None
    assert (found.lowest.estimate, found.highest.estimate) == (-2.0, -0.4)


def test_one_that_holds_with_the_other_sign_makes_it_unstable_whatever_the_share() -> None:
    rows = [result(number, -1.0, True) for number in range(9)] + [result(9, 1.0, True)]
    found = agreement(rows, declared=MIDDLE)

    assert found.share == 0.9
    assert found.stable is False
    assert found.conclusion is Conclusion.INCONCLUSIVE
    assert found.reason == "1 of 10 specifications find the opposite"


def test_a_result_of_one_window_alone_is_unstable() -> None:
    found = agreement([result(0, 1.0, True), *(result(number, 0.1, False) for number in (1, 2, 3))], declared=MIDDLE)

    assert found.conclusion is Conclusion.INCONCLUSIVE
    assert found.reason == "only 1 of 4 specifications agree, and at least 75% must"


def test_two_that_find_nothing_agree_whatever_their_signs() -> None:
    assert agreement([result(0, 0.1, False), result(1, -0.1, False)], declared=MIDDLE).stable is True


def test_nothing_found_where_the_others_find_something_is_unstable() -> None:
    assert agreement([result(0, 0.1, False), result(1, -2.0, True)], declared=MIDDLE).stable is False


def test_one_specification_cannot_be_stable() -> None:
    found = agreement([result(0, 1.0, True), result(1, None, None)], declared=MIDDLE)

    assert (found.stable, found.share, found.asked, found.said) == (None, None, 2, 1)


def test_a_declared_one_without_an_answer_leaves_nothing_to_agree_with() -> None:
    rows = [Result(specification=MIDDLE, estimate=1.0, holds=None, reason="too few draws"), result(1, 1.0, True)]
    found = agreement(rows, declared=MIDDLE)

    assert (found.stable, found.agree) == (None, 0)
    assert found.reason == "the declared specification gave no answer: too few draws"


@pytest.mark.parametrize("rows", [[result(1, 1.0, True)], [result(0, 1.0, True), result(0, 2.0, True)]])
def test_the_declared_one_must_be_there_and_each_once(rows: list[Result]) -> None:
    with pytest.raises(ValueError, match="specification"):
        agreement(rows, declared=MIDDLE)


@given(answers)
def test_counts_alone_give_the_same_verdict(rows: list[Result]) -> None:
    found = agreement(rows, declared=MIDDLE)

    if found.declared.holds is not None and found.declared.estimate is not None:
        assert stable_by(found.counts()) == (found.stable, found.reason)


@given(answers)
def test_turning_every_sign_changes_no_verdict(rows: list[Result]) -> None:
    turned = [
        Result(
            specification=row.specification,
            estimate=None if row.estimate is None else -row.estimate,
            holds=row.holds,
        )
        for row in rows
    ]

    ours, theirs = agreement(rows, declared=MIDDLE), agreement(turned, declared=MIDDLE)
    assert (ours.stable, ours.agree, ours.opposed) == (theirs.stable, theirs.agree, theirs.opposed)


@given(answers)
def test_a_stable_answer_has_its_share_and_no_opponent(rows: list[Result]) -> None:
    found = agreement(rows, declared=MIDDLE)

    if found.stable:
        assert found.share is not None
        assert found.share >= LEAST_SHARE
        assert found.opposed == 0


def test_the_curve_runs_from_the_lowest_to_the_highest() -> None:
    rows = [result(0, 1.0, True), result(1, -2.0, True), result(2, None, None), result(3, 0.5, False)]

    assert [item.estimate for item in curve(rows)] == [-2.0, 0.5, 1.0]


def test_a_specification_reads_in_words_and_comes_back_from_a_ledger() -> None:
    full = Specification(
        window="after the field",
        layers=(8, 22),
        coefficient=2.0,
        corruption="another applicant",
        metric="margin",
        seed=3,
        template="lines",
    )

    assert full.words == (
        "after the field, layers 8 to 22, strength 2, corruption another applicant, metric margin, draw 3, lines"
    )
    for specification in (full, MIDDLE):
        row = json.loads(canonical_json(asdict(specification)))
        assert read_row(Specification, row, what="specification") == specification
