"""Names in short forms, run together, as questions, and in languages of all Europe and beyond are recognised."""

from __future__ import annotations

import polars as pl
import pytest

from auditor.column_words import outcome_names, plain, role_of
from auditor.recognition import NOTHING, recognise
from auditor.short_names import spelled_out

PROTECTED = """
    BRTH_DT brthdt yob birth GEBDAT PREG_IND VET_STS disab_flg Hndcp orient nat_orig relig_cd rlgn ctznshp
    pub_assist caste Nat. Konf. Fam.-Stand FAMST STAATSANG NAT_KZ RELZUG Behinderungsgrad AGE_AT_APP
    age_at_origination custage custrace applrace1 hisp_latino minority_owned płeć wiek cinsiyet
    yaş kön køn ålder alder sukupuoli ikä obywatelstwo rodinný_stav medeni_hal 性別 年齢 国籍 пол возраст 성별 φύλο
"""
SOUNDING = """
    mortgage usage coverage stage balance long_term no_of_accts last_date first_date orig_date orig_amount
    national_bank public_records account_age_years acct_age birthday_bonus appraisal child_support lat_fee
    origin_channel application_date ratio margin marketing post_date family_size sexual_offence race_date
    legal_status loan_age language_model customer_status status_code last_payment first_payment relief
    religare_fee email_status phone_status address_status depot nature
"""
WHOLE_LINES = [
    "s\u0435x",  # a Cyrillic letter among Latin ones
    "How old are you?",
    "What is your gender?",
    "Are you a US citizen?",
    "Дата рождения",
    "Datum narození",
]


@pytest.mark.parametrize("name", [*PROTECTED.split(), *WHOLE_LINES])
def test_a_protected_attribute_is_known_by_its_short_name(name: str) -> None:
    found = recognise(name, pl.Series(["1", "2", "3"]))
    assert (found.role, found.masked) == ("protected", True)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("First Nm", "protected_proxy"),
        ("lname", "protected_proxy"),
        ("firstname1", "protected_proxy"),
        ("Lang Pref", "protected_proxy"),
        ("langspoken", "protected_proxy"),
        ("device_lang", "protected_proxy"),
        ("ANZ_KIND", "protected_proxy"),
        ("GEBORT", "protected_proxy"),
        ("Number of children under 18", "protected_proxy"),
        ("Civilité", "protected_proxy"),
        ("nazwisko", "protected_proxy"),
        ("氏名", "protected_proxy"),
        ("home_addr", "proxy"),
        ("Home ZIP (5 digits)", "proxy"),
        ("PLZORT", "proxy"),
        ("CP", "proxy"),
        ("lat", "proxy"),
        ("kod_pocztowy", "proxy"),
        ("郵便番号", "proxy"),
        ("tax no", "identifier"),
        ("national_no", "identifier"),
        ("Tel", "identifier"),
        ("PESEL", "identifier"),
    ],
)
def test_so_is_what_says_who_somebody_is(name: str, role: str) -> None:
    found = recognise(name, pl.Series(["1", "2", "3"]))
    assert (found.role, found.masked) == (role, True)


@pytest.mark.parametrize(
    "name",
    SOUNDING.split(),
)
def test_what_only_sounds_like_it_is_left(name: str) -> None:
    assert role_of(plain(name)) == ""
    assert recognise(name, pl.Series([1.5, 2.5])).why == NOTHING


def test_pieces_leave_nothing_over() -> None:
    assert spelled_out("custage") == "customer_age"
    assert spelled_out("custages") == "custages"
    assert spelled_out("x" * 100_000) == "x" * 100_000


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("APRV_IND", ["Y", "N"]),
        ("apprvd", ["1", "0"]),
        ("DEC_CD", ["APP", "DEC"]),
        ("ENTSCH_KZ", ["G", "A"]),
        ("Was the application approved?", ["Yes", "No"]),
        ("decyzja", ["tak", "nie"]),
    ],
)
def test_an_outcome_is_known_by_its_short_name(name: str, values: list[str]) -> None:
    assert recognise(name, pl.Series(values)).role == "outcome"


def test_a_month_is_no_decision() -> None:
    assert "decision" not in outcome_names("dec")
    assert "decision" not in outcome_names("dec_balance")
