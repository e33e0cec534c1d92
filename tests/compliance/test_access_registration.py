"""Registering models and data sets on the site: by script or by form, and every bad input as one line."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client

from auditor.exceptions import DataError, ModelError
from auditor.recognition import MASK
from auditor.tables import KNOWN_KINDS
from compliance import actions
from compliance.access.roles import Role
from compliance.audits.binding import registered_data
from compliance.models import DataSetVersion, Event, LanguageModel, Registration, RegistrationState, default_team
from compliance.registry.columns import mapping_of, masked_preview
from compliance.registry.reading import kept_upload
from compliance.registry.registration import check_model_source, perform_registration
from compliance.registry.uploads import PART_BYTES
from tests.compliance.factories import ACTOR
from tests.compliance.teams import make_person

CSV = b"applicant_id,race,income,approved\n" + b"".join(
    b"K%04d,%s,%d,%d\n" % (n, (b"White", b"Black")[n % 2], 30 + n, n % 3 > 0) for n in range(60)
)
MODEL = {
    "source": "demo:underwriter", "name": "Underwriter", "owner": "Ada", "purpose": "Mortgages",
    "decision_role": "advisory", "risk_tier": "1", "access": "internals",
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(settings: LazySettings, tmp_path: Path) -> Iterator[Path]:
    settings.DATA_FOLDER = tmp_path
    settings.IMPORT_FOLDER = tmp_path / "imports"
    settings.MODEL_FOLDER = tmp_path / "store"
    return tmp_path


@pytest.fixture
def officer(db: None) -> User:
    return make_person("officer", default_team(), [Role.COMPLIANCE_OFFICER])


@pytest.fixture
def browser(client: Client, officer: User) -> Client:
    client.force_login(officer)
    return client


def upload(browser: Client, content: bytes = CSV, name: str = "loans.csv", title: str = "") -> Registration:
    file = SimpleUploadedFile(name, content)
    answer = browser.post("/register/data/", {"team": default_team().pk, "name": title, "file": file})
    assert answer.status_code == 302, answer.content.decode()
    return Registration.objects.get()


def announce(browser: Client, size: int, name: str = "loans.csv") -> str:
    form = {"team": default_team().pk, "name": "", "file_name": name, "size": size}
    answer = browser.post("/register/data/uploads/", form)
    assert answer.status_code == 201, answer.content
    assert answer.json()["bytes"] == PART_BYTES
    return str(answer.json()["part"])


def send(browser: Client, part: str, offset: int, content: bytes) -> tuple[int, dict[str, object]]:
    answer = browser.post(f"{part}?offset={offset}", content, content_type="application/octet-stream")
    return answer.status_code, answer.json()


def described(browser: Client, row: Registration) -> str:
    """The mapping the page proposes."""
    page = browser.get(f"/register/{row.public_id}/")
    return str(page.context["form"]["mapping"].value())


def test_a_table_is_uploaded_described_and_registered(browser: Client, folder: Path) -> None:
    row = upload(browser)
    assert (row.name, row.state) == ("loans", RegistrationState.MAPPING)
    assert kept_upload(row.file).read_bytes() == CSV
    mapping = described(browser, row)
    assert 'role = "protected"' in mapping
    browser.post(f"/register/{row.public_id}/", {"mapping": mapping, "register": ""})
    row.refresh_from_db()
    assert row.state == RegistrationState.WAITING
    perform_registration(row.pk)
    row.refresh_from_db()
    assert (row.state, row.error) == (RegistrationState.READY, "")
    version = row.data_version
    assert version is not None
    assert (version.rows, version.source, version.team) == (60, "loans.csv", default_team())
    assert registered_data(version).fingerprint == version.fingerprint, "a worker reads what was uploaded"
    assert browser.get(f"/register/{row.public_id}/").status_code == 200


def test_a_table_in_parts_is_the_table_in_one_piece(browser: Client) -> None:
    part = announce(browser, len(CSV))
    for start in range(0, len(CSV), 500):
        status, told = send(browser, part, start, CSV[start : start + 500])
        assert status == 200, told
    assert told["next"]
    row = Registration.objects.get()
    assert kept_upload(row.file).read_bytes() == CSV
    assert browser.get(str(told["next"])).status_code == 200


def test_an_upload_goes_on_where_the_connection_was_lost(browser: Client) -> None:
    part = announce(browser, len(CSV))
    send(browser, part, 0, CSV[:700])
    assert browser.get(part).json()["received"] == 700
    status, told = send(browser, part, 0, CSV[:700])
    assert (status, told["error"]) == (409, f"loans.csv: byte 0 is not the next one; expected byte 700 of {len(CSV):,}")
    assert send(browser, part, 700, CSV[700:])[1]["next"]
    assert kept_upload(Registration.objects.get().file).read_bytes() == CSV


def test_a_part_beyond_the_announced_size_is_refused(browser: Client) -> None:
    part = announce(browser, 10)
    assert send(browser, part, 0, b"x" * 11)[0] == 409
    assert send(browser, part, 0, b"")[0] == 409
    assert browser.post(f"{part}?offset=x", b"x", content_type="text/plain").status_code == 400


def test_the_same_table_twice_is_one_file(browser: Client, folder: Path) -> None:
    upload(browser)
    browser.post("/register/data/", {"team": default_team().pk, "name": "", "file": SimpleUploadedFile("b.csv", CSV)})
    assert len(list((folder / "data").iterdir())) == 1
    assert list((folder / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        (
            "loans.doc",
            CSV,
            "loans.doc: is not a kind of file that can be read; "
            f"expected {KNOWN_KINDS}, or one of them in a .zip or .gz",
        ),
        ("loans.csv", b"", "loans.csv: is empty; expected a header and at least one row"),
    ],
)
def test_a_file_that_cannot_be_taken_is_one_line(browser: Client, name: str, content: bytes, line: str) -> None:
    file = SimpleUploadedFile(name, content)
    answer = browser.post("/register/data/", {"team": default_team().pk, "name": "", "file": file})
    assert answer.status_code == 400
    assert line in answer.content.decode()
    form = {"team": default_team().pk, "file_name": name, "size": len(content)}
    answer = browser.post("/register/data/uploads/", form)
    assert (answer.status_code, answer.json()["error"]) == (400, line)
    assert not Registration.objects.exists()


def test_a_file_beyond_the_limit_is_refused_before_it_is_read(browser: Client, settings: LazySettings) -> None:
    settings.UPLOAD_BYTES = 1 << 20
    file = SimpleUploadedFile("loans.csv", b"x" * (2 << 20))
    answer = browser.post("/register/data/", {"team": default_team().pk, "name": "", "file": file})
    assert answer.status_code == 413
    assert "larger than 1 MiB" in answer.content.decode()
    form = {"team": default_team().pk, "file_name": "loans.csv", "size": 2 << 20}
    told = browser.post("/register/data/uploads/", form).json()
    assert told["error"] == "loans.csv: is larger than 1 MiB; expected a smaller file, or Parquet"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a,b\n1\n", "loans.csv: line 2: has 1 field; expected 2, as in the header"),
        (b"PK\x03\x04", "loans.csv: is a ZIP archive or an Excel workbook, not CSV"),
    ],
)
def test_a_table_that_cannot_be_read_is_said_on_its_page(browser: Client, content: bytes, line: str) -> None:
    row = upload(browser, content)
    page = browser.get(f"/register/{row.public_id}/")
    assert page.status_code == 200
    assert page.context["error"].startswith(line)


def test_parquet_is_read_too(browser: Client) -> None:
    stream = io.BytesIO()
    pl.read_csv(CSV).write_parquet(stream)
    row = upload(browser, stream.getvalue(), "loans.parquet")
    assert "[[fields]]" in described(browser, row)


@pytest.mark.parametrize(
    ("mapping", "line"),
    [
        ("name = ", "mapping: is not valid TOML"),
        ('name = "x"', "mapping: has no [[fields]]; expected at least one field"),
        ('[[fields]]\nname = "x"\nrole = "boss"\ntype = "number"\ncolumn = "income"', "role 'boss' is unknown"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_kept_and_named(browser: Client, mapping: str, line: str) -> None:
    row = upload(browser)
    page = browser.post(f"/register/{row.public_id}/", {"mapping": mapping, "register": ""})
    assert line in page.context["error"]
    row.refresh_from_db()
    assert (row.state, row.mapping) == (RegistrationState.MAPPING, mapping)
    assert described(browser, row) == mapping


def test_a_mapping_that_does_not_fit_fails_with_one_line_and_can_be_mended(browser: Client) -> None:
    row = upload(browser)
    good = described(browser, row)
    bad = good.replace('column = "income"', 'column = "wages"')
    assert bad != good
    browser.post(f"/register/{row.public_id}/", {"mapping": bad, "register": ""})
    perform_registration(row.pk)
    row.refresh_from_db()
    assert row.state == RegistrationState.FAILED
    assert row.error.startswith("loans.csv: column 'wages' (field 'income') is missing")
    browser.post(f"/register/{row.public_id}/", {"mapping": good, "register": ""})
    perform_registration(row.pk)
    row.refresh_from_db()
    assert row.state == RegistrationState.READY


def test_personal_data_are_masked_before_they_are_stored(browser: Client) -> None:
    row = upload(browser)
    mapping = described(browser, row)
    page = browser.get(f"/register/{row.public_id}/").content.decode()
    assert "K0001" not in page
    browser.post(f"/register/{row.public_id}/", {"mapping": mapping, "register": ""})
    perform_registration(row.pk)
    preview = DataSetVersion.objects.get().preview
    cells = dict(zip(preview[0], preview[1], strict=True))
    assert (cells["race"], cells["income"]) == (MASK, "30")
    assert "K0000" not in str(preview)
    assert "White" not in str(preview)


def test_columns_nobody_described_are_not_shown() -> None:
    frame = pl.DataFrame({"a": [1], "secret": ["x"], "note": ["y"]})
    fields = [("a", "predictor", "number"), ("note", "predictor", "text")]
    text = "".join(f'[[fields]]\nname="{n}"\nrole="{r}"\ntype="{t}"\ncolumn="{n}"\n' for n, r, t in fields)
    assert masked_preview(frame, mapping_of(text, where="m")) == [["a", "note"], ["1", MASK]]


def test_a_registered_table_that_changed_is_refused(browser: Client) -> None:
    row = upload(browser)
    browser.post(f"/register/{row.public_id}/", {"mapping": described(browser, row), "register": ""})
    perform_registration(row.pk)
    path = kept_upload(row.file)
    path.write_bytes(path.read_bytes().replace(b"White", b"Wite"))
    with pytest.raises(DataError, match="is not what was registered"):
        registered_data(DataSetVersion.objects.get())


def test_a_model_is_asked_for_and_described(browser: Client) -> None:
    answer = browser.post("/register/model/", {**MODEL, "team": default_team().pk})
    assert answer.status_code == 302, answer.context["form"].errors
    row = Registration.objects.get()
    model = LanguageModel.objects.get()
    assert (row.state, row.language_model, row.source) == (RegistrationState.WAITING, model, "demo:underwriter")
    assert (model.owner, model.risk_tier, model.approval) == ("Ada", 1, "proposed")
    actions_told = set(Event.objects.values_list("action", flat=True))
    assert {"language_model.described", "registration.requested"} <= actions_told
    assert "A worker does this." in browser.get(answer["Location"]).content.decode()


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("underwriter", "not a model source"),
        ("hf:org/name", "a hub model needs an exact revision"),
        ("dir:/etc", "is outside the import folder; expected a path below PLUMBLINE_IMPORTS"),
        ("dir:../..", "is outside the import folder"),
        ("demo:smollm2+adapter:/etc", "is outside the import folder"),
        ("endpoint:x", "is not listed; expected a system of this team that two administrators listed"),
    ],
)
def test_a_source_the_site_may_not_import_is_one_line_beside_the_field(browser: Client, source: str, line: str) -> None:
    answer = browser.post("/register/model/", {**MODEL, "team": default_team().pk, "source": source})
    assert answer.status_code == 400
    assert line in str(answer.context["form"].errors["source"].as_data())
    assert not Registration.objects.exists()
    assert not LanguageModel.objects.exists()


def test_a_link_out_of_the_import_folder_is_outside(folder: Path) -> None:
    inside = folder / "imports"
    inside.mkdir()
    (inside / "way-out").symlink_to("/etc")
    with pytest.raises(ModelError, match="is outside the import folder"):
        check_model_source(f"dir:{inside}/way-out")
    assert check_model_source(f" dir:{inside}/model ") == f"dir:{inside}/model"


def failed_model(folder: Path) -> Registration:
    model = actions.open_language_model(team=default_team(), description={"name": "U"}, actor=ACTOR)
    row = actions.request_model(language_model=model, source=f"dir:{folder}/none", actor=ACTOR)
    perform_registration(row.pk)
    row.refresh_from_db()
    return row


def test_a_model_that_cannot_be_imported_fails_with_one_line_and_is_tried_again(browser: Client, folder: Path) -> None:
    row = failed_model(folder)
    assert row.state == RegistrationState.FAILED
    assert "none" in row.error
    assert "\n" not in row.error
    assert browser.post(f"/register/{row.public_id}/again/").status_code == 302
    row.refresh_from_db()
    assert (row.state, row.error) == (RegistrationState.WAITING, "")
    assert browser.post(f"/register/{row.public_id}/again/").status_code == 409


def test_a_registration_that_is_settled_is_left_alone(db: None, folder: Path) -> None:
    row = failed_model(folder)
    before = Event.objects.count()
    perform_registration(row.pk)
    assert Event.objects.count() == before


def test_people_who_may_look_may_not_register(client: Client, officer: User) -> None:
    client.force_login(officer)
    row = upload(client)
    client.force_login(make_person("reader", default_team(), [Role.INTERNAL_AUDIT]))
    address = f"/register/{row.public_id}/"
    assert client.get(address).status_code == 200
    assert client.post(address, {"mapping": "x"}).status_code == 403
    assert client.post(f"{address}part/?offset=0", b"x", content_type="text/plain").status_code == 403
    assert client.get("/register/data/").status_code == 403


def test_the_commands_register_and_do_what_waits(db: None, browser: Client, tmp_path: Path) -> None:
    row = upload(browser)
    mapping = tmp_path / "loans.toml"
    mapping.write_text(described(browser, row))
    (tmp_path / "loans.csv").write_bytes(CSV)
    out = io.StringIO()
    call_command("register_data", str(tmp_path / "loans.csv"), "--mapping", str(mapping), stdout=out)
    assert out.getvalue().strip() == DataSetVersion.objects.get().fingerprint
    browser.post(f"/register/{row.public_id}/", {"mapping": mapping.read_text(), "register": ""})
    out = io.StringIO()
    call_command("register_waiting", stdout=out)
    assert out.getvalue() == "loans: ready\n"
    with pytest.raises(SystemExit) as ended:
        call_command("register_model", f"dir:{tmp_path}/none", stderr=io.StringIO())
    assert ended.value.code == 2
