"""Files attached to findings: what is taken in, and that what is handed out is what was recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from auditor.canonical import sha256_bytes
from compliance import actions
from compliance.access.roles import Role
from compliance.exceptions import StateError
from compliance.governance.attachments import KINDS, MOST_BYTES, NAME_CHARACTERS, file_name, take_in
from compliance.models import Event, FindingNote, Team, default_team
from tests.compliance.governed import actor_of, open_finding
from tests.compliance.teams import make_person

GOOD = {ending: (begins[0] if begins else b"") + b" something" for ending, begins in KINDS.items()}


@pytest.fixture(autouse=True)
def folder(settings: LazySettings, tmp_path: Path) -> Path:
    settings.DATA_FOLDER = tmp_path
    return tmp_path / "attachments"


@pytest.mark.parametrize("ending", KINDS)
def test_a_file_of_each_kind_is_kept_under_its_hash(folder: Path, ending: str) -> None:
    sha256 = take_in(f"A{ending.upper()}", GOOD[ending])
    assert sha256 == sha256_bytes(GOOD[ending])
    assert (folder / sha256).read_bytes() == GOOD[ending]
    assert [path.name for path in folder.iterdir()] == [sha256]
    assert take_in(f"b{ending}", GOOD[ending]) == sha256


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("page.html", b"<script>", "is of a kind that is not attached"),
        ("picture.svg", b"<svg>", "is of a kind that is not attached"),
        ("nothing", b"x", "is of a kind that is not attached"),
        ("empty.txt", b"", "is empty"),
        ("large.txt", b"x" * (MOST_BYTES + 1), "has 3.0 MiB; expected at most 3 MiB"),
        ("page.pdf", b"<html>", "does not begin as a .pdf file does"),
        ("page.png", b"GIF89a", "does not begin as a .png file does"),
        ("bytes.txt", b"\xff\xfe\x00", "does not begin as a .txt file does"),
        ("zeros.csv", b"a\0b", "does not begin as a .csv file does"),
        ("CON.txt", b"x", "CON.txt: is a name that Windows keeps for a device"),
        ("lpt1 .tar.zip", b"PK\x03\x04", "is a name that Windows keeps for a device"),
        ("com\u00b9.txt", b"x", "is a name that Windows keeps for a device"),
        ("r\u0435port.txt", b"x", "mixes Cyrillic and Latin letters in one word"),
    ],
)
def test_what_is_not_what_it_says_is_refused_in_one_line_and_not_kept(
    folder: Path, name: str, content: bytes, words: str
) -> None:
    with pytest.raises(StateError) as refused:
        take_in(name, content)
    assert words in str(refused.value)
    assert "expected" in str(refused.value)
    assert not folder.exists()


@pytest.mark.parametrize(
    "name",
    [
        "\u0434\u043e\u0433\u043e\u0432\u043e\u0440 v2.txt",
        "console.txt",
        "\u5831\u544a\u306e\u30c6\u30b9\u30c8abc.txt",
        "P\u00fcnktchen \u03b1.txt",
    ],
)
def test_a_name_in_another_script_or_of_words_in_several_is_taken(folder: Path, name: str) -> None:
    assert take_in(name, b"x")


@pytest.mark.django_db
def test_files_of_a_finding_and_of_a_team_have_so_much_room_and_no_more(settings: LazySettings) -> None:
    record = open_finding()
    writes = actor_of(make_person("writes", default_team(), [Role.MODEL_OWNER]))
    settings.FINDING_FILES_BYTES, settings.TEAM_FINDING_FILES_BYTES = 1 << 20, 2 << 20
    content = b"x" * (700 << 10)
    actions.note_finding(record=record, name="a.txt", content=content, actor=writes)
    with pytest.raises(StateError) as refused:
        actions.note_finding(record=record, name="b.txt", content=content + b"y", actor=writes)
    assert str(refused.value) == (
        "b.txt: has 0.7 MiB, and the files of F-0001 take 0.7 of 1 MiB; "
        "expected a smaller file, or a larger PLUMBLINE_FINDING_FILES_MB"
    )
    actions.note_finding(record=record, text="The same once more.", name="c.txt", content=content, actor=writes)
    settings.FINDING_FILES_BYTES, settings.TEAM_FINDING_FILES_BYTES = 9 << 20, 1 << 20
    with pytest.raises(StateError, match=r"the files of team .*a larger PLUMBLINE_TEAM_FINDING_FILES_MB"):
        actions.note_finding(record=record, name="b.txt", content=content + b"y", actor=writes)
    assert {note.file_name for note in FindingNote.objects.all()} == {"a.txt", "c.txt"}


@given(st.text())
def test_a_name_has_no_folders_and_nothing_unseen_and_fits_the_row(text: str) -> None:
    name = file_name(text + ".txt")
    assert len(name) <= NAME_CHARACTERS
    assert "/" not in name
    assert name.isprintable() or all(mark.isspace() for mark in name if not mark.isprintable())


@pytest.mark.django_db
def test_an_attached_file_is_handed_out_as_a_download_with_an_event(client: Client) -> None:
    record, person = open_finding(), make_person("writer", default_team(), [Role.MODEL_OWNER])
    client.force_login(person)
    sent = {"text": "See the log.", "purpose": "fix", "file": SimpleUploadedFile("../log é.txt", b"<b>done</b>")}
    assert client.post(f"/findings/{record.number}/notes/", sent).status_code == 302
    note = FindingNote.objects.get()
    assert (note.file_name, note.sha256, note.size) == ("log é.txt", sha256_bytes(b"<b>done</b>"), 11)
    answer = client.get(f"/findings/{record.number}/files/{note.pk}/")
    assert answer.content == b"<b>done</b>"
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment; filename")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert Event.objects.get(action="finding.file_downloaded").actor == "writer"


@pytest.mark.django_db
def test_a_file_that_was_changed_is_not_handed_out(client: Client, folder: Path) -> None:
    record, person = open_finding(), make_person("writer", default_team(), [Role.MODEL_OWNER])
    client.force_login(person)
    sent = {"purpose": "comment", "file": SimpleUploadedFile("a.txt", b"one")}
    client.post(f"/findings/{record.number}/notes/", sent)
    note = FindingNote.objects.get()
    address = f"/findings/{record.number}/files/{note.pk}/"
    (folder / note.sha256).write_bytes(b"two")
    answer = client.get(address)
    assert answer.status_code == 404
    assert "is not the file that was recorded" in answer.content.decode()
    (folder / note.sha256).unlink()
    assert "is not on this server" in client.get(address).content.decode()
    assert not Event.objects.filter(action="finding.file_downloaded").exists()


@pytest.mark.django_db
def test_a_file_of_another_finding_or_team_is_not_there(client: Client) -> None:
    record, person = open_finding(), make_person("writer", default_team(), [Role.MODEL_OWNER])
    other = open_finding(Team.objects.create(name="Elsewhere"))
    client.force_login(person)
    client.post(
        f"/findings/{record.number}/notes/", {"purpose": "comment", "file": SimpleUploadedFile("a.txt", b"one")}
    )
    note = FindingNote.objects.get()
    assert client.get(f"/findings/{other.number}/files/{note.pk}/").status_code == 404
    assert client.get(f"/findings/{record.number}/files/{note.pk + 1}/").status_code == 404


@pytest.mark.django_db
def test_a_request_that_asks_only_for_the_head_of_a_file_is_no_download(client: Client) -> None:
    record, person = open_finding(), make_person("writer", default_team(), [Role.MODEL_OWNER])
    note = actions.note_finding(record=record, name="a.txt", content=b"done", actor=actor_of(person))
    client.force_login(person)
    at = f"/findings/{record.number}/files/{note.pk}/"
    answer = client.head(at)
    assert (answer.status_code, answer["Content-Length"]) == (200, "4")
    assert not Event.objects.filter(action="finding.file_downloaded").exists()
    assert client.get(at).content == b"done"
    assert Event.objects.filter(action="finding.file_downloaded").count() == 1
