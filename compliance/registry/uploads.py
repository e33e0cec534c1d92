"""Taking in a table: in parts with a script, in one piece without. What arrived is kept until it is whole."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import IO

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import get_template
from django.urls import Resolver404, resolve
from django.utils.translation import gettext as _

from auditor.canonical import sha256_file
from auditor.tables import ENDINGS, KNOWN_KINDS, ending_of
from compliance import actions
from compliance.governance.events import Actor, lock_chain
from compliance.models import Registration, RegistrationState, Team
from compliance.refusals import UploadError
from compliance.registry.forms import DataForm
from compliance.registry.room import check_room

PART_BYTES = 1 << 20
NAME_CHARACTERS = 120
SLACK = 64 << 10  # what a form adds around its file
FORM_BYTES = 4 << 20  # more than any form without a file has
#: Addresses that take tables, and what it takes to send one there.
UPLOADS = dict.fromkeys(("register_data", "announce_upload", "upload_part", "replace_file"), DataForm.permission)


def bounded_requests(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware that refuses a body before it is read and fills the disk.

    It stands behind the one that knows the account and before any view, and so before the check of a form's token,
    which reads the form: an upload is taken from people who may upload, of the size one may have, and everything else
    is as small as forms are.
    """

    def answer(request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        # A length of thousands of digits is none that a number could be made of; zeros before it count for nothing.
        size = int(length.lstrip("0")[:16] or 0) if length.isascii() and length.isdecimal() else 0
        if request.method in ("GET", "HEAD", "OPTIONS") and not size:
            return get_response(request)
        permission = _asked_of(request)
        if permission is None:
            return _too_large(FORM_BYTES) if size > FORM_BYTES else get_response(request)
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not request.user.has_perm(f"compliance.{permission}"):
            # Django's own page of that kind looks for a form's token, and so reads what was sent.
            return render(request, "403.html", status=403)
        return _too_large(settings.UPLOAD_BYTES) if size > settings.UPLOAD_BYTES + SLACK else get_response(request)

    return answer


def _asked_of(request: HttpRequest) -> str | None:
    """The permission that sending something to this address takes, if it is one that takes tables."""
    try:
        name = resolve(request.path_info).url_name
    except Resolver404:
        return None
    return UPLOADS.get(name or "")


def _too_large(most: int) -> HttpResponse:
    return HttpResponse(get_template("413.html").render({"megabytes": most >> 20}), status=413)


def checked_name(name: str) -> str:
    """The name of a file as we keep it; DataError unless it is of a kind that can be read."""
    plain = "".join(character for character in PurePath(name.replace("\\", "/")).name if character.isprintable())
    if ending_of(plain) not in ENDINGS:
        expected = _("{kinds}, or one of them in a .zip or .gz").format(kinds=KNOWN_KINDS)
        raise UploadError(plain or _("the file"), _("is not a kind of file that can be read"), expected)
    return plain[-NAME_CHARACTERS:]


def check_size(name: str, size: int) -> None:
    """DataError for a file that is empty or too large."""
    if size <= 0:
        raise UploadError(name, _("is empty"), _("a header and at least one row"))
    if size > settings.UPLOAD_BYTES:
        what = _("is larger than {n} MiB").format(n=settings.UPLOAD_BYTES >> 20)
        raise UploadError(name, what, _("a smaller file, or Parquet"))


def begin_upload(*, team: Team, title: str, file_name: str, size: int, actor: Actor) -> Registration:
    """Announce a table.

    Raises
    ------
    DataError
        If it is not a kind of file that can be read, empty or too large, or there is no room for it.
    """
    name = checked_name(file_name)
    check_size(name, size)
    title = title.strip()[:200] or name[: -len(ending_of(name))]
    with transaction.atomic():
        lock_chain()
        check_room(team=team, name=name, size=size, actor=actor)
        return actions.request_upload(team=team, name=title, file_name=name, size=size, actor=actor)


def begin_again(row: Registration, *, file_name: str, size: int, actor: Actor) -> None:
    """Announce another table in the place of the one that an unfinished registration holds.

    Raises
    ------
    DataError
        If it is not a kind of file that can be read, empty or too large.
    """
    name = checked_name(file_name)
    check_size(name, size)
    with transaction.atomic():
        lock_chain()
        row.refresh_from_db()
        # The room of a file that never arrived is free again; one that did is kept beside the new one.
        check_room(team=row.team, name=name, size=size if row.file else size - row.size, actor=actor)
        actions.replace_upload(registration=row, file_name=name, size=size, actor=actor)


def take_part(row: Registration, *, offset: int, content: bytes, actor: Actor) -> None:
    """Add the bytes that begin at ``offset``; the last ones make the upload whole.

    Raises
    ------
    DataError
        If the part is empty, too long, or not the one that is due.
    """
    if not content or len(content) > PART_BYTES:
        what = _("a part has {n} bytes").format(n=f"{len(content):,}")
        raise UploadError(row.source, what, _("1 to {n}").format(n=f"{PART_BYTES:,}"))
    if row.state != RegistrationState.UPLOADING or offset != row.received or offset + len(content) > row.size:
        what = _("byte {n} is not the next one").format(n=f"{offset:,}")
        expected = _("byte {n} of {size}").format(n=f"{row.received:,}", size=f"{row.size:,}")
        raise UploadError(row.source, what, expected)
    path = _partial(row)
    if offset and not path.exists():
        raise UploadError(row.source, _("what arrived before is not on this server"), _("the file, uploaded again"))
    with _alone(row, path) as stream:
        # A part whose acknowledgement was lost is written again in its place.
        stream.seek(offset)
        stream.write(content)
        stream.truncate()
        stream.flush()
        os.fsync(stream.fileno())
        kept = _name(row) if offset + len(content) == row.size else None
        # The last part is noted and the whole kept, or neither: while the database is busy it can be sent again.
        with transaction.atomic():
            actions.note_received(registration=row, start=offset, stop=offset + len(content))
            if kept is not None:
                actions.keep_upload(registration=row, file=str(kept), actor=actor)
                path.replace(Path(settings.DATA_FOLDER) / kept)


@contextmanager
def _alone(row: Registration, path: Path) -> Iterator[IO[bytes]]:
    """The upload so far, held by one request until what it brings is noted.

    A second one that sent another last part between the hash and the move would be kept under the hash of the first.
    """
    with open(path, "r+b", opener=lambda name, _: os.open(name, os.O_RDWR | os.O_CREAT, 0o600)) as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UploadError(row.source, _("another part of it is being taken"), _("one part at a time")) from None
        if not path.exists() or not os.path.samestat(path.stat(), os.fstat(stream.fileno())):
            raise UploadError(row.source, _("is complete already"), _("nothing more of it"))
        yield stream


def take_whole(row: Registration, stream: IO[bytes], *, actor: Actor) -> None:
    """Take a table in one piece."""
    while content := stream.read(PART_BYTES):
        take_part(row, offset=row.received, content=content, actor=actor)


def _name(row: Registration) -> Path:
    """The place of the whole table, by its content, beside all others; the same table twice is one file."""
    kept = Path("data") / f"{sha256_file(_partial(row))}{ending_of(row.source)}"
    (Path(settings.DATA_FOLDER) / kept).parent.mkdir(mode=0o700, exist_ok=True)
    return kept


def _partial(row: Registration) -> Path:
    folder = Path(settings.DATA_FOLDER) / "uploads"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / str(row.public_id)
