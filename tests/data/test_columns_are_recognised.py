"""What a column is, by its name and its values, with the reason: messy names, three languages, and false friends."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from auditor.column_words import COUNTED
from auditor.mapping_inference import propose
from auditor.proposals import proposed
from auditor.recognition import MASKED, NOTHING, recognise

NAMED, VALUES = "its name is that of", "its values are"
IBANS = ["DE89370400440532013000", "GB82WEST12345698765432", "ES9121000418450200051332"]
SOME = ["a", "b", "c"]


@pytest.mark.parametrize(
    ("name", "values", "role", "why"),
    [
        # As exports name them.
        ("Race Cd", [1, 2, 3], "protected", NAMED),
        ("RaceCode", [1, 2, 3], "protected", NAMED),
        ("racecd", [1, 2, 3], "protected", NAMED),
        ("APPL_RACE_1", [1, 2, 3], "protected", NAMED),
        ("race of applicant", SOME, "protected", NAMED),
        ("Sex Code", ["1", "2"], "protected", NAMED),
        ("co-applicant_sex_desc", SOME, "protected", NAMED),
        ("AgeGrp", SOME, "protected", NAMED),
        ("MARITAL_STAT", SOME, "protected", NAMED),
        ("DOB", ["1980-01-31"], "protected", NAMED),
        ("Birth Dt", [19800131], "protected", NAMED),
        ("SSN", ["123-45-6789"], "identifier", NAMED),
        ("Cust_Phone_No", ["1"], "identifier", NAMED),
        ("e-mail address", ["x"], "identifier", NAMED),
        ("zip", [2134, 10001], "proxy", NAMED),
        ("ZIP5", ["02134"], "proxy", NAMED),
        ("County Code", [1, 2], "proxy", NAMED),
        ("CustomerName", SOME, "protected_proxy", NAMED),
        ("Language Cd", [1, 2], "protected_proxy", NAMED),
        # German.
        ("Geschlechtskennzeichen", [1, 2], "protected", NAMED),
        ("GESCHL_KZ", ["m", "w"], "protected", NAMED),
        ("Geb.-Datum", ["31.01.1980"], "protected", NAMED),
        ("Staatsangehörigkeit_Schlüssel", [1, 2], "protected", NAMED),
        ("Familienstand (Schlüssel)", [1, 2], "protected", NAMED),
        ("PLZ Kunde", ["10115"], "proxy", NAMED),
        ("Vorname", SOME, "protected_proxy", NAMED),
        ("Telefonnummer", ["030 1"], "identifier", NAMED),
        # Spanish.
        ("sexo_solicitante", ["H", "M"], "protected", NAMED),
        ("EdadCliente", [31, 45], "protected", NAMED),
        ("fec_nac", ["31/01/1980"], "protected", NAMED),
        ("Estado Civil", SOME, "protected", NAMED),
        ("Código Postal", ["28001"], "proxy", NAMED),
        ("apellido_1", SOME, "protected_proxy", NAMED),
        ("DNI", ["12345678Z"], "identifier", NAMED),
        # By their values, whatever the name.
        ("column 3", ["F", "M"], "protected", VALUES),
        ("q7", ["casado", "soltera", "viudo"], "protected", VALUES),
        ("feld", ["ledig", "verheiratet"], "protected", VALUES),
        ("x2", ["Mr", "Mrs", "Ms"], "protected_proxy", VALUES),
        ("contact", ["a@example.org", "b.c@example.com", "d@example.de"], "identifier", VALUES),
        ("ref", ["123-45-6789", "987-65-4321", "111-22-3333"], "identifier", VALUES),
        ("pay from", IBANS, "identifier", VALUES),
        ("nr_2", ["12345678Z", "00000000T", "87654321X"], "identifier", VALUES),
        ("c", [4111111111111111, 5555555555554444, 4012888888881881], "identifier", "its numbers are"),
        ("reach", ["+49 30 1234567", "+49 89 7654321", "+34 91 123 45 67"], "identifier", VALUES),
        ("area", ["157xx", "941xx", "606xx"], "proxy", VALUES),
        ("column 4", ["02134", "10001", "60601", "00501"], "proxy", "five digits"),
        ("column 5", ["1961-02-03", "1975-11-30", "1988-07-01"], "protected", "dates over 27 years, none after 1988"),
        ("column 6", ["Anna Schmidt", "José Ñandú", "Li Wei", "Mary-Jane O'Neil"], "protected_proxy", "names"),
        ("borrower", ["Anna Schmidt", "Omar Haddad", "Li Wei"], "protected_proxy", "most values differ"),
    ],
)  # fmt: skip
def test_a_column_is_recognised_and_says_why(name: str, values: list[Any], role: str, why: str) -> None:
    found = recognise(name, pl.Series(name, values))
    assert (found.role, found.masked) == (role, True)
    assert why in found.why


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("interest rate", [3.5, 4.5]),
        ("sexual_offence", ["yes", "no"]),
        ("age of account", [12, 90]),
        ("account_age", [12, 90]),
        ("Vehicle Age", [1, 9]),
        ("oldest tradeline age (months)", [1, 900]),
        ("car_color", ["red", "blue"]),
        ("Vertragsalter", [1, 2]),
        ("antiguedad_cuenta_edad", [1, 2]),
        ("name of product", ["Gold", "Silver"]),
        ("product_name", ["Golden Saver", "Prime Choice", "First Home"]),
        ("employer", ["Acme Works", "Blue River", "Red Hill"]),
        ("mobile_banking_logins", [1, 2]),
        ("phone_verified", ["Y", "N"]),
        ("email_domain", ["example.org", "example.com"]),
        ("mortgage", [1, 2]),
        ("percentage", [1.5, 2.5]),
        ("average_balance", [1, 2]),
        ("trace", ["a", "b"]),
        ("grace_period", [1, 2]),
        ("purpose_code", [1, 2]),
        ("open_dt", ["1985-02-03", "1995-11-30", "2005-07-01"]),
        ("column 8", ["Oct-2001", "Jan-1985", "May-1999"]),
        ("branch_code", ["02134", "10001", "60601"]),
        ("column 9", ["36 months", "60 months", "48 months"]),
        ("Laufzeit", [12, 60]),
        ("insured", ["yes", "no"]),
        ("history", ["good", "bad"]),
        ("visit", ["open", "approved"]),
        ("plazo", [12, 60]),
    ],
)
def test_what_only_sounds_like_it_stays_a_predictor(name: str, values: list[Any]) -> None:
    found = recognise(name, pl.Series(name, values))
    assert (found.role, found.why, found.masked) == ("predictor", NOTHING, False)
    assert found.role not in MASKED


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("Race Cd", [1, 2, 5], "category"),
        ("Sex Code", [1, 2], "category"),
        ("Language Cd", [1, 2], "category"),
        ("No of Dependents", [0, 1, 2], "number"),
        ("Marriage Cd", [1, 2, 3], "category"),
        ("ApplicantAge", [31, 45, 60], "number"),
        ("DOB", [19800131, 19751130, 19660707], "text"),
        ("zip", [10001 + 7 * number for number in range(60)], "text"),
        ("zip", [10001, 10002], "category"),
        ("minority_population", [100 + 7 * number for number in range(60)], "number"),
        ("Interest Rate", ["3.5%", "4.25%", "5%"], "number"),
    ],
)
def test_a_code_is_no_number(name: str, values: list[Any], kind: str) -> None:
    rows = values * (60 // len(values))
    frame = pl.DataFrame({name: rows, "income": [1000 + number for number in range(len(rows))]})
    fields = propose(frame, "t").mapping.fields
    assert next(item for item in fields if item.column == name).type == kind


def test_decisions_give_the_outcome_away_whatever_its_name() -> None:
    found = recognise("Dec Res", pl.Series(["Approved", "DECLINED", "withdrawn by applicant", "Approved"]))
    assert (found.role, found.why, found.masked) == ("outcome", "its values are decisions", False)
    frame = pl.DataFrame({"Dec Res": ["Approved", "Declined", "Pending"] * 9, "x": range(27)})
    (outcome,) = (item for item in propose(frame, "t").mapping.fields if item.role == "outcome")
    assert (outcome.favourable, outcome.adverse) == ("Approved", "Declined")


def test_a_language_is_no_age() -> None:
    assert not re.search(COUNTED, "language_cd")
    assert not re.search(COUNTED, "marriage_cd")
    assert re.search(COUNTED, "applicant_age")


def test_a_proposal_says_of_every_column_why() -> None:
    frame = pl.DataFrame(
        {"id": [1, 2, 3] * 9, "Race Cd": [1, 2, 1] * 9, "income": range(27), "approved": [0, 1, 1] * 9}
    )
    roles = propose(frame, "t").roles
    assert list(roles) == frame.columns
    assert [roles[name].role for name in frame.columns] == ["predictor", "protected", "predictor", "outcome"]
    assert all(found.why for found in roles.values())


def test_a_protected_field_is_called_as_policy_packs_call_it_where_it_is_the_only_one() -> None:
    people = {"Race Cd": [1, 2, 1] * 9, "Sex Code": [1, 2, 2] * 9, "x": range(27)}
    names = {item.column: item.name for item in propose(pl.DataFrame(people), "t").mapping.fields}
    assert (names["Race Cd"], names["Sex Code"]) == ("race", "sex")
    both = {"applicant_sex": ["m", "f", "m"] * 9, "coapplicant_sex": ["f", "m", "m"] * 9, "x": range(27)}
    names = {item.column: item.name for item in propose(pl.DataFrame(both), "t").mapping.fields}
    assert (names["applicant_sex"], names["coapplicant_sex"]) == ("applicant_sex", "coapplicant_sex")


@pytest.mark.parametrize(("rate", "income"), [("4.25%", "$39,375"), ("4,25%", "€39.375")])
def test_a_mark_that_one_column_leaves_no_doubt_of_holds_for_the_others(tmp_path: Path, rate: str, income: str) -> None:
    # With semicolons, 39,375 dollars would be 39 of them and a bit.
    path = tmp_path / "a.csv"
    path.write_text("rate;income;sex\n" + "".join(f"{rate};{income[:-1]}{n % 10};{'mf'[n % 2]}\n" for n in range(30)))
    table = proposed(path, "a").table
    values = next(item for item in propose(table, "a").mapping.fields if item.column == "income").values_in(table.frame)
    assert values[:2] == [39_370.0, 39_371.0]


def test_reasons_of_a_masked_column_quote_no_value(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("DOB,approved\n" + "".join(f"{1 + n % 12:02d}/0{1 + n % 9}/1980,{n % 2}\n" for n in range(40)))
    text = proposed(path, "a").proposal.text()
    assert "dates such as '•••', of which nothing says whether day or month stands first" in text
    assert "1980" not in text
