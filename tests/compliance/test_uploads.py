"""Tables are read in a process of their own, bounded; pages show what it kept; nobody's upload is taken unasked."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.test.client import FakePayload
from django.urls import get_resolver

from auditor.canonical import sha256_file
from auditor.exceptions import DataError
from compliance.access.roles import Role
from compliance.governance.events import Actor
from compliance.models import Registration, RegistrationState, default_team
from compliance.registry import uploads
from compliance.registry.reading import kept_upload
from compliance.registry.registration import perform_registration
from tests.compliance.teams import make_person
from tests.data import bombs

CSV = b"applicant_id,race,income,approved\n" + b"".join(
    b"K%04d,%s,%d,%d\n" % (n, (b"White", b"Black")[n % 2], 30 + n, n % 3 > 0) for n in range(60)
)


@pytest.fixture(autouse=True)
def folder(settings: LazySettings, tmp_path: Path) -> Iterator[Path]:
    settings.DATA_FOLDER = tmp_path
    return tmp_path


@pytest.fixture
def officer(db: None) -> User:
    return make_person("officer", default_team(), [Role.COMPLIANCE_OFFICER])


@pytest.fixture
def browser(client: Client, officer: User) -> Client:
    client.force_login(officer)
    return client


def upload(browser: Client, content: bytes = CSV, name: str = "loans.csv") -> Registration:
    form = {"team": default_team().pk, "name": "", "file": SimpleUploadedFile(name, content)}
    answer = browser.post("/register/data/", form)
    assert answer.status_code == 302, answer.content.decode()
    return Registration.objects.get()


def address(row: Registration) -> str:
    return f"/register/{row.public_id}/"


def children() -> list[int]:
    """Processes of this one that read a table."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"compliance.registry.child" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:  # it ended meanwhile
            continue
    return found


def test_no_page_reads_the_table(browser: Client) -> None:
    row = upload(browser)
    kept_upload(row.file).unlink()
    page = browser.get(address(row))
    assert page.status_code == 200
    assert 'role = "protected"' in page.context["form"]["mapping"].value()
    assert page.context["preview"][0] == ["applicant_id", "race", "income", "approved"]
    assert page.context["preview"][1][2] == "99", "of a proposal, the form of a value and not the value"
    assert "<td>99</td>" in page.content.decode()


def test_a_check_is_kept_and_shown_until_the_next(browser: Client) -> None:
    row = upload(browser)
    mapping = browser.get(address(row)).context["form"]["mapping"].value()
    mended = mapping.replace('column = "income"', 'column = "wages"')
    assert any("'wages'" in line for line in browser.post(address(row), {"mapping": mended}).context["lines"])
    kept_upload(row.file).unlink()
    page = browser.get(address(row))
    assert any("'wages'" in line for line in page.context["lines"])
    assert page.context["form"]["mapping"].value() == mended


# Made where they are used: as they are made they take gigabytes, which a mere import of this module must not.
BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "regex.xlsx": (lambda: bombs.open_cells(80_000), "xl/worksheets/sheet1.xml: is not valid XML"),
    "shared.xlsx": (lambda: bombs.shared_text(500, 20 << 20), "has more characters than can be read"),
    "dictionary.parquet": (lambda: bombs.one_text(20_000, 200_000), "has more characters than can be read"),
    "dates.parquet": (lambda: bombs.far_dates("date"), "holds a date beyond the years 1 to 9999 in row 2"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_costs_much_is_one_line_on_its_page(browser: Client, name: str) -> None:
    made, line = BOMBS[name]
    raw = made()
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    row = upload(browser, raw, name)
    page = browser.get(address(row))
    assert page.context["error"].startswith(f"{name}: ")
    assert line in page.context["error"]
    assert time.process_time() - begun < 2, "in the web process"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10
    assert "form" not in page.context


def test_a_table_that_takes_too_long_is_given_up_and_read_again_when_asked(
    browser: Client, settings: LazySettings
) -> None:
    allowed, settings.TABLE_SECONDS = settings.TABLE_SECONDS, 0
    row = upload(browser)
    page = browser.get(address(row))
    assert "loans.csv: takes longer than 0 s to be read; expected a smaller file" in page.context["error"]
    assert 'name="look"' in page.content.decode()
    settings.TABLE_SECONDS = allowed
    page = browser.post(address(row), {"look": ""})
    assert 'role = "protected"' in page.context["form"]["mapping"].value()
    assert children() == [], "no process of that time is left behind"


def test_a_table_that_takes_too_much_memory_is_given_up(browser: Client, settings: LazySettings) -> None:
    settings.TABLE_MEMORY = 600 << 20
    row = upload(browser, bombs.one_text(1_000, 200_000), "loans.parquet")
    line = "loans.parquet: cannot be read within 600 MiB of memory, or is damaged; expected a smaller file"
    assert browser.get(address(row)).context["error"].startswith(line)


def test_the_register_is_held_to_the_same_limits(browser: Client, settings: LazySettings) -> None:
    row = upload(browser)
    mapping = browser.get(address(row)).context["form"]["mapping"].value()
    browser.post(address(row), {"mapping": mapping, "register": ""})
    for name, value, what in (
        ("TABLE_ROWS", 59, "rows"),
        ("TABLE_CELLS", 239, "cells"),
        ("TABLE_CHARACTERS", 9, "char"),
    ):
        kept = getattr(settings, name)
        setattr(settings, name, value)
        Registration.objects.update(state=RegistrationState.WAITING)
        perform_registration(row.pk)
        setattr(settings, name, kept)
        row.refresh_from_db()
        assert row.state == RegistrationState.FAILED
        assert row.error.startswith(f"loans.csv: has more {what}")
        assert row.error.count("\n") == 0


def test_the_process_that_reads_knows_no_django_and_no_secret(tmp_path: Path) -> None:
    loaded = (
        "import compliance.registry.child, compliance.registry.columns, auditor.mapping_inference, sys;"
        "print([name for name in sys.modules if name.split('.')[0] in ('django', 'celery', 'torch')])"
    )
    said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


def test_a_wide_table_of_many_rows_is_described_without_the_web_process(browser: Client) -> None:
    target = io.BytesIO()
    pl.DataFrame({"id": range(200_000), "income": range(200_000), "approved": [0, 1] * 100_000}).write_parquet(target)
    row = upload(browser, target.getvalue(), "loans.parquet")
    begun = time.process_time()
    assert browser.get(address(row)).status_code == 200
    assert time.process_time() - begun < 1


def test_two_last_parts_at_once_are_one_upload(officer: User, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second would be kept under the hash of the first, over a table of the same content that another team has."""
    actor = Actor(name="officer", role="site", user=officer)
    row = uploads.begin_upload(team=default_team(), title="", file_name="a.csv", size=8, actor=actor)
    name = uploads._name

    def another(row: Registration) -> Path:
        kept = name(row)
        with pytest.raises(DataError, match="another part of it is being taken"):
            uploads.take_part(Registration.objects.get(), offset=0, content=b"a,b\n6,6\n", actor=actor)
        return kept

    monkeypatch.setattr(uploads, "_name", another)
    uploads.take_part(row, offset=0, content=b"a,b\n1,2\n", actor=actor)
    (kept,) = (folder / "data").iterdir()
    assert kept.stem == sha256_file(kept)
    assert kept.read_bytes() == b"a,b\n1,2\n"


class Unread(FakePayload):
    """A body that nobody may read."""

    def read(self, *_: object, **__: object) -> bytes:
        raise AssertionError("the body was read")

    readline = read


def send(client: Client, path: str, size: int | str, kind: str = "multipart/form-data; boundary=x") -> int:
    # With a form's token, as everybody gets one who saw the page to log in: checking it would read the form.
    client.cookies["csrftoken"] = "a" * 32
    answer = client.generic(
        "POST", path, **{"wsgi.input": Unread(b""), "CONTENT_LENGTH": str(size), "CONTENT_TYPE": kind}
    )
    return answer.status_code


@pytest.mark.parametrize(
    "path",
    [
        "/register/data/",
        "/register/data/uploads/",
        f"/register/{'0' * 8}-{'0' * 4}-{'0' * 4}-{'0' * 4}-{'0' * 12}/part/",
    ],
)
@pytest.mark.parametrize("size", [1, 200 << 20, "0" * 16 + str(200 << 20)])
def test_nobody_uploads_without_an_account_or_the_permission(db: None, path: str, size: int | str) -> None:
    client = Client(enforce_csrf_checks=True)
    assert send(client, path, size) == 302
    client.force_login(make_person("reader", default_team(), [Role.INTERNAL_AUDIT]))
    assert send(client, path, size) == 403


@pytest.mark.parametrize("path", ["/login/", "/register/model/", "/plans/new/", "/nowhere/"])
@pytest.mark.parametrize("length", [str(200 << 20), "9" * 5_000, "0" * 20 + str(200 << 20)])
def test_a_form_is_as_small_as_forms_are(db: None, path: str, length: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.cookies["csrftoken"] = "a" * 32
    options = {"wsgi.input": Unread(b""), "CONTENT_LENGTH": length, "CONTENT_TYPE": "multipart/form-data; boundary=x"}
    answer = client.generic("POST", path, **options)
    assert answer.status_code == 413
    assert "larger than 4 MiB" in answer.content.decode()


def _addresses(patterns: list[object], before: str = "") -> Iterator[str]:
    for item in patterns:
        route = before + str(item.pattern)  # type: ignore[attr-defined]
        if hasattr(item, "url_patterns"):
            yield from _addresses(item.url_patterns, route)
        elif "<" in route:
            yield route


def test_an_id_no_database_can_hold_is_no_address(client: Client, db: None) -> None:
    client.force_login(User.objects.create_superuser("root"))
    keys = {"<key:", "<path:object_id>"}
    routes = [route for route in _addresses(get_resolver().url_patterns) if any(key in route for key in keys)]
    assert len(routes) > 20
    for route in routes:
        assert "<int:" not in route
        path = (
            "/"
            + "/".join(
                "9" * 24 if part.startswith("<") else part.replace("^", "") for part in route.rstrip("/").split("/")
            )
            + "/"
        )
        status = client.get(path).status_code
        # The administration sends people to its front page over a row that is not there, or lets nobody delete any.
        assert status in ((302, 403, 404) if path.startswith("/admin/") else (404,)), path
