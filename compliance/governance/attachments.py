"""Files that people attach to findings: what is taken in, where it lies, and that it is still what was recorded.

A file is kept under its SHA-256 and handed out as a download, never shown. What it is called and what it begins with
have to agree, so that a page does not pass for a picture.
"""

from __future__ import annotations

import os
import re
import tempfile
import unicodedata
from pathlib import Path, PurePath

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from auditor.canonical import sha256_bytes
from compliance.exceptions import EvidenceError, StateError

#: A form without a table may have four MiB (`compliance.registry.uploads.FORM_BYTES`), other fields included.
MOST_BYTES = 3 << 20
NAME_CHARACTERS = 120
#: What may be attached, by the ending of its name, with what each begins with; nothing for plain text.
KINDS: dict[str, tuple[bytes, ...]] = {
    ".pdf": (b"%PDF-",),
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".xlsx": (b"PK\x03\x04",),
    ".docx": (b"PK\x03\x04",),
    ".zip": (b"PK\x03\x04",),
    ".csv": (),
    ".json": (),
    ".md": (),
    ".txt": (),
}
ACCEPTED = ", ".join(KINDS)
#: Names that Windows keeps for devices, whatever their ending: a file called so cannot be saved there.
RESERVED = frozenset(
    {
        "con",
        "prn",
        "aux",
        "nul",
        "conin$",
        "conout$",
        *(f"{at}{mark}" for at in ("com", "lpt") for mark in "0123456789¹²³"),
    }
)
#: Scripts whose letters pass for one another: within a word no honest name mixes them.
ALIKE = {
    "LATIN": gettext_noop("Latin"),
    "CYRILLIC": gettext_noop("Cyrillic"),
    "GREEK": gettext_noop("Greek"),
    "ARMENIAN": gettext_noop("Armenian"),
    "CHEROKEE": gettext_noop("Cherokee"),
    "COPTIC": gettext_noop("Coptic"),
}
WORD = re.compile(r"[^\W\d_]+")


def file_name(name: str) -> str:
    """A name without folders and without marks that are not seen, short enough for a row."""
    plain = "".join(mark for mark in PurePath(name.replace("\\", "/")).name if unicodedata.category(mark)[0] != "C")
    stem, ending = PurePath(plain).stem, PurePath(plain).suffix
    return f"{stem[: NAME_CHARACTERS - len(ending)]}{ending}" if len(plain) > NAME_CHARACTERS else plain


def take_in(name: str, content: bytes) -> str:
    """Keep a file, and return its SHA-256; one that is there already is not written again.

    Raises
    ------
    StateError
        If it is empty or too large, of another kind than those accepted, not what its name says, or under a name that
        cannot be saved everywhere or passes for another one.
    """
    called, ending = file_name(name) or _("a file without a name"), PurePath(name).suffix.lower()
    if ending not in KINDS:
        raise StateError(
            _("{called}: is of a kind that is not attached; expected one of {accepted}").format(
                called=called, accepted=ACCEPTED
            )
        )
    _may_be_called(called)
    if not content:
        raise StateError(_("{called}: is empty; expected a file with something in it").format(called=called))
    if len(content) > MOST_BYTES:
        raise StateError(
            _("{called}: has {count} MiB; expected at most {most} MiB").format(
                called=called, count=f"{len(content) / (1 << 20):.1f}", most=MOST_BYTES >> 20
            )
        )
    begins = KINDS[ending]
    if not (content.startswith(begins) if begins else _is_text(content)):
        raise StateError(
            _("{called}: does not begin as a {ending} file does; expected what its name says").format(
                called=called, ending=ending
            )
        )
    sha256 = sha256_bytes(content)
    path = _path(sha256)
    if not path.is_file():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".incoming-")
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(draft).replace(path)
    return sha256


def _may_be_called(name: str) -> None:
    stem = name.partition(".")[0].strip()
    if stem.casefold() in RESERVED:
        raise StateError(_("{name}: is a name that Windows keeps for a device; expected another one").format(name=name))
    for word in WORD.findall(name):
        scripts = {unicodedata.name(mark, "").partition(" ")[0] for mark in word} & ALIKE.keys()
        if len(scripts) > 1:
            mixed = _(" and ").join(_(ALIKE[script]) for script in sorted(scripts))
            raise StateError(
                _("{name}: mixes {mixed} letters in one word; expected a word in one script").format(
                    name=name, mixed=mixed
                )
            )


def hand_out(name: str, sha256: str) -> bytes:
    """The bytes of a file that was kept.

    Raises
    ------
    EvidenceError
        If it is not there, or is not the one that was recorded.
    """
    path = _path(sha256)
    if not path.is_file():
        raise EvidenceError(_("{name}: is not on this server; expected it in the data folder").format(name=name))
    content = path.read_bytes()
    if sha256_bytes(content) != sha256:
        raise EvidenceError(
            _("{name}: is not the file that was recorded; expected SHA-256 {sha256}").format(name=name, sha256=sha256)
        )
    return content


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _path(sha256: str) -> Path:
    return Path(settings.DATA_FOLDER) / "attachments" / sha256
