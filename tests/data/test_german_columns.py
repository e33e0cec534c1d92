"""German names and values are recognised as English ones are, by one table of words."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.column_words import plain, role_of
from auditor.mapping_inference import Proposal
from auditor.mappings import Field
from auditor.proposals import proposed

HEADER = (
    "Antragsnummer;Nachname;Geschlecht;Alter;Nationalität;Geburtsdatum;PLZ;Einkommen;Kredithöhe;Familienstand;"
    "Entscheidung"
)
ROWS = [
    f"K-{number:04d};Name{number};{('weiblich', 'männlich')[number % 2]};{31 + number % 30};"
    f"{('deutsch', 'türkisch', 'polnisch')[number % 3]};{1 + number % 28:02d}.03.{1960 + number % 30};"
    f"{10115 + number % 7};{2000 + 37 * number};{5000 + 111 * number},50;"
    f"{('ledig', 'verheiratet', 'geschieden')[number % 3]};{('genehmigt', 'abgelehnt')[number % 4 == 0]}"
    for number in range(60)
]


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> Proposal:
    path = tmp_path_factory.mktemp("german") / "antraege.csv"
    path.write_text("\n".join([HEADER, *ROWS]) + "\n", encoding="utf-8")
    return proposed(path, "antraege").proposal


def of(proposal: Proposal, name: str) -> Field:
    (found,) = (item for item in proposal.mapping.fields if item.name == name)
    return found


def test_roles_and_types_are_those_of_english_names(german: Proposal) -> None:
    found = {item.name: (item.role, item.type) for item in german.mapping.fields}
    assert found == {
        "antragsnummer": ("id", "text"),
        "nachname": ("protected_proxy", "text"),
        "sex": ("protected", "category"),  # as policy packs call it
        "age": ("protected", "number"),
        "nationality": ("protected", "category"),
        "geburtsdatum": ("protected", "text"),
        "plz": ("proxy", "category"),
        "einkommen": ("predictor", "number"),
        "kredithoehe": ("predictor", "number"),
        "marital_status": ("protected", "category"),
        "entscheidung": ("outcome", "category"),
    }


def test_the_outcome_has_both_sides_and_labels_keep_their_letters(german: Proposal) -> None:
    outcome = of(german, "entscheidung")
    assert (outcome.favourable, outcome.adverse) == ("genehmigt", "abgelehnt")
    assert (of(german, "kredithoehe").label, of(german, "nationality").label) == ("Kredithöhe", "Nationalität")


@pytest.mark.parametrize(
    ("column", "role"),
    [
        ("Staatsangehörigkeit", "protected"),
        ("STAATSANGEHÖRIGKEIT", "protected"),
        ("Staatsangeho\u0308rigkeit", "protected"),
        ("kunde_geburtsjahr", "protected"),
        ("Altersgruppe", "protected"),
        ("Schwerbehinderung", "protected"),
        ("Anrede", "protected_proxy"),
        ("Vorname", "protected_proxy"),
        ("AnzahlKinder", "protected_proxy"),
        ("Straße", "proxy"),
        ("Bundesland", "proxy"),
        ("Telefonnummer", "identifier"),
        ("Steuer-ID", "identifier"),
        ("Gehalt", ""),
        ("Laufzeit", ""),
        ("Verwalter", ""),
    ],
)
def test_a_german_name_has_its_role(column: str, role: str) -> None:
    assert role_of(plain(column)) == role


@pytest.mark.parametrize(
    ("good", "bad", "name"),
    [
        ("bewilligt", "abgelehnt", "Kreditentscheidung"),
        ("ja", "nein", "Genehmigt"),
        ("getilgt", "ausgefallen", "Kreditstatus"),
    ],
)
def test_both_sides_of_an_outcome_are_known(good: str, bad: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"alter,{name}\n" + "".join(f"{20 + n},{(good, bad)[n % 2]}\n" for n in range(20)))
    (found,) = (item for item in proposed(path, "a").proposal.mapping.fields if item.role == "outcome")
    assert (found.favourable, found.adverse) == (good, bad) or found.words == {good: "yes", bad: "no"}


def test_values_give_a_column_away_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("spalte_3,wert\n" + "".join(f"{'mwd'[n % 3]},{n}\n" for n in range(20)))
    assert proposed(path, "a").proposal.mapping.fields[0].role == "protected"
