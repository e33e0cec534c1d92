"""What commands and logs tell at a terminal, with names in it that others chose: of files, of columns, of keys.

A terminal obeys some characters. A file name that moves the cursor up could paint "unchanged" over the line that names
the difference; one that reverses the direction of writing could make another name of it.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from typing import Any

#: Characters that change the direction of what stands after them.
TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")
KEPT = "\n\t"


def shown(text: str) -> str:
    """A text in which nothing is obeyed: what a terminal would, stands there by its number."""
    return "".join(character if _is_shown(character) else _number(character) for character in text)


def one_line(text: str) -> str:
    """The same in one line: a name with a line end in it makes no line of its own."""
    return shown(" ".join(text.split()))


def _is_shown(character: str) -> bool:
    if character in KEPT:
        return True
    return character not in TURNING and unicodedata.category(character) not in ("Cc", "Cs")


def _number(character: str) -> str:
    return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"


#: Addresses that hold a secret which works once: whoever reads the log must not be able to follow them.
LINKS = re.compile(r"(/(?:join|first-run)/)[^/\s]+")


class LineFormatter(logging.Formatter):
    """A line of the log: a name with a line end in it writes no line of its own. A trace keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802, as logging calls it
        """The line itself."""
        return LINKS.sub(r"\1…", shown(super().formatMessage(record)).replace("\n", "\\n"))

    def formatException(self, ei: Any) -> str:  # noqa: N802, as logging calls it
        """The trace below it."""
        return LINKS.sub(r"\1…", shown(super().formatException(ei)))
