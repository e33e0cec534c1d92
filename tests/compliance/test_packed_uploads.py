"""Tables as banks have them are taken by the site: packed, with bars, without column names. Bombs are one line."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from auditor.exceptions import DataError
from compliance.access.roles import Role
from compliance.models import DataSetVersion, Registration, default_team
from compliance.registry.registration import perform_registration
from compliance.registry.uploads import checked_name
from tests.compliance.teams import make_person

ROWS = [f"K{n:04d}|{('White', 'Black')[n % 2]}|{30 + n}|{int(n % 3 > 0)}" for n in range(60)]
NAMES = "applicant_id|race|income|approved"
BARS = '\n[reading]\ndelimiter = "|"\n'
NAMELESS = '\n[reading]\ndelimiter = "|"\nheader = false\ncolumns = ["applicant_id", "race", "income", "approved"]\n'


def zipped(text: bytes, name: str = "loans.txt") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def folder(settings: LazySettings, tmp_path: Path) -> Iterator[Path]:
    settings.DATA_FOLDER = tmp_path
    return tmp_path


@pytest.fixture
def browser(client: Client, db: None) -> Client:
    client.force_login(make_person("officer", default_team(), [Role.COMPLIANCE_OFFICER]))
    return client


def send(browser: Client, content: bytes, name: str) -> Registration:
    form = {"team": default_team().pk, "name": "", "file": SimpleUploadedFile(name, content)}
    answer = browser.post("/register/data/", form)
    assert answer.status_code == 302, answer.content.decode()
    return Registration.objects.get()


@pytest.mark.parametrize(
    ("name", "lines", "reading"),
    [
        ("loans.txt.gz", [NAMES, *ROWS], BARS),
        ("loans.zip", [NAMES, *ROWS], BARS),
        ("loans.txt", ROWS, NAMELESS),
        ("loans.csv.gz", ROWS, NAMELESS),
    ],
)
def test_a_table_as_banks_have_it_is_described_and_registered(
    browser: Client, name: str, lines: list[str], reading: str
) -> None:
    text = "\n".join(lines).encode()
    content = {".gz": gzip.compress, ".zip": zipped}.get(Path(name).suffix, bytes)(text)
    row = send(browser, content, name)
    assert row.name == "loans"
    assert row.file.endswith(name.removeprefix("loans"))
    page = browser.post(f"/register/{row.public_id}/", {"mapping": reading})
    said = page.context["form"]["mapping"].value()
    assert 'role = "protected"' in said, said
    browser.post(f"/register/{row.public_id}/", {"mapping": said, "register": ""})
    row.refresh_from_db()
    perform_registration(row.pk)
    (version,) = DataSetVersion.objects.all()
    assert version.rows == 60
    assert version.file == row.file


def test_what_unpacks_to_far_more_than_it_is_says_so_on_its_page(browser: Client) -> None:
    row = send(browser, gzip.compress(b"a,b\n" + b"0" * (64 << 20)), "loans.csv.gz")
    page = browser.get(f"/register/{row.public_id}/")
    assert "unpacks to more than 200 times its size" in page.content.decode()


@pytest.mark.parametrize("name", ["loans.gz", "loans.exe.gz", "loans.tar.gz", "loans.rar", "gz"])
def test_a_name_that_promises_no_table_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="is not a kind of file that can be read"):
        checked_name(name)
