"""Uploads take so much of the disk and no more, and those that nobody finished end; on both databases."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.db.models.functions import Now
from django.test import Client

from auditor.exceptions import DataError
from compliance import actions
from compliance.access.roles import Role
from compliance.execution.workers import reap
from compliance.governance.events import Actor
from compliance.models import Event, Registration, RegistrationState, Team, default_team
from compliance.registry.uploads import begin_again, begin_upload, take_part
from tests.compliance.factories import ACTOR
from tests.compliance.governed import actor_of
from tests.compliance.teams import make_person

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("database")]
MIB = 1 << 20
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def folder(settings: LazySettings, tmp_path: Path) -> Path:
    settings.DATA_FOLDER = tmp_path / "data"
    settings.TEAM_UPLOAD_BYTES = 3 * MIB
    settings.UNFINISHED_UPLOADS = 2
    return tmp_path / "data"


def announce(size: int = MIB, *, team: Team | None = None, actor: Actor = ACTOR) -> Registration:
    return begin_upload(team=team or default_team(), title="", file_name="loans.csv", size=size, actor=actor)


def whole(size: int, *, letter: bytes = b"x") -> Registration:
    row = announce(size)
    take_part(row, offset=0, content=letter * size, actor=ACTOR)
    return row


def test_a_team_has_so_much_room_and_one_line_says_when_it_is_taken() -> None:
    announce(2 * MIB)
    with pytest.raises(DataError) as refused:
        announce(MIB + 1)
    assert str(refused.value) == (
        "loans.csv: has 1.0 MiB, and the uploads of team Default take 2.0 of 3.0 MiB; expected a smaller table, or a "
        "larger PLUMBLINE_TEAM_UPLOAD_MB"
    )
    announce(MIB)
    assert Registration.objects.count() == 2
    announce(3 * MIB, team=Team.objects.create(name="another"))


def test_a_file_that_another_took_the_place_of_is_kept_and_counts() -> None:
    row = whole(MIB)
    begin_again(row, file_name="loans.csv", size=MIB, actor=ACTOR)
    take_part(row, offset=0, content=b"y" * MIB, actor=ACTOR)
    with pytest.raises(DataError, match=r"take 2\.0 of 3\.0 MiB"):
        begin_again(row, file_name="loans.csv", size=MIB + 1, actor=ACTOR)
    assert Registration.objects.get().state == RegistrationState.MAPPING, "the old one stays where none can be taken"
    with pytest.raises(DataError, match=r"take 2\.0 of 3\.0 MiB"):
        announce(MIB + 1)


def test_two_who_announce_at_once_do_not_both_get_the_last_room() -> None:
    default_team()
    announce(2 * MIB)
    together, refused = Barrier(4), []

    def ask() -> None:
        together.wait()
        try:
            announce(MIB)
        except DataError as error:
            refused.append(error)
        connection.close()

    threads = [Thread(target=ask) for _ in range(4)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert (len(refused), Registration.objects.count()) == (3, 2)


def test_an_account_may_leave_only_so_many_unfinished() -> None:
    ada, bob = (actor_of(make_person(name, default_team(), [Role.COMPLIANCE_OFFICER])) for name in ("ada", "bob"))
    first = announce(5, actor=ada)
    announce(5, actor=ada)
    with pytest.raises(DataError, match=r"cannot begin: ada has 2 unfinished uploads") as refused:
        announce(5, actor=ada)
    assert "at most 2 (PLUMBLINE_UNFINISHED_UPLOADS)" in str(refused.value)
    announce(5, actor=bob)
    take_part(first, offset=0, content=b"a,b\n1", actor=ada)
    announce(5, actor=ada)


def test_the_pages_say_so_in_their_line(client: Client) -> None:
    client.force_login(User.objects.create_superuser("root"))
    asked = {"team": default_team().pk, "name": "", "file_name": "loans.csv", "size": 4 * MIB}
    answer = client.post("/register/data/uploads/", asked)
    assert answer.status_code == 400
    assert "PLUMBLINE_TEAM_UPLOAD_MB" in answer.json()["error"]
    sent = SimpleUploadedFile("loans.csv", b"a,b\n" * MIB)
    answer = client.post("/register/data/", {"team": default_team().pk, "name": "", "file": sent})
    assert answer.status_code == 400
    assert "PLUMBLINE_TEAM_UPLOAD_MB" in answer.content.decode()
    assert not Registration.objects.exists()


def rest(folder: Path, row: Registration, period: timedelta) -> Path:
    """Nobody sent a part of an upload for so long."""
    Registration.objects.filter(pk=row.pk).update(seen_at=Now() - period)
    path = folder / "uploads" / str(row.public_id)
    moment = time.time() - period.total_seconds()
    os.utime(path, (moment, moment))
    return path


def test_the_sweep_ends_an_upload_that_rests_for_a_day_and_removes_its_parts(folder: Path) -> None:
    old, young = announce(MIB), announce(MIB)
    for row in (old, young):
        take_part(row, offset=0, content=b"a,b\n", actor=ACTOR)
    paths = rest(folder, old, DAY * 1.01), rest(folder, young, DAY * 0.9)
    assert reap() == 1
    assert [path.exists() for path in paths] == [False, True]
    old.refresh_from_db()
    young.refresh_from_db()
    assert (old.state, young.state) == ("failed", "uploading")
    line = "loans.csv: was not finished within a day of its last part; expected the file to be sent again"
    assert (old.error, old.size, old.received) == (line, 0, 0)
    event = Event.objects.order_by("seq").last()
    assert event is not None
    assert (event.action, event.object) == ("registration.upload_ended", old.event_object)
    assert f'"bytes":{MIB}' in event.payload.data_json
    assert '"received":4' in event.payload.data_json
    assert reap() == 0
    begin_again(old, file_name="loans.csv", size=2 * MIB, actor=ACTOR)  # its room is free again
    with pytest.raises(DataError):
        announce(1)


def test_a_part_that_comes_while_the_sweep_looks_keeps_the_upload(folder: Path) -> None:
    row = announce(MIB)
    take_part(row, offset=0, content=b"a,b\n", actor=ACTOR)
    stale = Registration.objects.get(pk=row.pk)
    take_part(row, offset=4, content=b"1,2\n", actor=ACTOR)
    assert actions.end_upload(registration=stale, actor=ACTOR) is False
    assert Registration.objects.get().state == RegistrationState.UPLOADING


def test_an_upload_that_ended_takes_no_further_part(folder: Path) -> None:
    row = announce(MIB)
    take_part(row, offset=0, content=b"a,b\n", actor=ACTOR)
    stale = Registration.objects.get(pk=row.pk)
    rest(folder, row, DAY * 2)
    reap()
    with pytest.raises(DataError, match="what arrived before is not on this server"):
        take_part(stale, offset=4, content=b"1,2\n", actor=ACTOR)
    assert not list((folder / "uploads").iterdir())


def test_parts_that_no_row_tells_of_go_too_and_nothing_else_does(folder: Path) -> None:
    row = announce(MIB)
    take_part(row, offset=0, content=b"a,b\n", actor=ACTOR)
    rest(folder, row, DAY * 2)
    Registration.objects.update(state=RegistrationState.FAILED)
    (folder / "uploads" / "README").write_text("not ours")
    os.utime(folder / "uploads" / "README", (0, 0))
    reap()
    assert [path.name for path in (folder / "uploads").iterdir()] == ["README"]
