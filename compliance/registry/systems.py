"""The systems that may be asked, as the engine reads them: what is listed at this moment, in the form of its file."""

from __future__ import annotations

import secrets
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext_noop

from auditor.canonical import sha256_bytes
from auditor.exceptions import ModelError, StorageError, reason_of
from compliance.models import SystemListing, SystemState
from compliance.registry.system_tables import team_table

FOLDER = "systems"


def listed_systems(source: str, *, team_id: int | None) -> Path:
    """A file that holds the table of this system as it is listed now, for ``open_listed`` of the engine.

    It holds that table alone, so that no listing of one team costs or stops what another asks. It is named by the hash
    of its content: one who wrote it a moment earlier cannot put what was withdrawn since in its place. A file of that
    name with other content is written anew.

    Raises
    ------
    ModelError
        If the team has none that is listed.
    StorageError
        If it cannot be written, or the table in the database is not the one that was approved.
    """
    row = find_listed(source, team_id=team_id)
    data = row.text.encode()
    if sha256_bytes(data) != row.text_sha256:
        raise StorageError(f"{row}: its table is not the one that was approved; expected the hash it was listed with")
    team_table(row.text, team_id=row.team_id)  # certificates of another team are shown by no listing, however old
    folder = Path(settings.DATA_FOLDER) / FOLDER
    file = folder / f"{row.text_sha256[:16]}.toml"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.is_file() or sha256_bytes(file.read_bytes()) != row.text_sha256:
            draft = folder / f".{file.stem}-{secrets.token_hex(8)}"
            draft.write_bytes(data)
            draft.replace(file)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be written: {reason_of(error)}; expected a folder to write") from error
    return file


def find_listed(source: str, *, team_id: int | None) -> SystemListing:
    """The listing that a source such as ``endpoint:underwriter`` names in a team.

    Raises
    ------
    ModelError
        If the team has none that is listed. That another team has one is not told.
    """
    kind, _, name = source.strip().partition(":")
    rows = SystemListing.objects.filter(state=SystemState.LISTED, team=team_id, kind=kind, name=name)
    found = rows.select_related("team").first()
    if found is None:
        expected = gettext_noop("a system of this team that two administrators listed")
        raise ModelError(f"model source {source.strip()!r}", gettext_noop("is not listed"), expected)
    return found
