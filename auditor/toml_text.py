"""TOML from people: parsed only after it is seen to be of a shape the parser gets through.

Python's parser takes quadratic time over a key of many parts, and leaves through other errors than its own where tables
nest deeply or a number has thousands of digits.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

MAX_CHARACTERS = 1 << 20
MAX_DEPTH = 32
MAX_PARTS = 32
MAX_DIGITS = 100

# Strings and comments, so that what is in them counts for nothing. Possessive, and what is not closed ends where the
# line or the text does: nothing is tried twice.
QUOTED = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+(?:"{3,5}|\Z)'
    r"|'''(?:[^']|'(?!''))*+(?:'{3,5}|\Z)"
    r'|"(?:[^"\\\n]|\\[^\n])*+(?:"|(?=\n)|\Z|\\)'
    r"|'[^'\n]*+(?:'|(?=\n)|\Z)"
    r"|#[^\n]*+",
    re.DOTALL,
)
WORD = r"[A-Za-z0-9_\-]++"
PARTS = re.compile(rf"(?<![A-Za-z0-9_\-.]){WORD}(?:[ \t]*+\.[ \t]*+{WORD}){{{MAX_PARTS},}}+")
DIGITS = re.compile(rf"[0-9A-Fa-f_]{{{MAX_DIGITS + 1},}}+")


def parse_toml(text: str) -> dict[str, Any]:
    """The tables a text holds.

    Raises
    ------
    tomllib.TOMLDecodeError
        In one line, for what is not valid TOML and for what is larger, deeper or longer than any file of this program.
    """
    if len(text) > MAX_CHARACTERS:
        raise tomllib.TOMLDecodeError(f"it has {len(text):,} characters, and {MAX_CHARACTERS:,} are read at most")
    bare = QUOTED.sub("q", text)
    if (found := PARTS.search(bare)) is not None:
        raise tomllib.TOMLDecodeError(f"a key begins {found[0][:20]!r} and has more than {MAX_PARTS} parts")
    if (found := DIGITS.search(bare)) is not None:
        raise tomllib.TOMLDecodeError(
            f"a number or name begins {found[0][:20]!r} and goes on for {len(found[0]):,} characters"
        )
    if _depth(bare) > MAX_DEPTH:
        raise tomllib.TOMLDecodeError(f"brackets are nested more than {MAX_DEPTH} deep")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except (ValueError, RecursionError, OverflowError) as error:
        raise tomllib.TOMLDecodeError(f"it holds a value that cannot be read ({error})") from error


def _depth(bare: str) -> int:
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", bare):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest
