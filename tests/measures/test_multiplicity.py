import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from auditor.statistics.multiplicity import benjamini_hochberg, holm

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@settings(deadline=None, max_examples=25)  # the oracle is slow, above all on its first call
@given(p=P_VALUES)
def test_both_agree_with_statsmodels_in_the_original_order(p):
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-9)
    assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1], abs=1e-9)


def test_the_rank_is_the_position_in_the_sorted_list():
    # Ranking by argsort + 1 would give .16, .02, .0133…, .02 for these.
    p = [0.04, 0.01, 0.03, 0.02]
    assert benjamini_hochberg(p) == pytest.approx([0.04, 0.04, 0.04, 0.04])
    assert holm(p) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    wrong = [min(1, 4 * value / (rank + 1)) for value, rank in zip(p, np.argsort(p), strict=True)]
    assert benjamini_hochberg(p) != pytest.approx(wrong)


@given(p=P_VALUES, seed=st.integers(0, 9))
def test_shuffling_the_tests_shuffles_the_answers(p, seed):
    order = np.random.default_rng(seed).permutation(len(p))
    for adjust in (holm, benjamini_hochberg):
        assert [adjust(p)[i] for i in order] == pytest.approx(adjust([p[i] for i in order]))


@given(p=P_VALUES)
def test_adjusting_never_lowers_a_p_value_nor_swaps_two_and_bh_is_the_milder(p):
    step_down, step_up = holm(p), benjamini_hochberg(p)
    order = np.argsort(p)
    for adjusted in (step_down, step_up):
        assert all(raw <= value <= 1 for raw, value in zip(p, adjusted, strict=True))
        assert (np.diff(np.array(adjusted)[order]) >= -1e-15).all()
    assert all(mild <= strict + 1e-15 for mild, strict in zip(step_up, step_down, strict=True))


@pytest.mark.parametrize("absent", [None, math.nan])
def test_a_missing_p_value_stays_missing_and_does_not_count(absent):
    assert holm([0.01, absent, 0.02]) == [0.02, None, 0.02]
    assert benjamini_hochberg([absent, 0.01, 0.02]) == [None, 0.02, 0.02]
    assert holm([absent]) == [None]


def test_a_declared_family_keeps_its_size_when_a_test_could_not_run():
    assert holm([0.01, None, 0.02], family_size=3) == pytest.approx([0.03, None, 0.04])
    assert benjamini_hochberg([0.01, None, 0.02], family_size=3) == pytest.approx([0.03, None, 0.03])
    with pytest.raises(ValueError, match="family_size 1 is below the number of p-values, 2"):
        holm([0.1, 0.2], family_size=1)


def test_an_empty_family_is_empty_and_a_p_value_outside_its_range_is_refused():
    assert holm([]) == []
    assert benjamini_hochberg([]) == []
    with pytest.raises(ValueError, match=r"p-values must lie in \[0, 1\]"):
        holm([0.1, 1.1])


def test_statsmodels_takes_a_missing_p_value_for_a_rejection_or_loses_all_the_others():
    # Why these two are not statsmodels' own: a family here keeps tests that could not be run.
    p = [0.01, math.nan, 0.02]
    rejected, adjusted, *_ = multipletests(p, method="holm")
    assert rejected.tolist() == [True, True, True]
    assert adjusted == pytest.approx([0.03, math.nan, 0.04], nan_ok=True)
    assert np.isnan(multipletests(p, method="fdr_bh")[1]).all()
    assert holm(p) == [0.02, None, 0.02]
    assert benjamini_hochberg(p) == [None if math.isnan(raw) else 0.02 for raw in p]


def test_statsmodels_adjusts_a_p_value_that_is_none():
    assert multipletests([0.01, 1.4, 0.02], method="holm")[1] == pytest.approx([0.03, 1.0, 0.04])


def test_a_report_finds_out_what_is_significant_without_loading_statsmodels():
    code = "import sys, reports.wording, auditor.statistics.multiplicity; print('statsmodels' in sys.modules)"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, text=True, capture_output=True, check=False)
    assert (done.stdout, done.stderr) == ("False\n", "")


@settings(deadline=None, max_examples=25)
@given(p=P_VALUES, missing=st.integers(0, 5))
def test_a_family_of_declared_size_is_statsmodels_own_with_ones_for_what_could_not_run(p, missing):
    filled = [*p, *[1.0] * missing]
    for adjust, method in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        theirs = multipletests(filled, method=method)[1][: len(p)]
        assert adjust(p, family_size=len(filled)) == pytest.approx(theirs, abs=1e-9)
