"""The tables "Files as people have them" of docs/data.md and docs/models.md, line by line, by commands and pages."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.test import Client

from auditor.data_sources import load_data
from auditor.exceptions import DataError
from auditor.language_models.local import read_stored_tokenizer
from auditor.language_models.store import ModelStore
from compliance.access.roles import Role
from compliance.models import Registration, RegistrationState, default_team
from compliance.registry.registration import perform_registration
from tests.acceptance.cases_as_they_come import DATA, MODELS, TESTS, command, uploaded, write_case_plan
from tests.compliance.teams import make_person
from tests.language_models.tiny import save_tiny

NAMED = re.compile(r"`([^`]+)`")


def table_of(document: str) -> dict[str, list[str]]:
    """The cells behind each file of a document's table."""
    text = (TESTS.parent / "docs" / document).read_text(encoding="utf-8")
    text = text[text.index("## Files as people have them") :].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:1] == "|"]
    return {name: cells for name, *cells in rows[2:]}


DATA_LINES = table_of("data.md")
MODEL_LINES = table_of("models.md")
#: One file of each format goes the whole way through scoring and report here; `-m slow` sends all of them.
WHOLE_WAY = {"01-na-is-a-group/na_group.csv", "10-excel-merged-cells/x_merged_race.xlsx"}
SMALL = [line for line in DATA_LINES if line in WHOLE_WAY]
LARGE = [line for line in DATA_LINES if line not in WHOLE_WAY]


@pytest.fixture
def browser(client: Client, db: None, settings: LazySettings, tmp_path: Path) -> Client:
    settings.DATA_FOLDER, settings.MODEL_FOLDER = tmp_path / "data", tmp_path / "store"
    client.force_login(make_person("officer", default_team(), [Role.COMPLIANCE_OFFICER]))
    return client


def test_every_file_has_its_line() -> None:
    tables = {str(path.relative_to(DATA)) for path in DATA.rglob("*.*") if path.suffix != ".toml"}
    assert set(DATA_LINES) == tables
    assert set(MODEL_LINES) == {str(path.relative_to(MODELS)) for path in MODELS.rglob("*.gguf")}


@pytest.mark.parametrize("line", DATA_LINES)
def test_command_and_page_say_of_a_table_what_its_line_says(
    line: str, browser: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said, first, audit = DATA_LINES[line]
    (phrase,) = NAMED.findall(said)
    path, mapping = DATA / line, tmp_path / "m.toml"
    made = command(capsys, "describe_data", path, "--out", mapping)
    row, proposal, lines = uploaded(browser, path)
    if audit == "refused":
        assert (made.code, made.out, made.err.count("\n")) == (2, "", 1)
        assert made.err.startswith(f"{path}: ")
        assert phrase in made.err
        assert lines == [made.err.strip().replace(str(path), path.name)]
        assert (first, row.state) == ("–", RegistrationState.MAPPING)
        return
    assert (made.code, made.err) == (0, "")
    text = mapping.read_text(encoding="utf-8")
    check = command(capsys, "describe_data", path, "--mapping", mapping)
    assert (check.code, check.err) == (0, "")
    assert phrase in text + check.out
    # The page names the set by the file too, and has the same fields, reasons and lines.
    assert proposal.partition("[[fields]]")[2] == text.partition("[[fields]]")[2]
    assert lines == check.out.splitlines()[:-1]
    if first == "–":
        with pytest.raises(DataError):
            load_data(str(path), str(mapping))
        return
    name, value = NAMED.findall(first)[0].split(" = ")
    record = load_data(str(path), str(mapping)).records[0]
    assert str(record.id if name == "id" else record.values[name]) == value


def audited(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, mapping, audit = DATA / line, tmp_path / "m.toml", DATA_LINES[line][2]
    made = command(capsys, "describe_data", path, "--out", mapping)
    mapped = mapping if made.code == 0 else None
    plan = write_case_plan(
        tmp_path / "plan.toml", model=f"dir:{save_tiny(tmp_path / 'model')}", mapping=mapped, source=path
    )
    keys = ("--set", f"run.mapping={mapping}") if mapped else ()
    done = command(capsys, "audit", plan, "--data", path, *keys, "--out", tmp_path / "out", "--no-progress")
    if audit == "runs":
        assert (done.code, done.err) == (0, "")
        assert (tmp_path / "out" / "report.pdf").read_bytes().startswith(b"%PDF")
        return
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    if phrase := NAMED.findall(audit):
        assert done.err.startswith(f"{path}: {phrase[0]}")
    elif audit == "refused":
        assert done.err == made.err
    else:
        assert "attributes[0].field: unknown field" in done.err


@pytest.mark.parametrize("line", SMALL)
def test_an_audit_of_a_table_does_what_its_line_says(
    line: str, browser: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audited(line, tmp_path, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("line", LARGE)
def test_an_audit_of_every_other_table_too(
    line: str, browser: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audited(line, tmp_path, capsys)


@pytest.mark.parametrize("line", MODEL_LINES)
def test_a_model_is_refused_or_read_as_its_line_says(
    line: str, browser: Client, settings: LazySettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, phrases = MODELS / line, NAMED.findall(MODEL_LINES[line][0])
    settings.IMPORT_FOLDER = MODELS
    model = {"name": "case", "owner": "x", "purpose": "x", "decision_role": "advisory", "risk_tier": "1"}
    form = {**model, "access": "internals", "team": default_team().pk, "source": f"gguf:{path}"}
    answer = browser.post("/register/model/", form)
    assert answer.status_code == 302, answer.content.decode()
    row = Registration.objects.get()
    perform_registration(row.pk)
    row.refresh_from_db()
    if not MODEL_LINES[line][0].startswith("runs with"):
        plan = write_case_plan(tmp_path / "plan.toml", model=f"gguf:{path}")
        done = command(capsys, "audit", plan, "--out", tmp_path / "out", "--no-progress")
        assert (done.code, done.out, done.err) == (2, "", f"{row.error}\n")
        assert phrases[0] in row.error
        assert row.state == RegistrationState.FAILED
        assert not list((tmp_path / "store").glob("models/*"))
        return
    assert row.error == ""
    assert row.state == RegistrationState.READY
    stored = ModelStore(tmp_path / "store").import_model(f"gguf:{path}")
    rope = json.loads((stored.folder / "config.json").read_text())["rope_parameters"]
    for phrase in phrases:
        name, value = phrase.split(" = ")
        if name in rope:
            assert str(rope[name]) == value
        else:
            assert " ".join(read_stored_tokenizer(stored).tokenize(name)) == value


def test_the_first_part_of_a_split_model_alone_names_the_other(tmp_path: Path) -> None:
    path = Path(shutil.copy(MODELS / "20-split-gguf" / "g_split-00001-of-00002.gguf", tmp_path))
    with pytest.raises(Exception, match=r"g_split-00002-of-00002.gguf: there is no such file; expected all 2 parts"):
        ModelStore(tmp_path / "store").import_model(f"gguf:{path}")
