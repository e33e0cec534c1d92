"""What a proposal makes of columns as banks' programs write them: kept, asked about, or left as text with a reason."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow
import pyarrow.parquet
import pytest

from auditor.applications import apply_mapping
from auditor.exceptions import DataError
from auditor.mapping_checks import STOPS, check_mapping
from auditor.mappings import Field
from auditor.number_forms import guess_form
from auditor.proposals import Proposed, proposed
from auditor.tables import Table, read_table


def written(folder: Path, columns: dict[str, list[str]], delimiter: str = ",") -> Proposed:
    path = folder / "loans.csv"
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    path.write_text("\n".join(delimiter.join(row) for row in rows) + "\n", encoding="utf-8")
    return proposed(path, "loans")


def field(found: Proposed, column: str) -> Field:
    return next(item for item in found.proposal.mapping.fields if item.column == column)


def parquet(folder: Path, **columns: pyarrow.Array) -> Table:
    path = folder / "loans.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return read_table(path)


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_moments_of_every_unit_are_read(tmp_path: Path, unit: str, zone: str | None) -> None:
    moments = [datetime.datetime(1890, 1, 2, 3, 4, 5), None, datetime.datetime(2200, 1, 2, 3, 4, 5)]
    table = parquet(tmp_path, sex=pyarrow.array(["F"] * 3), asked=pyarrow.array(moments, pyarrow.timestamp(unit, zone)))
    assert table.unreadable == {}
    first, missing, last = table.frame["asked"]
    assert missing is None
    assert (first[:4], last[:4]) == ("1890", "2200")


@pytest.mark.parametrize(
    ("values", "digits", "read"),
    [
        (["1000.50", "-2.25"], (18, 2), [1000.5, -2.25]),
        (["0.1", "3"], (38, 18), [0.1, 3.0]),
        (["0.1", "0.123456789012345678"], (38, 18), ["0.100000000000000000", "0.123456789012345678"]),
        (["1234567890123456789"], (38, 0), ["1234567890123456789"]),
    ],
)
def test_wide_decimal_types_are_numbers_where_numbers_give_them_back(
    tmp_path: Path, values: list[str], digits: tuple[int, int], read: list[object]
) -> None:
    amounts = pyarrow.array(list(map(Decimal, values)), pyarrow.decimal128(*digits))
    assert parquet(tmp_path, amount=amounts).frame["amount"].to_list() == read


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["$(1,000.00)", "$2,000.00"], [-1000, 2000]),
        (["$ (1,000)", "$ 2,000"], [-1000, 2000]),
        (["€(1.000,50)", "€2.000,25"], [-1000.5, 2000.25]),
        (["($1,000.00)", "$2,000.00"], [-1000, 2000]),
    ],
)
def test_brackets_within_a_currency_are_a_minus(texts: list[str], numbers: list[float]) -> None:
    form = guess_form(texts).form
    assert form is not None
    assert [form.number(text) for text in texts] == numbers


@pytest.mark.parametrize("text", ["($(1,000))", "-$(1,000)", "$-(1,000)", "$(1,000", "$()"])
def test_two_signs_are_no_number(text: str) -> None:
    form = guess_form(["$(1,000.00)", "$2,000.00"]).form
    assert form is not None
    assert form.number(text) is None


@pytest.mark.parametrize(
    "texts", [["CHF 234.–", "CHF 1'234.–"], ["１０００", "２０００"], ["12 €/Monat", "13 €/Monat"]]
)
def test_amounts_that_no_form_reads_are_left_as_text_and_said(tmp_path: Path, texts: list[str]) -> None:
    found = written(tmp_path, {"income": texts * 6, "sex": ["F", "M", "F"] * 4}, ";")
    assert field(found, "income").type != "number"
    assert any("left as text" in line and repr(texts[0]) in line for line in found.proposal.lines())


@pytest.mark.parametrize("texts", [["A0001", "A0002"], ["EURO 5", "EURO 6"]])
def test_codes_with_digits_are_no_amounts(tmp_path: Path, texts: list[str]) -> None:
    assert not any("in no form" in line for line in written(tmp_path, {"x": texts * 6}).proposal.lines())


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["13/01/1980", "01/13/1980"], "dates of two orders, '•••' and '•••'"),  # a birth date is not quoted
        (["01/02/1980", "03/02/1980"], "nothing says whether day or month stands first"),
        (["13/01/1980", "03/02/1980"], ""),
        (["01.02.1980", "03.02.1980"], ""),
    ],
)
def test_dates_whose_day_cannot_be_told_are_said(tmp_path: Path, texts: list[str], said: str) -> None:
    lines = "\n".join(written(tmp_path, {"date_of_birth": texts * 6, "sex": ["F", "M", "F"] * 4}).proposal.lines())
    assert (said in lines) if said else ("dates" not in lines)


@pytest.mark.parametrize("kind", ["text", "workbook"])
def test_days_as_spreadsheets_count_them_are_said(tmp_path: Path, kind: str) -> None:
    days = [45_000 + 7 * n for n in range(12)]
    if kind == "text":
        found = written(tmp_path, {"opened_date": list(map(str, days)), "income": list(map(str, days))})
    else:
        book = openpyxl.Workbook()
        for row in (("opened_date", "income"), *((day, day) for day in days)):
            book.active.append(row)
        book.save(tmp_path / "loans.xlsx")
        found = proposed(tmp_path / "loans.xlsx", "loans")
    lines = [line for line in found.proposal.lines() if "as spreadsheets count them" in line]
    assert len(lines) == 1
    assert "2023-03-15 to 2023-05-31" in lines[0]


def test_an_outcome_with_a_code_or_a_reason_beside_it_names_its_sides(tmp_path: Path) -> None:
    values = ["Approved ", "APPROVED", "Declined - DTI", "05 - Declined", "Approved (with conditions)", "10 - Referred"]
    found = written(tmp_path, {"decision": values * 3, "sex": ["F", "M"] * 9})
    outcome = field(found, "decision")
    assert set(outcome.favourable or ()) == {"Approved", "APPROVED", "Approved (with conditions)"}
    assert set(outcome.adverse or ()) == {"Declined - DTI", "05 - Declined"}


@pytest.mark.parametrize("value", ["Approved - withdrawn", "Approved / Declined", "Pending: approved"])
def test_a_value_of_two_sides_or_still_open_is_no_outcome(tmp_path: Path, value: str) -> None:
    found = written(tmp_path, {"decision": ["approved", "denied", value] * 4, "sex": ["F", "M"] * 6})
    outcome = field(found, "decision")
    assert (outcome.favourable, outcome.adverse) == ("approved", "denied")


def test_codes_of_race_are_groups_and_reasons_for_denial_no_predictor(tmp_path: Path) -> None:
    found = written(
        tmp_path,
        {
            "applicant_race_1": ["5", "3", "2"] * 8,
            "co_applicant_ethnicity_observed": ["1", "2", "4"] * 8,
            "applicant_age_above_62": ["Yes", "No"] * 12,
            "denial_reason_1": ["10", "3", "1", "2"] * 6,
            "action_taken": ["1", "3", "4"] * 8,
        },
    )
    roles = {item.column: (item.role, item.type) for item in found.proposal.mapping.fields}
    assert roles["applicant_race_1"] == roles["co_applicant_ethnicity_observed"] == ("protected", "category")
    assert roles["applicant_age_above_62"][0] == "protected"
    assert found.proposal.mapping.excluded["denial_reason_1"] == "may repeat the outcome 'action_taken'"


def test_an_outcome_of_one_value_and_gaps_says_so(tmp_path: Path) -> None:
    found = written(tmp_path, {"approved": ["Y", ""] * 6, "sex": ["F", "M", "F"] * 4})
    assert found.proposal.mapping.excluded["approved"].startswith("one value, and empty cells")


def test_whole_ids_that_repeat_are_no_predictor(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (("id", "sex"), *((n % 10, "FM"[n % 2]) for n in range(20))):
        book.active.append(row)
    book.save(tmp_path / "loans.xlsx")
    mapping = proposed(tmp_path / "loans.xlsx", "loans").proposal.mapping
    assert mapping.excluded["id"].startswith("looks like an id and repeats often")


LANGUAGES = {
    "fr": (("Numéro de dossier", "Sexe", "Décision"), ("Femme", "Homme"), ("Accordé", "Refusé")),
    "it": (("Codice cliente", "Sesso", "Esito"), ("Donna", "Uomo"), ("Approvato", "Respinto")),
    "es": (("Número de solicitud", "Sexo", "Resolución"), ("Mujer", "Hombre"), ("Aprobada", "Denegada")),
    "pt": (("Código cliente", "Sexo", "Decisão"), ("Mulher", "Homem"), ("Aprovado", "Negado")),
    "nl": (("Dossiernummer", "Geslacht", "Beslissing"), ("Vrouw", "Man"), ("Goedgekeurd", "Afgewezen")),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_commonest_words_of_other_languages_are_known(tmp_path: Path, language: str) -> None:
    (number, sex, decision), sexes, sides = LANGUAGES[language]
    numbers = [f"{n:05d}" for n in range(12)]
    found = written(tmp_path, {number: numbers, sex: list(sexes) * 6, decision: [*sides, sides[0]] * 4}, ";")
    assert [item.role for item in found.proposal.mapping.fields] == ["id", "protected", "outcome"]
    outcome = field(found, decision)
    assert (outcome.favourable, outcome.adverse) == sides
    assert not [line for line in check_mapping(found.table, found.proposal.mapping) if line.startswith(STOPS)]
    assert apply_mapping(found.table, found.proposal.mapping, source="x", file_sha256="").counts.favourable == 8


@pytest.mark.parametrize("words", [("oui", "non"), ("sí", "no"), ("sì", "no"), ("sim", "não"), ("ja", "nee")])
def test_yes_and_no_of_other_languages_are_flags(tmp_path: Path, words: tuple[str, str]) -> None:
    item = field(written(tmp_path, {"owner": list(words) * 6, "sex": ["F", "M", "F"] * 4}), "owner")
    assert (item.type, dict(item.words)) == ("flag", {words[0]: "yes", words[1]: "no"})


def test_a_workbook_of_several_sheets_names_the_largest_one_that_is_shown(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["See sheet Data"])
    for name, rows, state in (("Data", 9, "visible"), ("Old", 30, "hidden")):
        sheet = book.create_sheet(name)
        sheet.sheet_state = state
        for n in range(rows):
            sheet.append([n, "x"])
    book.save(tmp_path / "loans.xlsx")
    with pytest.raises(DataError, match=r'or sheet = "Data" under \[reading\]'):
        read_table(tmp_path / "loans.xlsx")


def test_merged_names_tell_the_row_below_them(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (("Applicant", None, "Loan"), ("id", "sex", "sum"), (1, "F", 5), (2, "M", 6)):
        book.active.append(row)
    book.active.merge_cells("A1:B1")
    book.save(tmp_path / "loans.xlsx")
    with pytest.raises(DataError, match=r"cells A1:B1: are merged in the header; .* header = 2 under \[reading\]"):
        read_table(tmp_path / "loans.xlsx")
