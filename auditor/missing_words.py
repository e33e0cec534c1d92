"""Words and signs that often mean "no value": proposed as missing, for people to confirm."""

from __future__ import annotations

WORDS = frozenset(
    (
        "na",
        "n/a",
        "n.a.",
        "#n/a",
        "#na",
        "<na>",
        "null",
        "(null)",
        "nan",
        "-nan",
        "nil",
        "nat",
        "\\n",
        ".",
        "-",
        "--",
        "—",
        "–",
        "?",
        "_",
        "k.a.",
        "k. a.",
        "keine angabe",
        "ohne angabe",
        # What a spreadsheet writes instead of a value that it could not work out.
        "#ref!",
        "#value!",
        "#div/0!",
        "#name?",
        "#num!",
        "#null!",
        "#wert!",
        "#bezug!",
        "#nv",
        "#zahl!",
        "#valeur!",
    )
)
#: In a column of text these may be values, and are proposed only as programs write them.
AS_WRITTEN = frozenset(("None", "NONE", "NONE SPECIFIED", "Not Available", "not available", "unknown value"))


#: Beside numbers these can hardly be values.
BESIDE_NUMBERS = frozenset(("none", "missing", "not stated", "exempt"))
#: What programs write for "no value": beside numbers it can mean nothing else.
NULL = frozenset(("na", "n/a", "#n/a", "#na", "<na>", "null", "nan", "-nan", "none", "nat"))


def is_null_word(text: str) -> bool:
    """Whether a text in a column of numbers is how a program writes that there is none."""
    return text.strip().lower() in NULL


def is_missing_word(text: str, *, number: bool = False) -> bool:
    """Whether a text often means that nothing is stated; in a column of numbers ``none`` does so too.

    There ``Exempt`` is what reporting under the Home Mortgage Disclosure Act writes for figures that need not be given.
    """
    bare = text.strip()
    # A column too narrow for its dates and numbers shows signs of number, and so does what was copied from it.
    if len(bare) > 3 and set(bare) == {"#"}:
        return True
    return bare.lower() in WORDS or bare in AS_WRITTEN or (number and bare.lower() in BESIDE_NUMBERS)
