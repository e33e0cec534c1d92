"""Files changed at random, the same for the same seed: bits, numbers, cuts, repeats, and words that break readers."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable

NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
WORDS = (
    b"", b"\0", b"\n", b'"', b"'", b",", b"<", b">", b"&a;", b"[" * 200, b"{" * 200, b"9" * 400, b"-1", b"1e999",
    b"nan", b"\xff\xfe", b"\xef\xbb\xbf", b"\xf0\x9f\x92\xa9", b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"A9999999",
    b"a.a.a.a.a.a.a.a", b"../../../etc/passwd", b"null", b"true", b"[]", b"{}", b"1" * 20, b"%s%n", b"endobj",
    b"PK\x03\x04", b"PAR1",
)  # fmt: skip


def mutant(raw: bytes, draw: random.Random) -> bytes:
    """A file with one to four changes."""
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        raw = draw.choice(CHANGES)(raw, draw)
    return raw


def zip_mutant(raw: bytes, draw: random.Random) -> bytes:
    """A changed archive, or a whole one with a changed part: else no change would get behind the checksums."""
    if draw.random() < 0.3:
        return mutant(raw, draw)
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as archive, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as anew:
        chosen = draw.choice(archive.namelist())
        for name in archive.namelist():
            content = archive.read(name)
            anew.writestr(name, mutant(content, draw) if name == chosen else content)
    return target.getvalue()


def _place(raw: bytes, draw: random.Random) -> int:
    # Directories and footers stand at the ends, and are the most telling to change.
    near = draw.random()
    if near < 0.2:
        return draw.randrange(min(len(raw), 64) + 1)
    if near < 0.4:
        return len(raw) - draw.randrange(min(len(raw), 200) + 1)
    return draw.randrange(len(raw) + 1)


def _flip(raw: bytes, draw: random.Random) -> bytes:
    at = _place(raw, draw)
    return raw[:at] + bytes(byte ^ (1 << draw.randrange(8)) for byte in raw[at : at + 1]) + raw[at + 1 :]


def _number(raw: bytes, draw: random.Random) -> bytes:
    at, width = _place(raw, draw), draw.choice((1, 2, 4, 8))
    value = (draw.choice(NUMBERS) & (256**width - 1)).to_bytes(width, draw.choice(("little", "big")))
    return raw[:at] + value + raw[at + width :]


def _word(raw: bytes, draw: random.Random) -> bytes:
    at = _place(raw, draw)
    return raw[:at] + draw.choice(WORDS) + raw[at + draw.choice((0, 0, 1, 4, 20)) :]


def _cut(raw: bytes, draw: random.Random) -> bytes:
    at = _place(raw, draw)
    return raw[:at] + raw[at + draw.choice((1, 4, 50, len(raw))) :]


def _repeat(raw: bytes, draw: random.Random) -> bytes:
    at = _place(raw, draw)
    return raw[:at] + raw[at : at + draw.randrange(1, 200)] * draw.choice((2, 3, 100)) + raw[at:]


def _move(raw: bytes, draw: random.Random) -> bytes:
    at, other = sorted((_place(raw, draw), _place(raw, draw)))
    size = min(draw.randrange(1, 50), other - at)
    return raw[:at] + raw[other : other + size] + raw[at + size :]


CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (_flip, _number, _word, _cut, _repeat, _move)
