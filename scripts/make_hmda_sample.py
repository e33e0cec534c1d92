"""Write ``auditor/data/hmda/lar_synthetic.csv.gz``: a made-up file in the layout of the public HMDA register (2018 on).

    python scripts/make_hmda_sample.py [FILE]

Nobody in it exists. Its 99 columns and their codes are those of the public loan application register; every row names a
lender that says so (``SYNTHETIC…``). Decisions follow debt to income, loan to value and chance, and are made harder for
one group and dearer for another by known amounts, so that what is planted can be looked for:

- log-odds of approval 0.6 lower where derived_race is Black or African American,
- rate spread 0.15 points higher where derived_ethnicity is Hispanic or Latino.

The same seed gives the same bytes (the standard library's generator, whose sequence is fixed).
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import random
import sys
from pathlib import Path

ROWS = 4000
SEED = 2019
TARGET = Path(__file__).parents[1] / "auditor" / "data" / "hmda" / "lar_synthetic.csv.gz"
LENDERS = [f"SYNTHETIC0000LENDER{number:02d}" for number in range(25)]
COLUMNS = (
    "activity_year", "lei", "derived_msa-md", "state_code", "county_code", "census_tract", "conforming_loan_limit",
    "derived_loan_product_type", "derived_dwelling_category", "derived_ethnicity", "derived_race", "derived_sex",
    "action_taken", "purchaser_type", "preapproval", "loan_type", "loan_purpose", "lien_status", "reverse_mortgage",
    "open-end_line_of_credit", "business_or_commercial_purpose", "loan_amount", "loan_to_value_ratio", "interest_rate",
    "rate_spread", "hoepa_status", "total_loan_costs", "total_points_and_fees", "origination_charges",
    "discount_points", "lender_credits", "loan_term", "prepayment_penalty_term", "intro_rate_period",
    "negative_amortization", "interest_only_payment", "balloon_payment", "other_nonamortizing_features",
    "property_value", "construction_method", "occupancy_type", "manufactured_home_secured_property_type",
    "manufactured_home_land_property_interest", "total_units", "multifamily_affordable_units", "income",
    "debt_to_income_ratio", "applicant_credit_score_type", "co-applicant_credit_score_type",
    *(f"applicant_ethnicity-{n}" for n in range(1, 6)), *(f"co-applicant_ethnicity-{n}" for n in range(1, 6)),
    "applicant_ethnicity_observed", "co-applicant_ethnicity_observed",
    *(f"applicant_race-{n}" for n in range(1, 6)), *(f"co-applicant_race-{n}" for n in range(1, 6)),
    "applicant_race_observed", "co-applicant_race_observed", "applicant_sex", "co-applicant_sex",
    "applicant_sex_observed", "co-applicant_sex_observed", "applicant_age", "co-applicant_age",
    "applicant_age_above_62", "co-applicant_age_above_62", "submission_of_application",
    "initially_payable_to_institution", *(f"aus-{n}" for n in range(1, 6)),
    *(f"denial_reason-{n}" for n in range(1, 5)),
    "tract_population", "tract_minority_population_percent", "ffiec_msa_md_median_family_income",
    "tract_to_msa_income_percentage", "tract_owner_occupied_units", "tract_one_to_four_family_homes",
    "tract_median_age_of_housing_units",
)  # fmt: skip
RACES = {
    "White": (0.60, "5"), "Black or African American": (0.12, "3"), "Asian": (0.08, "2"),
    "American Indian or Alaska Native": (0.01, "1"), "Native Hawaiian or Other Pacific Islander": (0.01, "4"),
    "2 or more minority races": (0.01, "5"), "Joint": (0.03, "5"), "Free Form Text Only": (0.002, ""),
    "Race Not Available": (0.138, "6"),
}  # fmt: skip
AGES = ("<25", "25-34", "35-44", "45-54", "55-64", "65-74", ">74", "8888")
AGE_WEIGHTS = (5, 24, 26, 20, 14, 7, 3, 1)
PURPOSES, PURPOSE_WEIGHTS = ("1", "2", "31", "32", "4", "5"), (45, 8, 22, 20, 4, 1)
TYPES, TYPE_WEIGHTS = ("1", "2", "3", "4"), (72, 18, 8, 2)
PRODUCTS = {"1": "Conventional", "2": "FHA", "3": "VA", "4": "FSA/RHS"}
#: What partly exempt lenders report in place of numbers and of codes.
EXEMPT_NUMBERS = (
    "loan_to_value_ratio", "interest_rate", "rate_spread", "total_loan_costs", "total_points_and_fees",
    "origination_charges", "discount_points", "lender_credits", "loan_term", "prepayment_penalty_term",
    "intro_rate_period", "property_value", "multifamily_affordable_units", "debt_to_income_ratio",
)  # fmt: skip
EXEMPT_CODES = (
    "reverse_mortgage", "open-end_line_of_credit", "business_or_commercial_purpose", "negative_amortization",
    "interest_only_payment", "balloon_payment", "other_nonamortizing_features",
    "manufactured_home_secured_property_type", "manufactured_home_land_property_interest",
    "applicant_credit_score_type", "co-applicant_credit_score_type", "submission_of_application",
    "initially_payable_to_institution", "aus-1", "denial_reason-1",
)  # fmt: skip


def band(ratio: float) -> str:
    """A debt-to-income ratio as the public file prints it."""
    for below, text in ((20, "<20%"), (30, "20%-<30%"), (36, "30%-<36%"), (50, ""), (60, "50%-60%")):
        if ratio < below:
            return text or str(int(ratio))
    return ">60%"


def one(draw: random.Random) -> dict[str, str]:
    """One made-up application."""
    race = draw.choices(list(RACES), [weight for weight, _ in RACES.values()])[0]
    sex = draw.choices(("Male", "Female", "Joint", "Sex Not Available"), (32, 24, 34, 10))[0]
    ethnicity = draw.choices(
        ("Not Hispanic or Latino", "Hispanic or Latino", "Joint", "Ethnicity Not Available", "Free Form Text Only"),
        (72, 12, 3, 12.8, 0.2),
    )[0]
    income = draw.lognormvariate(4.5, 0.5)
    ratio = min(75.0, max(5.0, draw.gauss(37, 11)))
    to_value = min(110.0, max(20.0, draw.gauss(78, 17)))
    value = round(draw.lognormvariate(12.7, 0.5) / 10_000) * 10_000 + 5_000
    loan_type = draw.choices(TYPES, TYPE_WEIGHTS)[0]
    purpose = draw.choices(PURPOSES, PURPOSE_WEIGHTS)[0]
    odds = 2.4 - 0.055 * (ratio - 37) - 0.03 * (to_value - 78) + 0.5 * math.log(income / 90)
    odds -= 0.6 * (race == "Black or African American")
    approved = draw.random() < 1 / (1 + math.exp(-odds))
    action = draw.choices(("1", "2"), (95, 5))[0] if approved else "3"
    if draw.random() < 0.02:
        action = "8" if approved else "7"
    action = draw.choices((action, "4", "5", "6"), (76, 12, 4, 8))[0]
    spread = 0.3 + 0.012 * (ratio - 37) + 0.008 * (to_value - 78) + draw.gauss(0, 0.5)
    spread += 0.15 * (ethnicity == "Hispanic or Latino")
    granted = action in ("1", "2", "8")
    alone = sex != "Joint"
    age = draw.choices(AGES, AGE_WEIGHTS)[0]
    costs = max(0.0, draw.gauss(4200, 1500))
    row = dict.fromkeys(COLUMNS, "")
    row |= {
        "activity_year": "2023", "lei": draw.choice(LENDERS), "derived_msa-md": "99999", "state_code": "ZZ",
        "county_code": "99999", "census_tract": f"99999{draw.randrange(100, 140):06d}", "conforming_loan_limit": "C",
        "derived_loan_product_type": f"{PRODUCTS[loan_type]}:First Lien",
        "derived_dwelling_category": "Single Family (1-4 Units):Site-Built",
        "derived_ethnicity": ethnicity, "derived_race": race, "derived_sex": sex, "action_taken": action,
        "purchaser_type": "0", "preapproval": "1" if action in "78" else "2", "loan_type": loan_type,
        "loan_purpose": purpose, "lien_status": draw.choices("12", (92, 8))[0], "reverse_mortgage": "2",
        "open-end_line_of_credit": "2", "business_or_commercial_purpose": "2",
        "loan_amount": f"{round(value * to_value / 100 / 10_000) * 10_000 + 5_000}.0",
        "loan_to_value_ratio": f"{to_value:.3f}" if action != "5" else "NA",
        "interest_rate": f"{6.5 + spread:.3f}" if granted else "NA",
        "rate_spread": f"{spread:.3f}" if granted else "NA", "hoepa_status": "2" if action == "1" else "3",
        "total_loan_costs": f"{costs:.2f}" if action == "1" else "NA", "total_points_and_fees": "NA",
        "origination_charges": f"{costs / 3:.2f}" if action == "1" else "NA", "loan_term": "360",
        "prepayment_penalty_term": "NA", "intro_rate_period": "NA", "negative_amortization": "2",
        "interest_only_payment": "2", "balloon_payment": "2", "other_nonamortizing_features": "2",
        "property_value": str(value) if action != "5" else "NA", "construction_method": "1",
        "occupancy_type": draw.choices("123", (90, 4, 6))[0], "manufactured_home_secured_property_type": "3",
        "manufactured_home_land_property_interest": "5", "total_units": "1", "multifamily_affordable_units": "NA",
        "income": f"{income:.0f}" if action != "6" else "NA",
        "debt_to_income_ratio": band(ratio) if action not in "456" else "NA",
        "applicant_credit_score_type": draw.choice("123"), "co-applicant_credit_score_type": "10" if alone else "9",
        "applicant_ethnicity-1": {"Hispanic or Latino": "1", "Not Hispanic or Latino": "2"}.get(ethnicity, "3"),
        "co-applicant_ethnicity-1": "5" if alone else "2", "applicant_ethnicity_observed": "2",
        "co-applicant_ethnicity_observed": "4" if alone else "2", "applicant_race-1": RACES[race][1],
        "co-applicant_race-1": "8" if alone else "5", "applicant_race_observed": "2",
        "co-applicant_race_observed": "4" if alone else "2",
        "applicant_sex": {"Male": "1", "Female": "2", "Joint": "1"}.get(sex, "3"),
        "co-applicant_sex": "5" if alone else "2", "applicant_sex_observed": "2",
        "co-applicant_sex_observed": "4" if alone else "2", "applicant_age": age,
        "co-applicant_age": "9999" if alone else draw.choices(AGES, AGE_WEIGHTS)[0],
        "applicant_age_above_62": "NA" if age == "8888" else "Yes" if age in ("65-74", ">74") else "No",
        "co-applicant_age_above_62": "NA" if alone else "No", "submission_of_application": "1",
        "initially_payable_to_institution": "1", "aus-1": draw.choice("126"),
        "denial_reason-1": draw.choices("13459", (40, 30, 10, 10, 10))[0] if action in "37" else "10",
        "tract_population": str(draw.randrange(2000, 8000)),
        "tract_minority_population_percent": f"{draw.uniform(3, 95):.2f}", "ffiec_msa_md_median_family_income": "90000",
        "tract_to_msa_income_percentage": str(draw.randrange(50, 180)),
        "tract_owner_occupied_units": str(draw.randrange(400, 2500)),
        "tract_one_to_four_family_homes": str(draw.randrange(500, 3000)),
        "tract_median_age_of_housing_units": str(draw.randrange(5, 70)),
    }  # fmt: skip
    if action in "37":  # further reasons, each another one
        others = draw.sample([each for each in "134569" if each != row["denial_reason-1"]], 3)
        for at in range(draw.choices(range(4), (75, 18, 5, 2))[0]):
            row[f"denial_reason-{at + 2}"] = others[at]
    if row["lei"] in LENDERS[:2]:  # lenders of few loans are exempt from a part of it
        row |= dict.fromkeys(EXEMPT_NUMBERS, "Exempt") | dict.fromkeys(EXEMPT_CODES, "1111")
        row |= dict.fromkeys([f"denial_reason-{at}" for at in range(2, 5)], "")
    return row


def content(rows: int = ROWS, *, seed: int = SEED) -> bytes:
    """The file, not packed."""
    draw = random.Random(seed)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(one(draw) for _ in range(rows))
    return text.getvalue().encode()


def main() -> None:
    """Write it."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.parent.mkdir(parents=True, exist_ok=True)
    # No time of day in the file, so that it is the same each time.
    target.write_bytes(gzip.compress(content(), mtime=0))
    print(f"{target}: {ROWS} rows, {len(COLUMNS)} columns, {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
