"""What somebody wrote about somebody, who decided, and numbers of one's own: in no sample, reason or exclusion."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from auditor.proposals import proposed
from auditor.recognition import recognise, with_forms
from compliance.registry.column_facts import facts_of
from compliance.registry.columns import masked_preview

HEAD = (
    "Surname,ref,Kommentar,remarks2,Bearbeiter,relationship manager,co_borrower_1,guarantor,tax code,acct,seat,sex,"
    "decision"
)
ROWS = [
    f"{('Garcia', 'Smith', 'Khan')[at % 3]},A{at},"
    f'"{("Herr Yilmaz ist krank", "ok")[at % 2]}",{("called Mr. Okafor", "waiting", "ok")[at % 3]},'
    f'"Huber, A.",{("Anna Schmidt", "Omar Haddad", "Li Wei")[at % 3]},'
    f"{('Jon Snow', 'Arya Stark', 'Ned Stark')[at % 3]},"
    f"{('Rosa Diaz', 'Jake Peralta')[at % 2]},{100 + at} {10 + at} {100000 + at},DE{10 + at}37040044053201{1000 + at},"
    f"{1067 + at % 9:05d} Dresden,{'mf'[at % 2]},{('approved', 'declined')[at % 4 == 0]}"
    for at in range(60)
]
PRIVATE = (
    "Garcia",
    "Yilmaz",
    "Okafor",
    "Huber",
    "Schmidt",
    "Haddad",
    "Snow",
    "Arya",
    "Rosa",
    "Peralta",
    "3704004",
    "100 10",
    "100000",
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("people") / "notes.csv"
    found.write_text("\n".join([HEAD, *ROWS]) + "\n", encoding="utf-8")
    return found


def test_nothing_that_is_kept_of_the_file_quotes_them(path: Path) -> None:
    found = proposed(path, "t")
    facts = facts_of(found.table, found.proposal.roles)
    told = [*found.proposal.lines(), found.proposal.text()]
    told += [str((each.samples, each.codes)) for each in facts]
    told += [" ".join(line) for line in masked_preview(found.table, found.proposal.mapping)]
    for private in PRIVATE:
        assert not [line for line in told if private in line], private


def test_free_text_is_text_and_people_who_stand_for_somebody_are_a_proxy(path: Path) -> None:
    found = proposed(path, "t").proposal
    fields = {item.column: item for item in found.mapping.fields}
    assert {fields[name].type for name in ("Kommentar", "remarks2", "relationship manager")} == {"text"}
    assert {fields[name].role for name in ("co_borrower_1", "guarantor")} == {"protected_proxy"}
    assert found.mapping.excluded["Bearbeiter"] == "constant"
    assert found.mapping.excluded["acct"] == "identifies a person"
    assert found.roles["Kommentar"].why == "free text, in which anybody may be named"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("note", ["A", "B", "C"]),
        ("underwriter", ["U01", "U02"]),
        ("officer", ["North Team 1", "desk"]),
        ("purpose", ["new car", "wedding party"]),
        ("channel", ["Frau am Schalter", "Internet"]),
    ],
)
def test_codes_and_words_are_left(name: str, values: list[str]) -> None:
    assert not recognise(name, pl.Series(values * 9)).masked


@pytest.mark.parametrize(
    ("values", "role", "why"),
    [
        (["01067 Dresden", "50667 Köln", "8001 Zürich"], "proxy", "postcodes with places"),
        (["Hauptstraße 5", "Am Weg 12a", "Goetheplatz 1"], "proxy", "addresses"),
        (["12 High Street", "4 Elm Road", "101 Ocean Ave"], "proxy", "addresses"),
        (["DE11370400440532013000", "DE22370400440532013001", "DE33370400440532013002"], "identifier", "IBAN"),
        (["00:1b:44:11:3a:b7", "00:1b:44:11:3a:b8", "00:1b:44:11:3a:b9"], "identifier", "devices"),
        (["10.0.0.1", "10.0.0.2", "192.168.7.9"], "identifier", "devices"),
    ],
)
def test_values_give_away_who_or_where_somebody_is(values: list[str], role: str, why: str) -> None:
    found = recognise("q17", pl.Series(values))
    assert (found.role, found.masked) == (role, True)
    assert why in found.why


@pytest.mark.parametrize(
    "values", [["1 Way Loan", "2 Way Loan", "3 Way Loan"], ["1.234.567", "2.345.678", "3.456.789"]]
)
def test_amounts_and_products_are_no_addresses(values: list[str]) -> None:
    assert not recognise("q17", pl.Series(values)).masked


def test_a_long_number_is_quoted_by_its_form() -> None:
    assert with_forms("such as '4711 0815 99' in line 2") == "such as '9999 9999 99' in line 2"
    assert with_forms("such as '1.10' in line 2") == "such as '1.10' in line 2"
    assert re.search(r"'…'|'•••'", with_forms("'•••' in line 2"))
