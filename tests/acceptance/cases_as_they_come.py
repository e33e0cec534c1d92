"""Audits of the files in ``tests/data/cases`` and ``tests/language_models/cases`` through the commands and the page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from auditor.data_sources import load_data
from auditor.exceptions import DataError
from auditor.mapping_files import read_mapping
from compliance.models import Registration, default_team
from tests.acceptance.commands import here

TESTS = Path(__file__).parents[1]
DATA = TESTS / "data" / "cases"
MODELS = TESTS / "language_models" / "cases"

PLAN = """
schema = 1
name = "case"
title = "Case"

[run]
model = "{model}"
data = "demo:loanapp"

[use]
business_use = "Loan applications"
decision_role = "advisory"

[cases]
limit = 6
seed = 3

[prompt]
template = "{asked}: "

[prompt.answers]
favourable = ["Y"]
adverse = ["N"]
mass_floor = 0.0

[noise]
reask = 2

{attributes}
[tests]
run = ["counterfactual", "arm_rates"]

[budget]
threads = 1
max_prompt_tokens = 400
"""


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What a person reads of it."""
        return [*self.out.splitlines(), *self.err.splitlines()]


def command(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Said:
    """Run a command of the product in this process."""
    capsys.readouterr()
    code = here(*arguments)
    said = capsys.readouterr()
    return Said(code, said.out, said.err)


def write_case_plan(path: Path, *, model: str, mapping: Path | None = None, source: Path | None = None) -> Path:
    """A plan of six applications that asks about a case's own fields and compares its own two largest groups."""
    asked, attributes = "Loan {loan_amount}, sex {sex}", '[[attributes]]\nfield = "sex"\ngroups = ["male", "female"]\n'
    attributes += 'reference = "male"\n'
    if mapping is not None:
        meaning = read_mapping(mapping)
        named = [item for item in meaning.fields if item.role == "protected" and item.type != "number"][:1]
        others = [item for item in meaning.fields if item.role in ("predictor", "proxy")][:2]
        asked = ", ".join(f"{item.name} {{{item.name}}}" for item in (*named, *others))
        groups = ["one", "other"]
        if named and source is not None:
            try:
                data = load_data(str(source), str(mapping))
            except DataError:
                pass  # the audit is to say so
            else:
                found = [record.values[named[0].name] for record in data.records]
                groups = sorted({str(value) for value in found if value is not None}, key=lambda g: -found.count(g))[:2]
        field = named[0].name if named else "sex"
        written = ", ".join(f'"{group}"' for group in groups)
        attributes = f'[[attributes]]\nfield = "{field}"\ngroups = [{written}]\nreference = "{groups[0]}"\n'
    text = PLAN.replace("{model}", model).replace("{asked}", asked).replace("{attributes}", attributes)
    path.write_text(text, encoding="utf-8")
    return path


def uploaded(browser: Client, path: Path) -> tuple[Registration, str, list[str]]:
    """A file that is uploaded: its row, the proposed mapping, and what the page says of it."""
    form = {"team": default_team().pk, "name": "", "file": SimpleUploadedFile(path.name, path.read_bytes())}
    answer = browser.post("/register/data/", form)
    if answer.status_code != 302:
        return Registration(), "", [str(answer.context["form"].errors)]
    row = Registration.objects.latest("pk")
    page = browser.get(f"/register/{row.public_id}/")
    assert page.status_code == 200
    said = [page.context.get("error") or "", *(page.context.get("lines") or [])]
    # The page of a file that failed has a form too: one for another file, without a mapping.
    asked = page.context.get("form")
    return row, asked.initial.get("mapping", "") if asked else "", [line for line in said if line]
