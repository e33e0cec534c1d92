"""What commands tell at a terminal, with names in it that others chose: of files in an archive, of columns, of keys.

A terminal obeys some characters. A file name that moves the cursor up could paint "unchanged" over the line that names
the difference; one that reverses the direction of writing could make another name of it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from django.core.management.base import OutputWrapper

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


class Lines(OutputWrapper):
    """Where a command writes: what others chose is shown, not obeyed."""

    def __init__(self, out: OutputWrapper) -> None:
        super().__init__(out)  # type: ignore[arg-type]

    def write(self, msg: str = "", style_func: Callable[[str], str] | None = None, ending: str | None = None) -> None:
        """Write a text, or several lines."""
        super().write(shown(msg), style_func, ending)

    def exactly(self, text: str) -> None:
        """Write a text that programs read, as it is."""
        super().write(text, ending="")
