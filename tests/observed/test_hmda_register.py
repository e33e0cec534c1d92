"""The ready-made mapping of the public HMDA register reads all its codes, and finds what the synthetic file holds."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from auditor.applications import apply_mapping
from auditor.decision_audit import TESTS, conclude_decisions
from auditor.hmda import SYNTHETIC, hmda_mapping, synthetic_register
from auditor.mapping_checks import check_mapping
from auditor.observed.building import observe
from auditor.observed.columns import Numbers
from auditor.observed.contrasts import contrast_of
from auditor.observed.measures import Sampling, amount_gaps, at_equal_factors, reason_gaps
from auditor.observed.reading import read_decisions
from auditor.records import Conclusion
from auditor.tables import Reading, read_table
from tests.observed.asked import plan

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_hmda_sample.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_hmda_sample", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def register():
    return synthetic_register()


@pytest.fixture(scope="module")
def rows():
    return list(csv.DictReader(io.StringIO(gzip.decompress(SYNTHETIC.read_bytes()).decode())))


def test_the_file_is_the_scripts_and_says_that_it_is_synthetic(script, rows):
    assert gzip.decompress(SYNTHETIC.read_bytes()) == script.content()
    assert len(script.COLUMNS) == len(set(script.COLUMNS)) == 99
    assert all(row["lei"].startswith("SYNTHETIC") for row in rows)
    assert "synthetic" in SYNTHETIC.name


def test_every_column_is_a_field_or_excluded_with_a_reason_and_nothing_stops_an_audit():
    lines = check_mapping(read_table(SYNTHETIC), hmda_mapping())
    assert not [line for line in lines if "STOPS" in line or "neither a field" in line or "not in the table" in line]
    assert not [line for line in lines if line.startswith("stops")]
    assert len(apply_mapping(read_table(SYNTHETIC), hmda_mapping(), source="x", file_sha256="").records) == 4000


def test_every_action_is_on_its_side_or_counted(register, rows):
    sides = {"1": 1, "2": 1, "8": 1, "3": 0, "7": 0}
    assert register.outcome.tolist() == [sides.get(row["action_taken"], -1) for row in rows]
    assert set(register.others) == {"withdrawn", "file closed for incompleteness", "purchased loan"}
    assert sum(register.others.values()) == sum(row["action_taken"] in "456" for row in rows)


def test_exempt_and_not_applicable_are_not_stated_and_never_numbers(register, rows):
    spread = register.prices[0].values
    texts = [row["rate_spread"] for row in rows]
    assert {"Exempt", "NA"} < set(texts)
    assert [None if np.isnan(each) else each for each in spread] == [
        None if text in ("Exempt", "NA", "") else float(text) for text in texts
    ]
    by_name = {item.name: item for item in register.controls}
    assert by_name["reverse_mortgage"].names == ("no",)
    assert (by_name["reverse_mortgage"].codes == -1).sum() == sum(row["reverse_mortgage"] == "1111" for row in rows) > 0
    for item in (*register.controls, *register.prices):
        if isinstance(item, Numbers):
            assert not np.isin(item.values, (1111, 8888, 9999)).any()


def test_bands_stay_bands_joint_is_a_group_and_not_available_is_none(register):
    age, race, sex = (register.attribute(name) for name in ("age", "race", "sex"))
    assert age.names == ("25-34", "35-44", "45-54", "55-64", "65-74", "<25", ">74")
    assert "Joint" in race.names
    assert "Joint" in sex.names
    assert not any("Not Available" in name for name in (*race.names, *sex.names))
    bands = next(item for item in register.controls if item.name == "debt_to_income").names
    assert {"<20%", "20%-<30%", "36", "50%-60%", ">60%"} <= set(bands)


@pytest.mark.parametrize("code", ["Exempt", "NA", None])
def test_a_number_that_says_nothing_is_not_stated_in_every_column_of_numbers(code):
    numbers = [item.column for item in hmda_mapping().fields if item.type == "number"]
    frame = read_table(SYNTHETIC).frame.head(300)
    allowed = [name for name in numbers if code != "Exempt" or name not in ("income", "loan_amount")]
    found = observe(frame.with_columns(pl.lit(code).alias(name) for name in allowed), hmda_mapping(), source="x")
    for item in (*found.prices, *found.controls):
        if isinstance(item, Numbers) and item.name not in ("income", "loan_amount"):
            assert np.isnan(item.values).all()


def test_the_planted_line_and_the_planted_price_lie_within_their_intervals(register):
    black = contrast_of(register, register.attribute("race"), group="Black or African American", reference="White")
    found = at_equal_factors(black, level=0.95)
    assert found.odds_ratio.interval.low < np.exp(0.6) < found.odds_ratio.interval.high
    assert found.odds_ratio.test.p_value < 0.01
    assert "clusters" not in found.odds_ratio.counts  # lenders of the file are those audited, not drawn from many
    hispanic = contrast_of(
        register, register.attribute("ethnicity"), group="Hispanic or Latino", reference="Not Hispanic or Latino"
    )
    spread = amount_gaps(hispanic, register.prices[0], Sampling(0.95)).adjusted.difference
    assert spread.interval.low < 0.15 < spread.interval.high
    assert set(reason_gaps(black, level=0.95)) >= {"debt-to-income ratio", "credit history"}


def test_pipes_and_an_archive_give_the_same_columns(register, rows, tmp_path):
    path = tmp_path / "lar.txt"
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0], delimiter="|")
        writer.writeheader()
        writer.writerows(rows)
    found = read_decisions(path, replace(hmda_mapping(), reading=Reading(delimiter="|")))
    assert (found.outcome == register.outcome).all()
    assert found.others == register.others
    assert found.attribute("race").names == register.attribute("race").names


def test_a_plan_concludes_the_whole_register_by_the_tests_it_names(register):
    attributes = [
        {"field": "race", "groups": ["White", "Black or African American", "Asian"], "reference": "White"},
        {"field": "sex", "groups": ["Male", "Female", "Joint"], "reference": "Male"},
    ]
    asked = plan(attributes=attributes, use__policy_packs=["us-fha", "us-ecoa-regb"], tests__run=list(TESTS))
    found = conclude_decisions(asked, register)
    assert {item.test for item in found} == set(TESTS)
    untested = {item.test: item.missing_reason for item in found if item.conclusion is Conclusion.NOT_TESTED}
    assert untested == {
        "observed_scores": "the decision file has no score",
        "observed_later": "the decision file records no later outcome",
        "observed_likely_groups": "the decision file has no probabilities of groups",
        "observed_agreement": "the decision file records no decision of a person beside",
    }
    (black,) = (
        item
        for item in found
        if item.metric == "adjusted_difference" and item.subject["group"] == "Black or African American"
    )
    assert black.conclusion is Conclusion.DIFFERENCE_FOUND
    assert black.estimate < 0
    few = conclude_decisions(plan(attributes=attributes, tests__run=["observed_rates"]), register)
    assert {item.test for item in few} == {"observed_rates"}
